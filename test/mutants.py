"""mutants.py - would a mistake be noticed? `make mutants`; MUTANTS=50 for a sample, PART=1/4.

Small changes to the decision core, one at a time: a comparison turned round, a guard dropped, a
constant moved, a statement left out. Each is compiled and tried against the unit tests of its file,
then against ten seconds of the simulated cluster. What nobody notices must stand in
test/mutants.survivors, with the reason why it changes nothing. There and in the output a mutant is
its function, the line as it is and the line as it would be: no number of a line, so that the list
survives edits.
"""

import concurrent.futures
import os
import pathlib
import random
import re
import shlex
import subprocess
import sys
import tempfile
import threading

ROOT = pathlib.Path(__file__).resolve().parent.parent
CORE = ["test_world", "test_evidence", "test_container", "test_plan", "test_ends", "test_lives",
        "test_chaos", "test_waits", "test_sweep"]
UNITS = {
    "asked.c": ["test_asked", *CORE],
    "fate.c": ["test_ends", "test_plan", "test_lives", "test_world", "test_evidence", "test_sweep"],
    "fold.c": CORE,
    "leftover.c": ["test_leftover"],
    "look.c": CORE,
    "metrics.c": ["test_metrics", "test_idle", "test_evidence", "test_container"],
    "pattern.c": ["test_pattern", "test_walks"],
    "plan.c": ["test_plan", "test_ends", "test_lives", "test_chaos", "test_container",
               "test_waits", "test_sweep"],
    "queues.c": ["test_queues", "test_walks", "test_ends", "test_lives"],
    "waits.c": ["test_waits"],
    "world.c": CORE,
}
SURVIVORS = ROOT / "test/mutants.survivors"
LIVES = int(os.environ.get("LIVES") or 8000)  # ten seconds of one core


# ---- Mutants ----

def masked(text):
    """The text with what is in comments, strings and preprocessor lines (but #define) blanked."""
    def blank(m):
        return re.sub(r"[^\n]", " ", m.group())
    text = re.sub(r"/\*.*?\*/", blank, text, flags=re.S)
    text = re.sub(r'"(?:[^"\\\n]|\\.)*"', blank, text)
    text = re.sub(r"'(?:[^'\\\n]|\\.)*'", blank, text)
    return re.sub(r"^#(?!define).*$", blank, text, flags=re.M)


SWAPS = [
    (r" < ", " >= "), (r" > ", " <= "), (r" <= ", " > "), (r" >= ", " < "),
    (r" == ", " != "), (r" != ", " == "),
    (r" && ", " || "), (r" \|\| ", " && "),
    (r" \+ ", " - "), (r" - ", " + "), (r" \+= ", " -= "), (r" -= ", " += "),
    (r" \|= ", " = "), (r" &= ", " = "),
    (r"\btrue\b", "false"), (r"\bfalse\b", "true"),
    (r"\bmin_ms\(", "max_ms("), (r"\bmax_ms\(", "min_ms("),
    (r"(?<=[\s(])!(?=[\w(])", ""),
    (r"\? 0\s+: NEVER\b", "? NEVER : 0"), (r"\? NEVER\s+: (?=\w)", "? 0 : "),
    (r"\bURGENT\b", "0"), (r"\bAT_ONCE\b", "0"),
]
NUMBER = re.compile(r"(?<![\w.\[])(?:INT64_C\(|UINT64_C\()?(\d+)\)?(?![\w.\]])")
GUARD = re.compile(r"^\t+if \((?:[^;{}]*?)\)\n\t+(?:return|continue|break)\b[^;]*;\n", re.M)
CONDITION = re.compile(r"^\t+(?:else )?if \((?:[^;{}]*?)\)(?= \{?\n|\n)", re.M)
STATEMENT = re.compile(r"^(\t+)(?!return\b|break\b|continue\b|case\b|default\b|goto\b|static\b|const\b|"
                       r"struct\b|enum\b|union\b|if\b|else\b|for\b|while\b|switch\b|do\b)"
                       r"(\(void\)|[*\w])[^;{}]*;[ \t]*\n", re.M)
DECLARATION = re.compile(r"^\t+(?:bool|int|char|size_t|uint\w+|int64_t|unsigned|long|json_t|uint64_t|"
                         r"json_auto_t|AUTO_\w+|double|u128)\b")
RULE_ROW = re.compile(r"^\t\{ \" *[^;{}]*?\},\n", re.M)


def edits(text):
    """(start, end, replacement) of each mutant."""
    code = masked(text)
    for pattern, to in SWAPS:
        for m in re.finditer(pattern, code):
            yield m.start(), m.end(), to
    for m in NUMBER.finditer(code):
        n = int(m.group(1))
        line = code[code.rfind("\n", 0, m.start()) + 1:m.start()]
        if n > 1 and "[" not in line.split("=")[0]:
            yield m.start(1), m.end(1), str(n * 10)
            yield m.start(1), m.end(1), str(n // 10)
    for m in GUARD.finditer(code):
        yield m.start(), m.end(), ""
    for m in STATEMENT.finditer(code):
        if not DECLARATION.match(m.group()):
            indent = m.group(1)
            yield m.start(), m.end(), f"{indent};\n"
    for m in re.finditer(r"^\t\{ .*?\},\n", text, re.M | re.S):
        if re.match(r'\t\{ "[^"]*",\s+ASK_', m.group()):
            yield m.start(), m.end(), ""


def function_at(text, pos):
    head = "(file)"
    for m in re.finditer(r"^(?:[A-Za-z].*?\b(\w+)\(|RULE\((\w+)\))[^;]*?\n\{|^\} (\w+)\[|^#define (\w+)",
                         text[:pos], re.M):
        head = m.group(1) or m.group(2) or m.group(4) or "(file)"
    return head


def squeeze(s):
    return re.sub(r"\s+", " ", re.sub(r"/\*.*?\*/", "", s, flags=re.S)).strip()


class Mutant:
    def __init__(self, name, text, start, end, to):
        self.name, self.text = name, text[:start] + to + text[end:]
        first = text.rfind("\n", 0, start) + 1
        last = text.find("\n", max(end - 1, start))
        was, now = text[first:last], text[first:start] + to + text[end:max(last, end)]
        where = function_at(text, max(start, text.find("\n", start) if "#define" in was else start))
        self.key = f"{name}: {where}: {squeeze(was)} ==> {squeeze(now)}".rstrip()


def mutants_of(name):
    text, seen = (ROOT / name).read_text(), {}
    for start, end, to in sorted(set(edits(text))):
        m = Mutant(name, text, start, end, to)
        seen[m.key] = seen.get(m.key, 0) + 1
        if seen[m.key] > 1:
            m.key += f" (the {seen[m.key]}. of such)"
        yield m


# ---- Building and trying one ----

def run(argv, timeout=300, **more):
    """(status, output); of a process that was killed, as one that hangs is, it is negative."""
    try:
        p = subprocess.run(argv, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                           timeout=timeout, errors="replace", check=False, **more)
        return p.returncode, p.stdout
    except subprocess.TimeoutExpired:
        return -1, "hangs"


def make(*args):
    status, out = run(["make", "-s", *args], timeout=1800)
    if status:
        sys.exit(f"make {shlex.join(args)}:\n{out}")


def flavour(name, *more):
    """How make is called for it: the unit tests as such, the same with ASan, the simulation."""
    return [f"B=build/mutants/{name}", "HARDEN=", *more]


FLAVOURS = {
    "unit": flavour("unit", "CFLAGS=-O0"),
    "asan": flavour("asan", "CFLAGS=-O1 -fsanitize=address,undefined -fno-sanitize-recover=all"),
    "sim": flavour("sim", "CFLAGS=-O2", "CPPFLAGS=-Dmain=cleanup_main -Wno-missing-prototypes"),
}


def commands(target, args):
    """The commands that make would run for a target whose parts are there, as lists of words."""
    out = subprocess.run(["make", "-n", "-B", target, *args], cwd=ROOT, text=True, check=True,
                         stdout=subprocess.PIPE).stdout.replace("\\\n", " ")
    return [shlex.split(line) for line in out.splitlines()
            if f" -o {target} " in f"{line} " or (line.startswith("objcopy") and target in line)]


def code(obj):
    """What the compiler made of it, to tell changes that are none."""
    out = subprocess.run(["objdump", "-sr", str(obj)], capture_output=True, check=True).stdout
    return out.split(b"\n", 3)[-1]


def simulate(sim):
    """(crashed, {kind: lives}) of the promises that were broken."""
    status, out = run(["prlimit", "--cpu=60", str(sim), "--workers", "1", "--lives", str(LIVES)])
    kinds = {m.group(1): int(m.group(2))
             for m in re.finditer(r"^FAILED +(\S+) +(\d+) lives", out, re.M)}
    return status not in (0, 1), kinds


class Bench:
    """The parts, built once, and how each is built."""

    def __init__(self):
        tests = sorted({t for ts in UNITS.values() for t in ts})
        self.link, self.compile = {}, {}
        for name, args in FLAVOURS.items():
            b = f"build/mutants/{name}"
            make(*args, *([f"{b}/sim"] if name == "sim" else [f"{b}/test/{t}" for t in tests]))
            for source in UNITS:
                obj = f"{b}/{source.replace('.c', '.o')}"
                self.compile[name, source] = commands(obj, args)[-1]
            for t in tests if name != "sim" else []:
                self.link[name, t] = commands(f"{b}/test/{t}", args)[0]
        b = "build/mutants/sim"
        self.sim_link = [c for t in ("prog.o", "sim") for c in commands(f"{b}/{t}", FLAVOURS["sim"])]
        self.same = {s: code(ROOT / b / s.replace(".c", ".o")) for s in UNITS}
        self.baseline = simulate(ROOT / b / "sim")[1]

    def compiled(self, name, m, tmp):
        """The mutant as an object of that flavour; None: it does not compile."""
        obj = tmp / f"{name}.o"
        words = [str(tmp / m.name) if w == m.name else w for w in self.compile[name, m.name]
                 if w not in ("-MMD", "-MP")]
        words[words.index("-o") + 1] = str(obj)
        return None if run([*words, "-iquote", ".", "-w"])[0] else obj

    @staticmethod
    def relink(command, swap, m):
        status, out = run([swap.get(w, w) for w in command])
        if status:
            sys.exit(f"{m.key}\n{out}")

    def noticed_by(self, m, tmp):
        """Who notices the mutant: the name of a test, "sim ..."; None: nobody; "": it is none."""
        (tmp / m.name).write_text(m.text)
        obj = self.compiled("unit", m, tmp)
        if not obj:
            return ""
        by = self.noticed_by_tests("unit", UNITS[m.name], m, obj, tmp)
        if by:
            return by
        obj = self.compiled("sim", m, tmp)
        if code(obj) == self.same[m.name]:
            return ""
        tests = [t for t in UNITS[m.name] if t != "test_chaos"]
        return (self.noticed_by_tests("asan", tests, m, self.compiled("asan", m, tmp), tmp) or
                self.noticed_by_sim(m, obj, tmp))

    def noticed_by_tests(self, name, tests, m, obj, tmp):
        own = f"build/mutants/{name}/{m.name.replace('.c', '.o')}"
        for t in tests:
            swap = {own: str(obj), f"build/mutants/{name}/test/{t}": str(tmp / t)}
            self.relink(self.link[name, t], swap, m)
            if run(["prlimit", "--cpu=10", str(tmp / t)])[0]:
                return t if name == "unit" else f"{name}: {t}"
        return None

    def noticed_by_sim(self, m, obj, tmp):
        b = "build/mutants/sim"
        swap = {f"{b}/{m.name.replace('.c', '.o')}": str(obj), f"{b}/prog.o": str(tmp / "prog.o"),
                f"{b}/sim": str(tmp / "sim")}
        for command in self.sim_link:
            self.relink(command, swap, m)
        crashed, kinds = simulate(tmp / "sim")
        if crashed:
            return "sim: it crashes or hangs"
        for kind, lives in sorted(kinds.items()):
            if lives > 2 * self.baseline.get(kind, 0) + (2 if kind in self.baseline else 0):
                return f"sim: {kind}"
        return None


# ---- The list of survivors ----

def explained():
    """{mutant: reason}; lines of mutants are followed by their reason, indented."""
    known, keys, told = {}, [], False
    for line in SURVIVORS.read_text().splitlines() if SURVIVORS.exists() else []:
        if line.startswith("#") or not line.strip():
            continue
        if line[0].isspace():
            told = True
            known.update((k, f"{known.get(k, '')} {line.strip()}".strip()) for k in keys)
        else:
            keys = [line.rstrip()] if told else [*keys, line.rstrip()]
            told = False
    return known


def main():
    only = sys.argv[1:] or sorted(UNITS)
    todo = [m for name in only for m in mutants_of(name)]
    keys = {m.key for m in todo}
    part, parts = map(int, os.environ.get("PART", "1/1").split("/"))
    todo = todo[part - 1::parts]
    sample = int(os.environ.get("MUTANTS") or 0)
    if sample:
        seed = int(os.environ.get("SEED") or random.randrange(1 << 30))
        print(f"a sample of {sample} of {len(todo)}, SEED={seed}")
        todo = random.Random(seed).sample(todo, min(sample, len(todo)))
    tried = {m.key for m in todo}
    known, bench, lock = explained(), Bench(), threading.Lock()
    killed, survived, done = {}, [], 0

    def attempt(m):
        nonlocal done
        with tempfile.TemporaryDirectory() as d:
            by = bench.noticed_by(m, pathlib.Path(d))
        with lock:
            done += 1
            if by:
                killed[by.split(":")[0]] = killed.get(by.split(":")[0], 0) + 1
            if os.environ.get("VERBOSE") and by:
                print(f"{by}\t{m.key}", flush=True)
            if by is None:
                survived.append(m)
                if m.key not in known:
                    print(m.key, flush=True)
            if done % 100 == 0:
                print(f"... {done} of {len(todo)}", file=sys.stderr, flush=True)

    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for f in [pool.submit(attempt, m) for m in todo]:
            f.result()
    stale = sorted(set(known) & tried - {m.key for m in survived} |
                   {k for k in known if k.split(":")[0] in only} - keys)
    for key in stale:
        print(f"not a survivor (any more): {key}")
    good, n = sum(m.key in known for m in survived), sum(killed.values())
    print("killed by " + ", ".join(f"{k} {v}" for k, v in sorted(killed.items())))
    print(f"{n} killed, {len(survived)} survived ({good} explained)")
    bad = len(survived) - good
    print(f"{n + good} passed, {bad + len(stale)} failed")
    return 1 if stale or bad or n < 0.95 * (n + len(survived)) else 0


if __name__ == "__main__":
    sys.exit(main())

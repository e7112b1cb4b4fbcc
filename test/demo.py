#!/usr/bin/python3
"""make demo: watch the real program at work, against a fake Kubernetes API server.

Two streaming jobs, one after the other: nobody watches the first any more, the second completes.
What happens is told line by line as it happens, and checked at the end of each act.
"""
import argparse
import asyncio
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

from cleaner import BINARY
from fakekube import FakeKube

BUSY, QUIET = "900m", "2m"
NEIGHBOUR_ID = "7-31"
UUID = re.compile(r"\b([0-9a-f]{8})-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b")
COLOURS = {"cluster": "36", "request": "33", "log": "32", "title": "1", "ok": "32", "FAIL": "1;31",
           "time": "2"}
INTRO = """
This is the program itself, over TLS, against a fake Kubernetes API server. In a cluster it checks
the CPU every 10 s; here, every {interval:g} s. Three voices tell what happens:
"""
VOICES = {
    "cluster": "what happens in the cluster",
    "request": "what the program asks of the API server, and the answer's status (GETs left out)",
    "log": "what the program logs (ts= and level=info left out, uids shortened)",
}
OUTRO = """
Seen: a job that was torn down after five idle checks in a row, and one as soon as it completed.
Nothing of them is left, and their neighbour never noticed.
Next: `make test` runs all tests; README.md, "Use it", says how to put it into a cluster.
"""


class Failure(Exception):
    """Something that was to be seen was not."""


class Screen:
    """stdout: colours if a person looks at it, every line at once, no wider than 100 columns."""

    def __init__(self):
        terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        self.coloured = terminal and not os.environ.get("NO_COLOR")
        self.width = max(60, min(100, shutil.get_terminal_size((100, 24)).columns))
        sys.stdout.reconfigure(line_buffering=True, errors="replace")

    def paint(self, style, text):
        return f"\033[{COLOURS[style]}m{text}\033[0m" if self.coloured else text

    def print(self, text=""):
        try:
            sys.stdout.write(text + "\n")      # one call: two threads print
        except BrokenPipeError:     # `make demo | head`: nobody reads on
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            os.kill(os.getpid(), signal.SIGINT)

    def prose(self, text):
        self.print(textwrap.fill(text, self.width, break_on_hyphens=False))

    def row(self, head, width, text):
        """`head` is `width` columns wide and may hold colours; `text` is wrapped behind it."""
        lines = textwrap.wrap(text, self.width - width, break_on_hyphens=False)
        self.print(head + ("\n" + " " * width).join(lines))


# ---- what is worth telling, as words ----

def cluster_words(kind, event, asked):
    """What became of an object, or None where a reader would not care. `asked`: by a request."""
    new, old, name = event.obj, event.old, f"{kind.kind} {event.obj['metadata']['name']}"
    if kind.kind == "Event":
        return f"Event {new['reason']}: {new['message']}"
    if event.type == "ADDED":
        return None if kind.kind == "Pod" else f"{name} is created"     # a Pod: once it runs
    if event.type == "DELETED":
        collected = not asked and "ownerReferences" in new["metadata"]
        return f"{name} is gone{', after its owner' if collected else ''}"
    for key, words in (("deletionTimestamp", "is terminating"),
                       ("ownerReferences", "belongs to the Job now, and goes with it")):
        if key in new["metadata"] and key not in old["metadata"]:
            return f"{name} {words}"
    return status_words(name, new["status"], old["status"])


def status_words(name, new, old):
    if new.get("phase") != old.get("phase"):
        return f"{name} is {new['phase']}"
    conditions = [c["type"] for c in new.get("conditions", []) if c["status"] == "True"]
    if "Complete" in conditions and new.get("conditions") != old.get("conditions"):
        return f"{name} is Complete"
    return None


def request_words(request):
    resource = "pod metrics" if request.group == "metrics.k8s.io" else request.resource
    words = f"{request.verb.upper()} {resource} {request.name}".rstrip()
    for selector in request.query.get("labelSelector", []):
        words += " with " + selector.rpartition("/")[2]
    if request.verb == "delete":
        terms = request.body.get("preconditions", {}).items()
        words += " if still " + " and ".join(f"{k}={v}" for k, v in terms) if terms else ""
    return f"{words} -> {answer_words(request)}"


def answer_words(request):
    if request.group == "metrics.k8s.io" and request.status == 200:
        cpu = [c["usage"]["cpu"] for item in json.loads(request.answer)["items"]
               for c in item["containers"]]
        return "200, cpu " + "+".join(cpu) if cpu else "200, nothing"
    gone = request.verb == "delete" and request.status == 404
    return f"{request.status}{', gone already' if gone else ''}"


def log_words(line):
    return re.sub(r"^ts=\S+ (level=info )?", "", line)


# ---- who tells it ----

class Timeline:
    """Tells one story in the order in which it happens.

    All of it runs on the fake server's thread, which sees requests and changes one by one. The
    program logs before it asks, so its pipe is read before anything else is told.
    """

    def __init__(self, screen, kube):
        self.screen = screen
        self.pipe, self.rest = None, b""
        self.held = None        # changes made by the request that is being handled
        self.restart()
        kube.call(kube.store.listeners.append, self.on_change)
        kube.before(self.on_request, times=None, when=lambda r: r.method != "GET")
        kube.after(self.on_answer, times=None, when=lambda r: r.verb != "get")

    def restart(self):
        self.start = time.monotonic()

    def tell(self, voice, text):
        if voice != "log":
            self.read_pipe()
        text = UUID.sub(r"\1", text)
        if text.startswith("msg=settings "):    # they are many
            text = textwrap.shorten(text, self.screen.width - 17, placeholder=" ...",
                                    break_on_hyphens=False)
        at = self.screen.paint("time", f"{time.monotonic() - self.start:5.2f}s")
        self.screen.row(f"{at}  {self.screen.paint(voice, f'{voice:7}')}  ", 17, text)

    # ---- the cluster and the requests ----

    def on_change(self, kind, event):
        asked = self.held is not None
        words = cluster_words(kind, event, asked)
        if words and asked:
            self.held.append(words)
        elif words:
            self.tell("cluster", words)

    def on_request(self, _kube, _request):
        self.held = []

    def on_answer(self, _kube, request):
        held, self.held = self.held or [], None
        self.tell("request", request_words(request))
        for words in held:
            self.tell("cluster", words)

    # ---- the log ----

    def open_pipe(self, pipe):
        os.set_blocking(pipe.fileno(), False)
        self.pipe, self.rest = pipe, b""
        asyncio.get_running_loop().add_reader(pipe, self.read_pipe)

    def read_pipe(self):
        while self.pipe:
            try:
                data = os.read(self.pipe.fileno(), 65536)
            except BlockingIOError:
                return
            if not data:
                self.close_pipe()
            *lines, self.rest = (self.rest + data).split(b"\n")
            for line in lines:
                self.tell("log", log_words(line.decode("utf-8", "replace")))

    def close_pipe(self):
        if self.pipe:
            asyncio.get_running_loop().remove_reader(self.pipe)
            self.pipe = None


class Program:
    """One process of the program, with the environment that its pod would have."""

    def __init__(self, kube, timeline, binary, **env):
        sanitizers = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
        self.kube, self.timeline = kube, timeline
        self.process = subprocess.Popen([binary], env={**sanitizers, **kube.env(), **env},
                                        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.process.kill()
        self.process.wait()
        self.kube.call(self.timeline.close_pipe)
        self.process.stdout.close()

    def listen(self):
        self.kube.call(self.timeline.open_pipe, self.process.stdout)

    @property
    def status(self):
        """The exit status; None while it runs."""
        return self.process.poll()

    def wait(self, seconds):
        self.kube.wait_for(lambda: self.status is not None, seconds, "the program's end")
        self.kube.call(self.timeline.read_pipe)
        return self.status


# ---- the acts ----

class Pair:
    """The names of a streaming job's objects, and what is there of them."""

    def __init__(self, kube, job_id):
        self.kube = kube
        self.job_id, self.job = job_id, f"grpc-job-{job_id}"
        self.service, self.cleaner = f"grpc-service-{job_id}", f"cleanup-job-{job_id}"

    def create(self, cpu):
        self.kube.create_job(self.job, cpu=cpu, containers=("grpc-server",))
        self.kube.create_service(self.service)

    def create_cleaner(self):
        self.kube.create_job(self.cleaner, containers=("cleanup",))

    def objects(self):
        """As they are, down to the resourceVersion."""
        mine = (self.job, self.service, self.cleaner)
        found = self.kube.jobs() + self.kube.services() + self.kube.pods()
        return [o for o in found if o["metadata"]["name"] in mine
                or o["metadata"]["name"].startswith((self.job + "-", self.cleaner + "-"))]

    def left(self):
        return [f"{o['kind']} {o['metadata']['name']}" for o in self.objects()]


class Demo:
    """The stage: what is the same in both acts."""

    def __init__(self, screen, kube, binary, interval):
        self.screen, self.kube, self.binary, self.interval = screen, kube, binary, interval
        self.termination_log = kube.dir / "termination-log"
        self.neighbour = Pair(kube, NEIGHBOUR_ID)
        self.neighbour.create(QUIET)
        self.before = self.neighbour.objects()
        self.patience = 20 + 20 * interval      # seconds until something is sure to be wrong
        self.timeline = Timeline(screen, kube)
        self.pair = self.program = None
        kube.metrics.advance()
        kube.gc_delay, kube.pod_grace = 0.4 * interval, interval

    def act(self, title, story, job_id, play, trigger):
        self.heading(title, story)
        self.pair = Pair(self.kube, job_id)
        self.kube.clear_requests()
        self.timeline.restart()
        self.kube.call(self.set_stage)
        self.pause(2)
        self.kube.call(self.pair.create_cleaner)
        with Program(self.kube, self.timeline, self.binary, JOB_ID=job_id,
                     CHECK_INTERVAL_SECONDS=str(self.interval),
                     TERMINATION_LOG=str(self.termination_log)) as self.program:
            self.program.listen()
            play(self)
            status = self.program.wait(self.patience)
        self.verdict(status, trigger)

    def heading(self, title, story):
        self.screen.print("\n" + self.screen.paint("title", f"== {title} =="))
        self.screen.prose(story)
        self.screen.print()
        self.pause(3)

    def set_stage(self):
        self.termination_log.write_text("")
        self.pair.create(BUSY)
        self.timeline.tell("cluster", f"{self.pair.job} streams and uses {BUSY} of CPU")
        self.timeline.tell("cluster", f"{self.neighbour.job}, an unrelated job, is there, too, "
                           "and idle")

    def pause(self, checks):
        time.sleep(checks * self.interval)

    def wait_checks(self, count):
        """Until the program has looked at the CPU so often, and has found no reason to act."""
        def checks():
            return len(self.kube.find_requests(verb="list", group="metrics.k8s.io", done=True))
        self.kube.wait_for(lambda: checks() >= count or self.program.status is not None,
                           self.patience, f"{count} checks of the CPU")
        if self.program.status is not None:
            self.program.wait(1)
            raise Failure("the program ended while the job was streaming: "
                          f"exit status {self.program.status}")
        if self.kube.job(self.pair.job) is None:
            raise Failure("the program deleted the Job while it was streaming")

    def change(self, words, fn, *args):
        """Something that happens to the job from outside, in one piece with its words."""
        def run():
            self.timeline.tell("cluster", words)
            fn(*args)
        self.kube.call(run)

    # ---- was it so? ----

    def verdict(self, status, trigger):
        left = self.what_is_left() if status == 0 else self.pair.left()
        log = self.termination_log.read_text().strip()
        self.screen.print()
        results = [
            self.check(status == 0, f"the program's exit status is {status}"),
            self.check(self.is_summary(log, trigger),
                       "the termination log says: " + (log.replace(",", ", ") or "nothing")),
            self.check(not left,
                       "the Job, its pod, its Service and the program's own Job are gone",
                       "still there: " + ", ".join(left)),
            self.check(self.neighbour.objects() == self.before,
                       f"the unrelated {self.neighbour.job}, its pod and its Service are "
                       "exactly as they were",
                       f"the unrelated {self.neighbour.job}, its pod or its Service is not as "
                       "it was")]
        if not all(results):
            raise Failure("not as it should be, see above")
        self.pause(2)

    def check(self, good, text, otherwise=None):
        word = "ok" if good else "FAIL"
        self.screen.row(f"  {self.screen.paint(word, f'{word:4}')}  ", 8,
                        text if good else otherwise or text)
        return good

    def what_is_left(self):
        """Pods may still be terminating when the program is done."""
        try:
            self.kube.wait_for(lambda: not self.pair.left(), 2 + 4 * self.interval, "all gone")
        except AssertionError:
            pass
        return self.pair.left()

    @staticmethod
    def is_summary(log, trigger):
        try:
            said = json.loads(log)
        except ValueError:
            return False
        fates = {said.get(key) for key in ("job", "service", "self")}
        return said.get("trigger") == trigger and fates <= {"deleted", "absent"}


def idle_away(demo):
    demo.wait_checks(4)
    demo.change(f"{demo.pair.job}: its viewers leave, CPU goes from {BUSY} to {QUIET}",
                demo.kube.set_cpu, demo.pair.job, QUIET)


def complete(demo):
    demo.wait_checks(4)
    demo.pause(0.5)
    demo.change(f"{demo.pair.job}: its stream comes to its end",
                demo.kube.complete_job, demo.pair.job)


ACTS = (
    ("Act 1: nobody watches any more",
     "A job streams. Then its viewers leave, and its CPU stays at or below 4m, the threshold. "
     "After five idle checks in a row the program deletes the Job, sees to it that its pod and "
     "its Service go, and deletes its own Job last.",
     "12-70788", idle_away, "idle"),
    ("Act 2: the job completes",
     "Another job streams to its end. The program watches the Job, so it does not wait for the "
     "next check: it acts at once.",
     "12-70789", complete, "completed"),
)


def introduce(screen, interval):
    screen.print(screen.paint("title", "cleanup-grpc, a demonstration"))
    screen.prose(INTRO.format(interval=interval).strip())
    for voice, meaning in VOICES.items():
        screen.row(f"  {screen.paint(voice, f'{voice:7}')}  ", 11, meaning)


def perform(binary, interval):
    screen = Screen()
    introduce(screen, interval)
    with (tempfile.TemporaryDirectory(prefix="cleanup-demo-") as directory,
          FakeKube(dir=directory) as kube):
        demo = Demo(screen, kube, binary, interval)
        for act in ACTS:
            demo.act(*act)
        screen.print(OUTRO.rstrip())


# ---- the command line ----

def interrupt(_number, _frame):
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)   # once is enough
    raise KeyboardInterrupt


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("binary", nargs="?", default=BINARY, help="the program (%(default)s)")
    parser.add_argument("--interval", type=float, default=0.5, metavar="SECONDS",
                        help="between two checks of the CPU (%(default)s)")
    options = parser.parse_args()
    if not os.path.isfile(options.binary) or not os.access(options.binary, os.X_OK):
        parser.exit(2, f"demo: {options.binary} is missing or no program: run `make` first\n")
    if not 0.05 <= options.interval <= 10:
        parser.exit(2, "demo: --interval is 0.05 to 10 seconds\n")
    return options


def main():
    options = parse_arguments()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    try:
        perform(os.path.abspath(options.binary), options.interval)
    except KeyboardInterrupt:
        print("\ndemo: interrupted", file=sys.stderr)
        sys.exit(130)
    except (Failure, AssertionError, OSError) as e:
        sys.exit(f"\ndemo: FAILED: {e}")


if __name__ == "__main__":
    main()

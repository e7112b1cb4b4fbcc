#!/usr/bin/python3
"""Draws docs/timeline.svg: how one job went idle and was torn down, from the program's own log.

docs/timeline.py BINARY > docs/timeline.svg

plays the CPU readings of PLAY to the real program, with the fake API server of the tests, and draws
what it logs. Checks stand on the grid of the default interval, so that each run draws the same.
"""
import dataclasses
import json
import math
import os
import pathlib
import re
import subprocess
import sys
import tempfile
from xml.sax.saxutils import escape

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "test"))

from fakekube import FakeKube  # noqa: E402  pylint: disable=wrong-import-position

JOB_ID = "12-70788"
INTERVAL = 0.15     # of the real run
GRID = 10           # seconds between checks by default: what the axis says
# What the metrics API says at each check; None: 503. The last one stays.
PLAY = ("900m", "870m", "3m", "2m", "60m", "450m", "3m", "2m", None, "2m", "3m", "2m")


# ---- The run ----

class Failure(Exception):
    """The run was not as it should be."""


def play(binary):
    """The lines that the program logs over PLAY."""
    with tempfile.TemporaryDirectory(prefix="timeline-") as directory, \
            FakeKube(dir=directory) as kube:
        job, cues = f"grpc-job-{JOB_ID}", iter(PLAY)
        kube.create_job(job, containers=("grpc-server",))
        kube.create_service(f"grpc-service-{JOB_ID}")
        kube.create_job(f"cleanup-job-{JOB_ID}", containers=("cleanup",))
        kube.metrics.advance()      # each check sees a new sample

        def cue(_kube, _request):
            cpu = next(cues, PLAY[-1])
            kube.metrics.up = cpu is not None
            if cpu:
                kube.set_cpu(job, cpu)
        kube.before(cue, times=None, verb="list", group="metrics.k8s.io")
        return run(binary, kube, directory)


def run(binary, kube, directory):
    sanitizers = {k: v for k, v in os.environ.items() if k.endswith("SAN_OPTIONS")}
    env = {**sanitizers, **kube.env(), "JOB_ID": JOB_ID, "CHECK_INTERVAL_SECONDS": str(INTERVAL),
           "LOG_FORMAT": "json", "LOG_LEVEL": "debug",
           "TERMINATION_LOG": os.path.join(directory, "termination-log")}
    done = subprocess.run([binary], env=env, stdin=subprocess.DEVNULL, capture_output=True,
                          text=True, errors="replace", timeout=60, check=False)
    if done.returncode != 0:
        raise Failure(f"{binary} exits {done.returncode}; it logged:\n{done.stderr}")
    return done.stderr.splitlines()


# ---- The log ----

@dataclasses.dataclass
class Check:
    """One CPU reading: what it was, and the idle count behind it."""
    kind: str           # active, idle or unknown
    count: int
    cpu: str = ""       # as logged: 2m
    millicores: float = 0
    why: str = ""       # of an unknown one


@dataclasses.dataclass
class Story:
    """What the log tells."""
    checks: list = dataclasses.field(default_factory=list)
    threshold: str = "4m"
    limit: int = 5
    interval_ms: int = GRID * 1000
    trigger: str = ""
    why: str = ""
    adopted: bool = False       # the Service belongs to the Job
    fates: list = dataclasses.field(default_factory=list)   # (what, name, outcome)


def millicores(text):
    if not re.fullmatch(r"\d+(\.\d+)?m", text):
        raise ValueError(f"not millicores: {text}")
    return float(text[:-1])


def count_of(value):
    """A number that the idle count or its limit can have."""
    if not 0 <= int(value) <= 10000:
        raise ValueError(f"not a count: {value}")
    return int(value)


def take(story, line):
    """Adds one line of the log to the story; other lines change nothing."""
    msg = line.get("msg")
    if msg == "settings":
        story.interval_ms = int(line["interval_ms"])
    elif msg in ("active", "idle check"):
        count, limit = (count_of(n) for n in line["check"].split("/"))
        check = Check("idle" if msg == "idle check" else "active", count, line["cpu"],
                      millicores(line["cpu"]))
        millicores(line["threshold"])
        story.limit, story.threshold = max(1, limit), line["threshold"]
        story.checks.append(check)
    elif msg == "cpu unknown":
        story.checks.append(Check("unknown", count_of(line["count"]), why=str(line["why"])))
    elif msg == "service adopted":
        story.adopted = True
    elif msg == "teardown":
        story.trigger, story.why = str(line["trigger"]), str(line["why"])
    elif msg in ("job", "pods", "service", "self") and story.trigger:
        story.fates.append((msg, str(line["name"]), str(line["outcome"])))


def read_log(lines):
    """The story of a log; what is no line of it is passed over."""
    story = Story()
    for text in lines:
        try:
            take(story, json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
            pass    # of another program, or cut off
    return story


# ---- Words ----

def effect(before, check):
    """What a reading does to the count."""
    if check.kind == "idle":
        return "count +1"
    if check.kind == "unknown":
        return "count stays"
    return "count back to 0" if before else "count is 0"


def fate_words(story, what, outcome):
    if what == "service" and outcome == "absent" and story.adopted:
        return "went with its Job"
    return "is gone already" if outcome == "absent" else outcome


def at(number):
    """Seconds at which a check lies on the axis."""
    return number * GRID


def trigger_words(story):
    """(heading, line, line); the run's own seconds are not those of the axis."""
    idle = [i for i, check in enumerate(story.checks) if check.kind == "idle"]
    count = story.checks[idle[-1]].count if idle else 0
    seconds = at(idle[-1] - idle[-count]) if count else 0
    what, _, _ = story.why.partition(" over ")
    return (f"trigger: {story.trigger}", what,
            f"over {seconds} s" if story.trigger == "idle" else "")


def describe(story):
    """The picture in words."""
    runs, parts = segments(story.checks), []
    for first, last in runs:
        check = story.checks[first]
        values = ", ".join(c.cpu for c in story.checks[first:last + 1] if c.cpu) or check.why
        when = f"{at(first)} s" if first == last else f"{at(first)} to {at(last)} s"
        parts.append(f"{when}: {check.kind} ({values}), count {story.checks[last].count}.")
    if story.trigger:
        parts.append(f"Then it is torn down: {trigger_words(story)[1]}. " + " ".join(
            f"{name}: {fate_words(story, what, outcome)}." for what, name, outcome in story.fates))
    return " ".join(parts)


def segments(checks):
    """(first, last) of each run of checks of one kind."""
    runs = []
    for i, check in enumerate(checks):
        if runs and checks[runs[-1][1]].kind == check.kind:
            runs[-1] = (runs[-1][0], i)
        else:
            runs.append((i, i))
    return runs


# ---- The picture ----

WIDTH, HEIGHT = 980, 572
LEFT, RIGHT = 108, 706      # of the checks
STEP_MAX = 52
BAND, CPU_TOP, CPU_BOTTOM, COUNT_TOP, COUNT_BOTTOM = 84, 150, 322, 366, 466
CPU_MIN, CPU_MAX = 0.6, 1000    # millicores: the ends of the scale
COLOURS = {"active": "#0969da", "idle": "#bc4c00", "unknown": "#6e7781"}
TINTS = {"active": "#ddf4ff", "idle": "#fff1e5", "unknown": "#eaeef2"}
STYLE = """
text { font: 14px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif;
  fill: #1f2328 }
.title { font-size: 19px; font-weight: 600 } .small { font-size: 12.5px; fill: #59636e }
.s { font-size: 12.5px }
.b { font-weight: 600 } .mid { text-anchor: middle } .end { text-anchor: end }
.grid { stroke: #d8dee4; stroke-width: 1 } .axis { stroke: #8c959f; stroke-width: 1.2; fill: none }
.limit { stroke: #cf222e; stroke-width: 1.5; stroke-dasharray: 7 4 }
.steps { stroke: #1f2328; stroke-width: 2.5; fill: none }
.mark { stroke: #cf222e; stroke-width: 2 } .gone { stroke: #cf222e; stroke-width: 1.5 }
.red { fill: #cf222e } .active { fill: #0969da } .idle { fill: #bc4c00 } .unknown { fill: #59636e }
""".strip()


def clean(text):
    """As XML text: no character that XML does not have, no markup."""
    return escape(re.sub("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", "\ufffd", text))


def number(value):
    return f"{value:.1f}".removesuffix(".0")


class Picture:
    """SVG elements, one a line."""

    def __init__(self, story):
        self.story, self.parts = story, []
        self.step = min(STEP_MAX, (RIGHT - LEFT) / max(1, len(story.checks) - 1))
        self.label_every = max(1, math.ceil(44 / self.step))

    # ---- shapes ----

    def add(self, text):
        self.parts.append(text)

    def text(self, x, y, words, kind=""):
        self.add(f'<text x="{number(x)}" y="{number(y)}"' + (f' class="{kind}"' if kind else "")
                 + f">{clean(words)}</text>")

    def line(self, x1, y1, x2, y2, kind):
        self.add(f'<line x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}" '
                 f'class="{kind}"/>')

    def rect(self, x, y, width, height, fill, more=""):
        self.add(f'<rect x="{number(x)}" y="{number(y)}" width="{number(width)}" '
                 f'height="{number(height)}" fill="{fill}"{more}/>')

    # ---- places ----

    def x(self, check):
        return LEFT + 26 + check * self.step

    def y_cpu(self, value):
        value = min(max(value, CPU_MIN), CPU_MAX)
        return CPU_BOTTOM - (CPU_BOTTOM - CPU_TOP) * math.log10(value / CPU_MIN) / math.log10(
            CPU_MAX / CPU_MIN)

    def y_count(self, count):
        return COUNT_BOTTOM - (COUNT_BOTTOM - COUNT_TOP) * min(1, count / self.story.limit)

    @property
    def end(self):
        return self.x(max(0, len(self.story.checks) - 1))

    # ---- parts ----

    def heading(self):
        story = self.story
        self.text(24, 34, f"Idle: {story.limit} checks in a row with CPU at or below "
                  f"{story.threshold}. Then the job goes.", "title")
        self.text(24, 58, "Above it: the count goes back to 0. No usable reading: the count stays, "
                  "for up to three intervals. 1000m is one core.", "small")

    def bands(self):
        """What each run of checks is, and what it does to the count."""
        checks = self.story.checks
        for first, last in segments(checks):
            left, width = self.x(first) - self.step / 2 + 1, (last - first + 1) * self.step - 2
            self.rect(left, BAND, width, COUNT_BOTTOM - BAND, TINTS[checks[first].kind])
            self.rect(left, BAND, width, 4, COLOURS[checks[first].kind])
        for first, last in segments(checks):    # may be wider than its band
            kind, x = checks[first].kind, (self.x(first) + self.x(last)) / 2
            head, _, tail = effect(checks[first - 1].count if first else 0,
                                   checks[first]).partition(" ")
            self.text(x, BAND + 21, kind, f"b mid {kind}{'' if last > first else ' s'}")
            self.text(x, BAND + 38, head, "small mid")
            self.text(x, BAND + 53, tail, "small mid")

    def axes(self):
        right = self.end + self.step / 2
        for value in (1, 10, 100, 1000):
            self.line(LEFT, self.y_cpu(value), right, self.y_cpu(value), "grid")
            self.text(LEFT - 8, self.y_cpu(value) + 4, f"{value}m", "small end")
        self.text(24, CPU_TOP - 16, "CPU", "b")
        limit = self.y_cpu(millicores(self.story.threshold))
        self.line(LEFT, limit, right, limit, "limit")
        self.text(LEFT - 8, limit + 4, f"threshold {self.story.threshold}", "small end red")
        for count in sorted({*range(0, self.story.limit, math.ceil(self.story.limit / 5)),
                             self.story.limit}):
            self.line(LEFT, self.y_count(count), right, self.y_count(count), "grid")
            full = count == self.story.limit
            self.text(LEFT - 8, self.y_count(count) + 4, f"trigger {count}" if full else str(count),
                      "small end red" if full else "small end")
        self.text(24, COUNT_TOP - 16, "idle count", "b")
        self.line(LEFT, COUNT_TOP, right, COUNT_TOP, "limit")
        self.line(LEFT, COUNT_BOTTOM, right, COUNT_BOTTOM, "axis")
        for i in range(0, len(self.story.checks), self.label_every):
            self.line(self.x(i), COUNT_BOTTOM, self.x(i), COUNT_BOTTOM + 5, "axis")
            self.text(self.x(i), COUNT_BOTTOM + 20, f"{at(i)} s", "small mid")

    def readings(self):
        for i, check in enumerate(self.story.checks):
            x, words = self.x(i), f"{check.kind}, {check.cpu or check.why}"
            self.add(f'<g class="check {check.kind}"><title>{clean(f"{at(i)} s: {words}")}, count '
                     f'{check.count}/{self.story.limit}</title>')
            if check.kind == "unknown":
                y = (CPU_TOP + CPU_BOTTOM) / 2
                self.add(f'<circle cx="{number(x)}" cy="{number(y)}" r="12" fill="#fff" '
                         f'stroke="{COLOURS["unknown"]}" stroke-width="2" stroke-dasharray="4 3"/>')
                self.text(x, y + 5, "?", "b mid unknown")
            else:
                self.reading(i, check)
            self.add("</g>")

    def reading(self, i, check):
        x, y = self.x(i), self.y_cpu(check.millicores)
        if check.kind == "active":
            self.add(f'<circle cx="{number(x)}" cy="{number(y)}" r="6"/>')
        else:
            self.rect(x - 5.5, y - 5.5, 11, 11, COLOURS["idle"])
        if i % self.label_every == 0:
            marked = self.story.trigger and i == len(self.story.checks) - 1     # by a line
            self.text(x - (4 if marked else 0), y + 20, check.cpu,
                      "small end" if marked else "small mid")

    def steps(self):
        """The idle count, which changes at the checks."""
        path, count = f"M{LEFT} {number(self.y_count(0))}", 0
        for i, check in enumerate(self.story.checks):
            path += f"H{number(self.x(i))}"
            if check.count != count:
                path += f"V{number(self.y_count(check.count))}"
                count = check.count
        self.add(f'<path d="{path}H{number(self.end + self.step / 2)}" class="steps"/>')
        for i, check in enumerate(self.story.checks):
            if check.kind == "idle" and self.step >= 36:
                self.text(self.x(i) - 5, self.y_count(check.count) - 6,
                          f"{check.count}/{self.story.limit}", "small end idle")

    def ending(self):
        """The trigger, and what was deleted: in this order, not to scale."""
        heading, *lines = trigger_words(self.story)
        x = self.end
        self.line(x, BAND, x, COUNT_BOTTOM + 5, "mark")
        self.text(x + self.step / 2 + 8, BAND + 16, heading, "b red")
        for i, words in enumerate(lines):
            self.text(x + self.step / 2 + 8, BAND + 34 + 16 * i, words, "small")
        for i, (what, name, outcome) in enumerate(self.story.fates):
            left, y = x + self.step / 2 + 14 + 18 * i, CPU_TOP + 30 + 60 * i
            self.line(left, y - 12, left, COUNT_BOTTOM, "gone")
            self.add(f'<circle cx="{number(left)}" cy="{number(y - 12)}" r="4" class="red"/>')
            self.text(left + 9, y - 8, name, "small b")
            self.text(left + 9, y + 8, fate_words(self.story, what, outcome), "small")
        self.line(x + self.step / 2, COUNT_BOTTOM, WIDTH - 24, COUNT_BOTTOM, "axis")
        self.text(x + self.step / 2 + 8, COUNT_BOTTOM + 20, "the teardown, in this order", "small")

    def legend(self):
        whys = dict.fromkeys(check.why for check in self.story.checks if check.why)
        if whys:
            self.text(24, HEIGHT - 61, "Unknown, here: " + "; ".join(whys) + ".", "small")
        self.text(24, HEIGHT - 42, "Drawn by docs/timeline.py from the log of a real run against "
                  "the tests' fake API server.", "small")
        self.text(24, HEIGHT - 23, f"It checked every {self.story.interval_ms / 1000:g} s; the time "
                  f"axis is that of the default, a check every {GRID} s.", "small")

    # ---- all of it ----

    def draw(self):
        title = f"How an idle job is found: {self.story.limit} idle checks in a row"
        self.add(f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
                 f'width="{WIDTH}" height="{HEIGHT}" role="img" aria-labelledby="title desc">')
        self.add(f'<title id="title">{clean(title)}</title>')
        self.add(f'<desc id="desc">{clean(describe(self.story))}</desc>')
        self.add(f"<style>{STYLE}</style>")
        self.rect(0.5, 0.5, WIDTH - 1, HEIGHT - 1, "#ffffff", ' rx="8" stroke="#d0d7de"')
        self.heading()
        self.bands()
        self.axes()
        self.steps()
        self.readings()
        if self.story.trigger:
            self.ending()
        self.legend()
        self.add("</svg>")
        return "\n".join(self.parts) + "\n"


def draw(story):
    return Picture(story).draw()


def main():
    if len(sys.argv) != 2 or sys.argv[1].startswith("-"):
        sys.exit(__doc__.strip())
    try:
        story = read_log(play(os.path.abspath(sys.argv[1])))
        if not story.trigger:
            raise Failure("the log tells of no teardown")
    except (Failure, OSError, subprocess.TimeoutExpired) as e:
        sys.exit(f"timeline: {e}")
    sys.stdout.write(draw(story))


if __name__ == "__main__":
    main()

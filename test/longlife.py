"""longlife.py [CHECKS [RESTARTS]]: a program that watches for weeks must not grow.

Checks (100,000: eleven days at 10 s) and restarts of the watch (1,000: ended, reset, expired, cut
off with all connections) against the fake API server; libfaketime makes the program's clock run
SPEED times faster, so that it checks as fast as it can: about 5 minutes on a calm machine. Prints
memory, descriptors, connections and threads on the way; exit status 1 if after the first tenth any
of them has grown.
"""
import os
import pathlib
import re
import sys
import tempfile
import threading
import time

from cleaner import Cleaner
from fakekube import FakeKube

SPEED = 40
INTERVAL = 0.05             # the shortest that there is
LONG_ENOUGH = 11 / SPEED    # a watch that lived for 10 s of the program's is resumed at once
MARKS = (1, 10, 50, 100)    # per cent of both; at the second of them it is warm
GROWTH_KB = 256             # for malloc's moods: 3 bytes a check would be more
DEADLINE = int(os.environ.get("LONGLIFE_SECONDS", "3600"))
JOB_ID = "12-70788"
COLUMNS = ("%", "checks", "watches", "Rss", "private", "fds", "connections", "threads", "seconds")


class Life:
    """A busy job, the server that makes its watch end, and the program."""

    def __init__(self, checks, restarts, directory):
        self.checks, self.restarts, self.directory = checks, restarts, directory
        self.seen = self.watches = self.acts = 0
        self.opened = float("inf")      # when the watch that is open now was opened
        self.marks = {mark: threading.Event() for mark in MARKS}
        self.rows = []

    def on_check(self, kube, _request):
        """Hook, on the server's thread: what happens to a cluster in a year."""
        self.seen += 1
        done = min(self.seen / self.checks, self.watches / self.restarts)
        for mark, event in self.marks.items():
            if done >= mark / 100:
                event.set()
        if (time.monotonic() - self.opened > LONG_ENOUGH
                and self.seen >= self.acts * self.checks / self.restarts):
            self.opened = float("inf")
            self.acts += 1
            self.act(kube)

    def act(self, kube):
        kube.clear_requests()           # the server's memory is not what is looked at
        kube.set_cpu(f"grpc-job-{JOB_ID}", "900m" if self.acts % 2 else "1m")
        kind = self.acts % 8
        if kind == 7:
            kube.reset_connections()
        elif kind == 6:
            kube.compact()
            kube.reset_watches()
        elif kind == 5:
            kube.rotate_token()
            kube.end_watches()
        elif kind == 4:
            kube.touch("job", f"grpc-job-{JOB_ID}")
            kube.reset_watches()
        else:
            kube.end_watches()

    def on_watch(self, _kube, _request):
        self.watches += 1
        self.opened = time.monotonic()

    def run(self):
        """Returns the rows of the table."""
        self.started = time.monotonic()
        with FakeKube(dir=self.directory / "kube") as kube:
            kube.create_job(f"grpc-job-{JOB_ID}", cpu="900m")
            kube.create_service(f"grpc-service-{JOB_ID}")
            kube.create_job(f"cleanup-job-{JOB_ID}", containers=("cleanup",))
            kube.metrics.advance()
            kube.before(self.on_check, verb="list", group="metrics.k8s.io", times=None)
            kube.before(self.on_watch, verb="watch", times=None)
            for trigger in kube.server.before:
                trigger.hits = Nothing()
            env = {**kube.env(), "JOB_ID": JOB_ID, "LOG_LEVEL": "error", "TERMINATION_LOG": "/",
                   "CHECK_INTERVAL_SECONDS": INTERVAL, "MAX_CPU_USAGE_COUNT": 10000}
            with Cleaner(env, speed=SPEED) as cleaner:
                for mark, event in self.marks.items():
                    self.wait(event, cleaner)
                    self.measure(mark, cleaner.process.pid, kube)
                cleaner.signal()
                status = cleaner.wait(30)
                if status != 143 or cleaner.lines:
                    raise AssertionError(f"exit status {status}; the log is:\n{cleaner.text()}")
        return self.rows

    def wait(self, event, cleaner):
        while not event.wait(0.5):
            if cleaner.process.poll() is not None or time.monotonic() > self.started + DEADLINE:
                raise AssertionError(f"only {self.seen} checks; the log is:\n{cleaner.text()}")

    def measure(self, mark, pid, kube):
        proc = pathlib.Path(f"/proc/{pid}")
        memory = dict(re.findall(r"(\w+): +(\d+) kB", (proc / "smaps_rollup").read_text()))
        threads = int(re.search(r"Threads:\s+(\d+)", (proc / "status").read_text())[1])
        row = (mark, self.seen, self.watches, int(memory["Rss"]),
               int(memory["Private_Dirty"]),    # clean pages are whose else runs it, or not
               len(list((proc / "fd").iterdir())), kube.stats.open, threads,
               round(time.monotonic() - self.started))
        self.rows.append(row)
        print(" ".join(f"{value:>11}" for value in row), flush=True)


class Nothing(list):
    """Hits of a hook that are not kept."""

    def append(self, _):
        pass


def growth(rows, kilobytes=GROWTH_KB):
    """What has grown since it was warm, in words."""
    warm, end = (dict(zip(COLUMNS, row)) for row in (rows[1], rows[-1]))
    allowed = {"Rss": kilobytes, "private": kilobytes, "fds": 2, "connections": 2, "threads": 0}
    found = [f"{name}: {warm[name]} -> {end[name]}" for name, more in allowed.items()
             if end[name] > warm[name] + more]
    return found + [f"{row[7]} threads" for row in rows if row[7] != 1] + [
        f"{row[6]} connections" for row in rows if row[6] > 3]


def live(checks, restarts):
    """Prints the table and returns its rows."""
    print(" ".join(f"{name:>11}" for name in COLUMNS), flush=True)
    with tempfile.TemporaryDirectory(prefix="longlife-") as directory:
        return Life(checks, restarts, pathlib.Path(directory)).run()


def main(args):
    checks, restarts = ([int(a) for a in args] + [100_000, 1_000][len(args):])
    rows = live(checks, restarts)
    grown = growth(rows)
    print("grown: " + (", ".join(grown) or "nothing"))
    return 1 if grown else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

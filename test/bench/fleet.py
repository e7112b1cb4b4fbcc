#!/usr/bin/python3
"""fleet.py BINARY [N] - N cleaners at once against one fake API server: what they do, and cost.

Each has a job with a fate drawn from a fixed seed: it streams on, falls quiet for a while, idles,
completes or fails. The clock is shortened: a check comes every 10 / SPEED seconds, and stands for
one in 10 s; five minutes are 30 of them. In the middle the API server is gone for one interval, with
all connections. Prints a table, and exits with 1 if any job ended in another way than its fate, or
if one that is alive was touched.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import time

import memory

from fakekube import FakeKube

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SEED = 20
RAMP = 12                       # checks in which the cleaners are started
CHECKS = RAMP + 30              # of 10 s: five minutes with all of them
STEADY = (RAMP + 2, RAMP + 12)  # checks between which nothing but the jobs changes
OUTAGE = (RAMP + 14, RAMP + 15)
LAST = RAMP + 24                # no job ends of itself after this one
IDLE_CHECKS = 5
QUIET = 2.9                     # checks that are idle and yet no reason: at most four readings
BUSY, IDLE = "900m", "2m"
SLICE = 0.1                     # seconds: for the busiest moment after the outage
SHARES = {"streams on": 30, "falls quiet": 15, "idles": 20, "completes": 25, "fails": 10}
TRIGGERS = {"idles": "idle", "completes": "completed", "fails": "failed"}


class Life:
    """One job and its cleaner. Times are in checks since the start of the run."""

    def __init__(self, number, chance):
        self.job_id = f"{number}-{chance.randrange(10 ** 5):05}"
        self.fate = chance.choices(list(SHARES), list(SHARES.values()))[0]
        self.start = chance.uniform(0, RAMP)
        self.event = chance.uniform(self.start + 2, LAST)
        self.process = self.status = self.happened = None
        self.cpu = 0.0

    @property
    def job(self):
        return f"grpc-job-{self.job_id}"

    def names(self):
        return {self.job, f"grpc-service-{self.job_id}", f"cleanup-job-{self.job_id}"}

    def begin(self, kube, binary, directory, interval):
        self.uid = kube.create_job(self.job, cpu=BUSY)["metadata"]["uid"]
        kube.create_service(f"grpc-service-{self.job_id}")
        kube.create_job(f"cleanup-job-{self.job_id}", containers=("cleanup",))
        self.log, self.summary = directory / f"{self.job_id}.log", directory / f"{self.job_id}.json"
        self.summary.touch()
        env = {**kube.env(), "JOB_ID": self.job_id, "CHECK_INTERVAL_SECONDS": str(interval),
               "TERMINATION_LOG": str(self.summary)}
        with open(self.log, "wb") as log:
            self.process = subprocess.Popen([binary], env=env, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=log)

    def happen(self, kube):
        self.happened = time.monotonic()
        if self.fate in ("idles", "falls quiet"):
            kube.set_cpu(self.job, IDLE)
        elif self.fate == "completes":
            kube.complete_job(self.job)
        elif self.fate == "fails":
            kube.fail_job(self.job)

    def recover(self, kube):
        if self.fate == "falls quiet":
            kube.set_cpu(self.job, BUSY)

    def reap(self, wait=False):
        """Notes the exit status and the CPU, once it has ended; whether it has."""
        if self.process and self.status is None:
            pid, status, usage = os.wait4(self.process.pid, 0 if wait else os.WNOHANG)
            if pid:
                self.status = self.process.returncode = os.waitstatus_to_exitcode(status)
                self.cpu = usage.ru_utime + usage.ru_stime
        return self.status is not None

    def verdict(self, there, deletes, reads):
        """What is wrong, in words; None if it ended as it should. @reads: when its metrics were."""
        trigger = TRIGGERS.get(self.fate)
        if not trigger:
            if deletes or self.names() - there:
                return f"deleted, though it {self.fate}"
            return None if self.status == 143 else f"exit status {self.status}, want 143"
        if self.status != 0:
            return f"exit status {self.status}, want 0"
        told = json.loads(self.summary.read_text() or "{}").get("trigger")
        if told != trigger:
            return f"trigger {told}, want {trigger}"
        if self.names() & there:
            return f"left: {self.names() & there}"
        first = deletes[0].monotonic
        idle = sum(self.happened <= at < first for at in reads)
        if first < self.happened or (self.fate == "idles" and idle < IDLE_CHECKS):
            return f"deleted too soon, behind {idle} checks"
        return None


class Fleet:
    def __init__(self, binary, number, speed):
        chance = random.Random(SEED)
        self.binary, self.interval = os.path.abspath(binary), 10 / speed
        self.lives = [Life(n, chance) for n in range(1, number + 1)]
        self.rows = []

    def row(self, what, figure):
        self.rows.append((what, figure))

    def plan(self, kube, directory):
        """(check, function), in order."""
        acts = [(CHECKS, lambda: None), (STEADY[0], lambda: self.steady(kube, 0)),
                (STEADY[1], lambda: self.steady(kube, 1)),
                (OUTAGE[0], lambda: kube.refuse_connections(reset_open=True)),
                (OUTAGE[1], lambda: self.end_outage(kube))]
        for life in self.lives:
            acts.append((life.start, lambda life=life: life.begin(
                kube, self.binary, directory, self.interval)))
            acts.append((life.event, lambda life=life: life.happen(kube)))
            acts.append((life.event + QUIET, lambda life=life: life.recover(kube)))
        return sorted(acts, key=lambda act: act[0])

    def run(self):
        with tempfile.TemporaryDirectory(prefix="fleet-") as directory, FakeKube(
                dir=pathlib.Path(directory) / "kube") as kube:
            kube.metrics.resolution = 1.5 * self.interval
            kube.pod_grace, kube.gc_delay = 0, 0.25
            self.began = time.monotonic()
            late = 0
            try:
                for check, act in self.plan(kube, pathlib.Path(directory)):
                    wait = self.at(check) - time.monotonic()
                    if wait < -self.interval:
                        raise RuntimeError(f"{-wait:.1f} s late at check {check:.1f}: this machine "
                                           "is too small for so many cleaners at this speed")
                    late = max(late, -wait)
                    time.sleep(max(wait, 0))
                    act()
                self.finish(kube)
            finally:
                for life in self.lives:
                    if life.process and life.status is None:
                        os.kill(life.process.pid, signal.SIGKILL)
                        life.reap(wait=True)
            self.row("this bench was late by at most", f"{late:.2f} s")
            return self.judge(kube)

    def at(self, check):
        return self.began + check * self.interval

    def steady(self, kube, end):
        """Both ends of the steady window; memory is read at its end."""
        alive = [life for life in self.lives if life.process and not life.reap()]
        now = (time.monotonic(), kube.call(time.thread_time),
               {life.job_id: memory.cpu_of(life.process.pid) for life in alive})
        if not end:
            self.window = now
            return
        read = [memory.of_process(life.process.pid) for life in alive if not life.reap()]
        seconds = now[0] - self.window[0]
        cpu = sum(now[2][j] - self.window[2][j] for j in now[2] if j in self.window[2])
        counted = sum(j in self.window[2] for j in now[2])
        self.row("cleaners alive in the steady window", f"{len(read):,}")
        self.row("resident memory, sum of Rss", f"{sum(m.rss for m in read) / 1024:,.0f} MiB")
        self.row("proportional memory, sum of Pss", f"{sum(m.pss for m in read) / 1024:,.0f} MiB")
        self.row("Pss for one", f"{statistics.mean(m.pss for m in read):,.0f} kB")
        self.cost = 1000 * cpu / counted / (seconds / self.interval)
        self.row("CPU for one, in one interval", f"{self.cost:.2f} ms")
        self.row("CPU of all at 10 s intervals", f"{len(read) * self.cost / 1e4:.3f} cores")
        self.alive = len(read)
        self.steady_span = self.window[0], now[0]
        self.fake = (now[1] - self.window[1]) / seconds

    def end_outage(self, kube):
        self.back = time.monotonic()
        kube.allow_connections()

    def finish(self, kube):
        """All that should end gets the time for it; the others are told to."""
        def ended():
            return all(life.reap() for life in self.lives if life.fate in TRIGGERS)
        deadline = time.monotonic() + 10 * self.interval + 30
        while not ended() and time.monotonic() < deadline:
            time.sleep(0.2)
        for life in self.lives:
            if not life.reap():
                os.kill(life.process.pid, signal.SIGTERM)
        for life in self.lives:
            life.reap(wait=True)

    # ---- what came of it ----

    def judge(self, kube):
        requests = kube.requests
        there = {o["metadata"]["name"] for o in kube.jobs() + kube.services()}
        deletes = collections.defaultdict(list)
        for r in requests:
            if r.method == "DELETE":
                deletes[r.name.removeprefix("grpc-job-").removeprefix("grpc-service-")
                        .removeprefix("cleanup-job-")].append(r)
        reads = collections.defaultdict(list)
        for r in requests:
            if r.group == "metrics.k8s.io":
                reads[r.query["labelSelector"][0].partition("=")[2]].append(r.monotonic)
        wrong = {}
        for life in self.lives:
            verdict = life.verdict(there, deletes.pop(life.job_id, []), reads[life.uid])
            if verdict:
                tail = life.log.read_text(encoding="utf-8").splitlines()[-5:]
                wrong[life.job_id] = "\n    ".join([f"{life.fate}: {verdict}", *tail])
        for name in deletes:
            wrong[name] = "DELETE of something that is no job's"
        self.rates(requests)
        self.loop()
        for fate, count in collections.Counter(life.fate for life in self.lives).items():
            self.row(f"jobs: {fate}", f"{count:,}")
        self.row("ended in the right way", f"{len(self.lives) - len(wrong):,} of {len(self.lives):,}")
        return wrong

    def rates(self, requests):
        begin, end = self.steady_span
        window = [r for r in requests if begin <= r.monotonic < end]
        checks = [r for r in window if r.group == "metrics.k8s.io"]
        self.row("requests a second, as run", f"{len(window) / (end - begin):,.0f}")
        self.row("the same at 10 s intervals",
                 f"{len(window) / (end - begin) * self.interval / 10:,.0f}")
        self.row("requests for a check, all kinds", f"{len(window) / len(checks):.2f}")
        phases = collections.Counter(int(r.monotonic / self.interval * 20) % 20 for r in checks)
        self.row("check times: fullest twentieth of an interval / the mean",
                 f"{max(phases.values()) / (len(checks) / 20):.2f}")
        first = {}
        for r in requests:
            if r.monotonic >= self.back:
                first.setdefault(r.connection, r.monotonic - self.back)
        times = sorted(first.values())
        slices = collections.Counter(int(t / SLICE) for t in times)
        self.row("after the outage: connections", f"{len(times):,}")
        self.row("... half of them within", f"{statistics.median(times):.1f} s")
        self.row("... nine in ten within", f"{times[int(len(times) * 0.9)]:.1f} s")
        self.row(f"... in the busiest {SLICE:g} s", f"{max(slices.values()):,}")
        self.row("the fake API server's thread was busy",
                 f"{100 * self.fake:.0f} %" + (" - IT WAS THE LIMIT" if self.fake > 0.9 else ""))

    def loop(self):
        """The same with a loop over kubectl: by the figures of the last `make bench`."""
        path = ROOT / "build" / "bench.json"
        bench = json.loads(path.read_text()) if path.exists() else {}
        if not bench.get("cpu", {}).get("loop"):
            self.row("the same fleet as loops over kubectl", "not known: run `make bench`")
            return
        cpu, rss, requests, connections = (
            statistics.median(bench[k]["loop"]) for k in ("cpu", "rss", "requests", "connections"))
        number = self.alive
        self.row("the same as loops over kubectl: CPU", f"{number * cpu / 1e4:,.1f} cores")
        self.row("... memory of the kubectls that run at a time",
                 f"{number * cpu / 1e4 * rss / 1024:,.0f} MiB")
        self.row("... requests, new connections a second",
                 f"{number * requests / 10:,.0f}, {number * connections / 10:,.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("binary")
    parser.add_argument("number", nargs="?", type=int, default=1000)
    parser.add_argument("--speed", type=float, default=2, help="10 s take 10 / SPEED seconds")
    options = parser.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, 8 * options.number)), hard))
    fleet = Fleet(options.binary, options.number, options.speed)
    print(f"fleet: {options.number} cleaners, {CHECKS} checks of {fleet.interval:g} s, "
          f"seed {SEED}", flush=True)
    wrong = fleet.run()
    width = max(len(what) for what, _ in fleet.rows)
    for what, figure in fleet.rows:
        print(f"{what:<{width}}  {figure}")
    for job_id, words in wrong.items():
        print(f"WRONG: {job_id}: {words}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())

#!/usr/bin/python3
"""bench.py BINARY FLOOR - what this program costs beside a loop over kubectl (loop.sh), in one run.

Prints a table of medians (minimum to maximum) and of ratios of the means, and writes it to
build/bench.json. Both watch the same kind of job on the same fake API server over TLS, on this machine, one after the
other. Absolute times differ from machine to machine and from hour to hour: the ratios are what is
compared with a target, and a missed target is said, not an exit status. Without kubectl (KUBECTL
names another) only this program is measured. FLOOR is floor.c, built with the same libraries: what a
check would cost if there were nothing but libcurl and jansson.
"""
import contextlib
import json
import os
import pathlib
import random
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import memory

from fakekube import FakeKube

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CHECKS, PROCESSES = 120, 3          # for the CPU of a check
PACE = 1                            # s; at 50 ms caches are warm, and a check costs less
SHORT = 0.05                        # the shortest interval that the program takes
STARTS, FINISHES = 20, 100
AT_ONCE = 20                        # cleaners that wait for their job's finish
LOOP_CHECKS, LOOP_RUNS = 5, 3
LOOP_FINISHES, LOOPS_AT_ONCE = 20, 10
IDLE_SECONDS, INTERVAL = 60, 10
BUSY = "900m"


# ---- The stage ----

class Stage:
    """A fake API server, and the two ways to watch a job on it."""

    def __init__(self, binary, floor, kubectl):
        self.binary, self.floor, self.kubectl = binary, floor, kubectl
        self.numbers = 0
        self.home = None

    @contextlib.contextmanager
    def server(self):
        with tempfile.TemporaryDirectory(prefix="bench-") as directory, FakeKube(
                dir=pathlib.Path(directory) / "kube") as kube:
            kube.metrics.advance()
            kube.pod_grace = kube.gc_delay = 0
            kube.set_rules([("*", "*", "*")])
            self.home = pathlib.Path(directory)
            yield kube

    def pair(self, kube, cpu=BUSY):
        """A streaming job with its Service and its cleaner's Job; returns its id."""
        self.numbers += 1
        job_id = f"{self.numbers}-70788"
        kube.create_job(f"grpc-job-{job_id}", cpu=cpu)
        kube.create_service(f"grpc-service-{job_id}")
        kube.create_job(f"cleanup-job-{job_id}", containers=("cleanup",))
        return job_id

    def cleaner(self, kube, job_id, interval, prefix=(), port=None):
        env = {**kube.env(), "JOB_ID": job_id, "CHECK_INTERVAL_SECONDS": str(interval),
               "TERMINATION_LOG": os.devnull}
        if port:
            env["KUBERNETES_SERVICE_PORT"] = str(port)
        return subprocess.Popen([*prefix, self.binary], env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kube_env(self, kube, port=None):
        """For kubectl: who and where, and a home whose discovery cache is kept."""
        config = self.home / f"config-{port or kube.port}"
        authority = kube.service_account_dir / "ca.crt"
        config.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "bench",
            "clusters": [{"name": "bench", "cluster": {
                "server": f"https://127.0.0.1:{port or kube.port}",
                "certificate-authority": str(authority)}}],
            "users": [{"name": "bench", "user": {"token": kube.token}}],
            "contexts": [{"name": "bench", "context": {
                "cluster": "bench", "user": "bench", "namespace": kube.namespace}}]}))
        return {"PATH": os.environ["PATH"], "HOME": str(self.home), "KUBECONFIG": str(config),
                "KUBECTL": self.kubectl}

    def loop(self, kube, job_id, checks=None, interval=0, port=None):
        env = self.kube_env(kube, port) | {"INTERVAL": str(interval)}
        if checks is not None:
            env["CHECKS"] = str(checks)
        return subprocess.Popen([HERE / "loop.sh", job_id], env=env, stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def bare(self, kube, job_id, number, pause_ms):
        """FLOOR, asking for that job and its readings; prints the CPU of a check in ms."""
        apis, job = f"https://127.0.0.1:{kube.port}/apis", f"grpc-job-{job_id}"
        url = (f"{apis}/metrics.k8s.io/v1beta1/namespaces/{kube.namespace}/pods?labelSelector="
               + urllib.parse.quote(f"job-name={job}"))
        job_url = f"{apis}/batch/v1/namespaces/{kube.namespace}/jobs/{job}"
        return subprocess.Popen([self.floor, url, job_url, kube.service_account_dir / "ca.crt", kube.token,
                                 str(number), str(pause_ms)], stdout=subprocess.PIPE)


def stop(process):
    process.send_signal(signal.SIGTERM)
    process.wait(10)


def finished(process):
    """Waits for a process's end; what it and its children used."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{process.args}: exit status {process.returncode}")
    return usage


def is_check(request):
    return request.group == "metrics.k8s.io"


class Relay:
    """Passes TCP on to a port, and counts bytes and connections."""

    def __init__(self, target):
        self.target, self.bytes, self.connections = target, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.connections += 1
            server = socket.create_connection(("127.0.0.1", self.target))
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self._pass, args=pair, daemon=True).start()

    def _pass(self, source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                self.bytes += len(data)
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_WR)

    def close(self):
        self.listener.close()


# ---- What is measured: each returns {row: (samples of ours, samples of the loop)} ----

def sizes(stage):
    binary = [os.path.getsize(stage.binary)]
    kubectl = [os.path.getsize(os.path.realpath(stage.kubectl))] if stage.kubectl else []
    return {"binary": (binary, kubectl), "image": (image_size(), [])}


def image_size():
    """Of the files in the image that `make image-test` built last."""
    files = [p for p in (ROOT / "build" / "image" / "root").glob("*") if p.is_file()]
    return [sum(p.stat().st_size for p in files)] if files else []


def memory_of(stage):
    ours = [memory.measure(stage.binary)[0] for _ in range(3)]
    loop = []
    if stage.kubectl:
        with stage.server() as kube:
            job_id = stage.pair(kube)
            finished(stage.loop(kube, job_id, checks=1))        # fills kubectl's discovery cache
            loop = [largest_call(stage, kube, job_id) for _ in range(LOOP_RUNS)]
    return {"rss": ([m.rss for m in ours], [m[0] for m in loop]),
            "private": ([m.private for m in ours], [m[1] for m in loop]),
            "floor_private": ([memory_of_bare(stage) for _ in range(3)], [])}


def memory_of_bare(stage):
    """As memory.measure() does it: one of two, after 2.5 s."""
    with stage.server() as kube:
        job_id = stage.pair(kube)
        pair = [stage.bare(kube, job_id, CHECKS, 200) for _ in range(2)]
        time.sleep(2.5)
        try:
            return memory.of_process(pair[0].pid).private
        finally:
            for process in pair:
                process.kill()
                process.communicate()


def largest_call(stage, kube, job_id):
    """Resident and private memory (kB) at the largest moment of a `kubectl get` beside another."""
    calls = [subprocess.Popen([stage.kubectl, "get", "job", f"grpc-job-{job_id}"],
                              env=stage.kube_env(kube), stdout=subprocess.DEVNULL)
             for _ in range(2)]
    most = [0, 0]
    while all(call.poll() is None for call in calls):     # a single one would own the file's pages
        with contextlib.suppress(OSError, KeyError, ValueError, IndexError):
            now = memory.of_process(calls[0].pid)
            most = [max(most[0], now.rss), max(most[1], now.private)]
        time.sleep(0.001)
    if any(call.wait() for call in calls):
        raise RuntimeError("kubectl get failed")
    return most


def cpu(stage):
    """Milliseconds of CPU for a check: PROCESSES cleaners make CHECKS each, one in PACE, and as many of
    FLOOR beside them: what a wake-up costs here changes by half within minutes."""
    ours, loop = [], []
    with stage.server() as kube:
        jobs = [stage.pair(kube) for _ in range(PROCESSES)]
        cleaners = [stage.cleaner(kube, job_id, PACE) for job_id in jobs]
        floors = [stage.bare(kube, job_id, CHECKS, PACE * 1000) for job_id in jobs]
        kube.wait_for(lambda: own_checks_of(kube) > 12 * PROCESSES, 30 * PACE, "the first checks")
        before = [memory.cpu_of(c.pid) for c in cleaners]
        kube.clear_requests()
        kube.wait_for(lambda: own_checks_of(kube) >= (CHECKS - 12) * PROCESSES, 2 * CHECKS * PACE,
                      "all checks")
        made = own_checks_of(kube) / PROCESSES
        ours = [1000 * (memory.cpu_of(c.pid) - b) / made for c, b in zip(cleaners, before)]
        for cleaner in cleaners:
            stop(cleaner)
        apart = printed(floors)
        at_once = [printed([stage.bare(kube, job_id, 2000, 0)])[0] for job_id in jobs]
        if stage.kubectl:
            for _ in range(LOOP_RUNS):
                usage = finished(stage.loop(kube, jobs[0], LOOP_CHECKS))
                loop.append(1000 * (usage.ru_utime + usage.ru_stime) / LOOP_CHECKS)
    return {"cpu": (ours, loop), "floor": (apart, loop), "floor_at_once": (at_once, loop),
            "to_floor": ([statistics.median(ours) / statistics.median(apart)], [])}


def printed(processes):
    """The number that each prints at its end."""
    numbers = [process.communicate()[0] for process in processes]
    if any(process.returncode for process in processes):
        raise RuntimeError(f"{processes[0].args[0]} failed")
    return [float(number) for number in numbers]


def checks_of(kube):
    return sum(is_check(r) for r in kube.server.requests)


def own_checks_of(kube):
    """Without FLOOR's, which knows its Job by the name."""
    return sum(is_check(r) and "job-name" not in str(r) for r in kube.server.requests)


def first_check(stage):
    """Milliseconds from the start of the process to its first check."""
    def one(start):
        kube.clear_requests()
        started = time.monotonic()
        process = start()
        took = kube.wait_request(verb="list", group="metrics.k8s.io").monotonic - started
        return process, 1000 * took

    ours, loop = [], []
    with stage.server() as kube:
        job_id = stage.pair(kube)
        for _ in range(STARTS):
            process, took = one(lambda: stage.cleaner(kube, job_id, INTERVAL))
            stop(process)
            ours.append(took)
        for _ in range(LOOP_RUNS * 2 if stage.kubectl else 0):
            process, took = one(lambda: stage.loop(kube, job_id, checks=1))
            finished(process)
            loop.append(took)
    return {"start": (ours, loop[1:])}      # the first one filled kubectl's cache


def traffic(stage):
    """Requests, connections and bytes for a check, once the watch is open."""
    def count():
        return (len(kube.server.requests), kube.stats.accepted, relay.bytes)

    names, ours, loop = ("requests", "connections", "bytes"), [], []
    with stage.server() as kube:
        job_id = stage.pair(kube)
        relay = Relay(kube.port)
        cleaner = stage.cleaner(kube, job_id, SHORT, port=relay.port)
        kube.wait_for(lambda: checks_of(kube) > 20, 30, "the first checks")
        before, checks = count(), checks_of(kube)
        kube.wait_for(lambda: checks_of(kube) >= checks + 200, 60, "200 checks")
        after, checks = count(), checks_of(kube) - checks
        stop(cleaner)
        ours = [(b - a) / checks for a, b in zip(before, after)]
        if stage.kubectl:
            finished(stage.loop(kube, job_id, 1, port=relay.port))
            before = count()
            finished(stage.loop(kube, job_id, LOOP_CHECKS, port=relay.port))
            loop = [(b - a) / LOOP_CHECKS for a, b in zip(before, count())]
        relay.close()
    return {name: ([ours[i]], loop[i:i + 1]) for i, name in enumerate(names)}


def finish(stage):
    """Seconds from Complete to the first DELETE, and from there until everything is gone."""
    def batch(start, number, settle):
        kube.clear_requests()
        jobs = [stage.pair(kube) for _ in range(number)]
        running = [start(job_id) for job_id in jobs]
        kube.wait_for(lambda: checks_of(kube) >= number, 120, "the first checks")
        time.sleep(settle)
        noticed = []
        for job_id, process in zip(jobs, running):
            process.completed = time.monotonic()    # before: the DELETE may come during the call
            kube.complete_job(f"grpc-job-{job_id}")
            time.sleep(chance.uniform(0, settle))
        for job_id, process in zip(jobs, running):
            finished(process)
            deletes = [r for r in kube.server.requests
                       if r.method == "DELETE" and r.name.endswith(f"-{job_id}")]
            # the server notes it behind the answer, when the process may have ended
            kube.wait_for(lambda last=deletes[-1]: last.finished, 10, "the last DELETE")
            noticed.append((deletes[0].monotonic - process.completed,
                            deletes[-1].finished - deletes[0].monotonic))
        return noticed

    chance, ours, loop = random.Random(1), [], []
    with stage.server() as kube:
        for _ in range(FINISHES // AT_ONCE):
            ours += batch(lambda j: stage.cleaner(kube, j, INTERVAL), AT_ONCE, 0.1)
        for _ in range(LOOP_FINISHES // LOOPS_AT_ONCE if stage.kubectl else 0):
            # 2: their finishes are spread over a whole interval, or it would not be fair
            loop += batch(lambda j: stage.loop(kube, j, interval=INTERVAL), LOOPS_AT_ONCE, 2)
    return {name: ([1000 * o[i] for o in ours], [1000 * o[i] for o in loop])
            for i, name in enumerate(("noticed", "gone"))}


def idle_minute(stage):
    """Context switches, and how often poll() returned because of the time, at 10 s intervals."""
    def switches(pid):
        status = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
        return sum(int(n) for n in re.findall(r"ctxt_switches:\s+(\d+)", status))

    with stage.server() as kube:
        plain, traced = (stage.pair(kube) for _ in range(2))
        trace = stage.home / "trace"
        cleaner = stage.cleaner(kube, plain, INTERVAL)
        strace = stage.cleaner(kube, traced, INTERVAL, (
            "strace", "-D", "-o", str(trace), "-e", "trace=poll,ppoll,epoll_wait,epoll_pwait"))
        kube.wait_for(lambda: checks_of(kube) >= 2, 30, "the first checks")
        time.sleep(2)                       # adoption, the events of the start
        before = switches(cleaner.pid), len(trace.read_text().splitlines())
        time.sleep(IDLE_SECONDS)
        after = switches(cleaner.pid)
        lines = trace.read_text().splitlines()[before[1]:]
        stop(cleaner)
        stop(strace)
        loop = []
        for _ in range(LOOP_RUNS if stage.kubectl else 0):
            usage = finished(stage.loop(kube, plain, LOOP_CHECKS))
            loop.append((usage.ru_nvcsw + usage.ru_nivcsw) / LOOP_CHECKS * IDLE_SECONDS / INTERVAL)
    waits = [line for line in lines if not re.search(r", 0\) += ", line)]     # 0: only asked
    timed_out = sum("Timeout" in line for line in waits)
    return {"switches": ([after - before[0]], loop), "wakeups": ([len(waits)], []),
            "timeouts": ([timed_out], [])}


# ---- The table ----

class Row:
    """`least`: the loop's figure divided by ours; `most`: ours. A target of issue and contract."""

    def __init__(self, title, unit, digits=0, least=None, most=None):
        self.title, self.unit, self.digits, self.least, self.most = title, unit, digits, least, most
        self.ours, self.loop = [], []

    @property
    def ratio(self):
        if not self.ours or not self.loop or not statistics.median(self.ours):
            return None
        # what is noticed late is late on average: a median hides the ends of a uniform wait
        return statistics.mean(self.loop) / statistics.mean(self.ours)

    def number(self, value):
        return f"{value:,.{self.digits}f}"

    def words(self, samples):
        if not samples:
            return "-"
        text = self.number(statistics.median(samples))
        if len(samples) > 1:
            text += f" ({self.number(min(samples))} to {self.number(max(samples))})"
        return text

    def target(self):
        """In words, and whether it is met; None where it cannot be said."""
        if self.least is not None:
            return f"ratio >= {self.least:,}", None if self.ratio is None else self.ratio >= self.least
        if self.most is not None:
            met = statistics.median(self.ours) <= self.most if self.ours else None
            return f"<= {self.number(self.most)}", met
        return "", None

    def as_json(self):
        wanted, met = self.target()
        return {"title": self.title, "unit": self.unit, "cleanup-grpc": self.ours, "loop": self.loop,
                "ratio": self.ratio, "target": wanted, "met": met}

    def line(self):
        wanted, met = self.target()
        verdict = {True: "met", False: "MISSED", None: ""}[met]
        ratio = "-" if self.ratio is None else f"{self.ratio:,.{1 if self.ratio < 100 else 0}f}"
        title = f"{self.title}, {self.unit}" if self.unit else self.title
        return (title, self.words(self.ours), self.words(self.loop), ratio,
                wanted, verdict)


ROWS = {
    "binary": Row("binary", "bytes", most=3_900_000),
    "image": Row("image, all files", "bytes", most=3_900_000),
    "rss": Row("resident while watching", "kB", least=13),
    "private": Row("of that, private", "kB", most=700),
    "floor_private": Row("  libcurl and jansson alone, kB", ""),
    "cpu": Row("CPU for a check, one in a second", "ms", 3),
    "floor": Row("  libcurl and jansson alone, ms", "", 3),
    "to_floor": Row("  how many times that", "", 2, most=1.25),
    "floor_at_once": Row("  the same without a pause, ms", "", 3),
    "start": Row("start to first check", "ms", 1),
    "requests": Row("requests for a check", "", 2, most=1.18),
    "connections": Row("new connections for a check", "", 2, most=0.0),
    "bytes": Row("bytes for a check, with TLS", ""),
    "noticed": Row("Complete to first DELETE", "ms", 1, least=20),
    "gone": Row("first DELETE to everything gone", "ms", 1),
    "switches": Row("context switches in an idle minute", ""),
    "wakeups": Row("wake-ups in an idle minute", ""),
    "timeouts": Row("of these, by the time", "", most=IDLE_SECONDS // INTERVAL),
}
MEASURES = (sizes, memory_of, cpu, first_check, traffic, finish, idle_minute)
HEAD = ("", "cleanup-grpc", "loop over kubectl", "ratio", "target", "")


def print_table():
    lines = [HEAD] + [row.line() for row in ROWS.values()]
    width = [max(len(line[i]) for line in lines) for i in range(len(HEAD))]
    for line in lines:
        print("  ".join(w.ljust(n) if i == 0 else w.rjust(n)
                        for i, (w, n) in enumerate(zip(line, width))).rstrip())


def version_of(kubectl):
    done = subprocess.run([kubectl, "version", "--client"], capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or ["?"])[0]


def main(binary, floor):
    kubectl = shutil.which(os.environ.get("KUBECTL", "kubectl"))
    stage = Stage(os.path.abspath(binary), os.path.abspath(floor), kubectl)
    for measure in MEASURES:
        print(f"bench: {measure.__name__} ...", file=sys.stderr, flush=True)
        for name, (ours, loop) in measure(stage).items():
            ROWS[name].ours, ROWS[name].loop = ours, loop
    print(f"kubectl: {version_of(kubectl)}" if kubectl
          else "kubectl: not there, so there is no loop to compare with (KUBECTL names one)")
    print_table()
    out = ROOT / "build" / "bench.json"
    out.write_text(json.dumps({name: row.as_json() for name, row in ROWS.items()}, indent=1) + "\n")
    print(f"written to {out.relative_to(ROOT)}")


if __name__ == "__main__":
    main(*sys.argv[1:])

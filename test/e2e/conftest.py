"""Which stage the scenarios play on: E2E=real (see __main__.py), else the fake one."""
import json
import os
import subprocess

import pytest

from cleaner import BINARY, Cleaner
from manifests import render

from .control_plane import wait_for
from .fake import FakeBackend
from .real import real_backend

JOB_ID = "12-70788"
JOB, SERVICE, SELF = f"grpc-job-{JOB_ID}", f"grpc-service-{JOB_ID}", f"cleanup-job-{JOB_ID}"
KEEP = "example.com/keep"
INTERVAL = 0.2
FAST = 20           # how much faster its clock runs where the contract has a fixed wait


class Stage:
    """The rendered job-template.yml in one cluster, and the cleaners that a scenario starts."""

    def __init__(self, cluster, directory):
        self.cluster, self.ns = cluster, cluster.ns
        self.termination_log = directory / "termination-log"
        self.termination_log.write_text("")
        self.cleaners = []
        self.uid = None

    def needs(self, *what):
        for thing in what:
            reason = self.cluster.lacks(thing)
            if reason:
                pytest.skip(reason)

    # ---- the job ----

    def deploy(self, cpu, phase="Running", cleanup=True):
        """Job, Service and cleanup Job (unless that is there), as the job server applies them."""
        job, service, own = render(JOB_ID)
        del service["spec"]["ports"][0]["nodePort"]     # a real cluster's may be taken
        self.uid = self.cluster.create_job(job, phase)["metadata"]["uid"]
        self.ns.create(service)
        if cleanup:
            self.cluster.create_job(own, "Pending")
        self.set_cpu(cpu)

    def delete(self, *names, policy="Background"):
        """As a person does: they are gone then."""
        for name in names:
            self.ns.delete("Service" if name == SERVICE else "Job", name, policy)
        wait_for(lambda: not set(names) & set(self.objects()), f"{names} gone", 20)

    def set_cpu(self, cpu):
        metrics = self.cluster.metrics
        if metrics:
            metrics.up = True
            metrics.cpu[self.uid] = cpu
            metrics.advance()

    def finish(self, success=True):
        self.cluster.finish(JOB, success)

    def hold(self, value):
        self.ns.patch("Job", JOB, {"metadata": {"annotations": {"cleanup-grpc/hold": value}}})

    def keep(self, kind, name):
        """A finalizer of somebody's: it stays until release()."""
        there = self.ns.get(kind, name)["metadata"].get("finalizers", [])
        self.ns.patch(kind, name, {"metadata": {"finalizers": [*there, KEEP]}})

    def release(self, kind, name):
        left = [f for f in self.ns.get(kind, name)["metadata"]["finalizers"] if f != KEEP]
        self.ns.patch(kind, name, {"metadata": {"finalizers": left}})

    def pods(self, uid=None):
        return self.ns.list("Pod", f"controller-uid={uid or self.uid}")

    def objects(self):
        """{name: object} of the three that the template makes, as far as they are there."""
        found = {name: self.ns.get(kind, name)
                 for kind, name in (("Job", JOB), ("Service", SERVICE), ("Job", SELF))}
        return {name: obj for name, obj in found.items() if obj}

    def uids(self):
        return {name: obj["metadata"]["uid"] for name, obj in self.objects().items()}

    def wait_gone(self):
        """Nothing is left, and no pod either; collectors may take a moment."""
        def left():
            return [*self.objects(), *(pod["metadata"]["name"] for pod in self.pods())]
        wait_for(lambda: not left(), lambda: f"nothing is left of {left()}", 20)

    def events(self):
        """(type, reason, message) of the program's Events on the Job, in order."""
        found = [e for e in self.ns.list("Event")
                 if e.get("source", {}).get("component") == "cleanup-grpc"]
        assert all(e["involvedObject"]["uid"] == self.uid for e in found)
        return [(e["type"], e["reason"], e["message"])
                for e in sorted(found, key=lambda e: e["metadata"]["creationTimestamp"])]

    # ---- the program ----

    def env(self, **changes):
        return {**self.cluster.env(), "TERMINATION_LOG": self.termination_log, "JOB_ID": JOB_ID,
                "CHECK_INTERVAL_SECONDS": INTERVAL, **changes}

    def run(self, *, fast=False, **changes):
        """A cleaner; where nobody else ends pods its 20 s are made short."""
        speed = FAST if fast or not self.cluster.controllers else None
        if speed:
            changes.setdefault("CHECK_INTERVAL_SECONDS", INTERVAL * speed)
        cleaner = Cleaner(self.env(**changes), speed=speed)
        self.cleaners.append(cleaner)
        return cleaner

    def watched(self, **changes):
        """A cleaner that watches the Job and has made its first check."""
        cleaner = self.run(**changes)
        cleaner.wait_log(msg="job state", to="live")
        wait_for(lambda: any(line.get("msg") in ("active", "idle check", "cpu unknown")
                             for line in list(cleaner.lines)), "a first check", 15)
        return cleaner

    def rows(self, *args, **changes):
        """What it prints, with these arguments: (exit status, rows)."""
        env = {k: str(v) for k, v in self.env(LOG_FORMAT="json", **changes).items() if v is not None}
        done = subprocess.run([BINARY, *args], env=env, capture_output=True, text=True,
                              timeout=60, check=False)
        return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]

    def check(self, **changes):
        """`--check`: (exit status, {what: row})."""
        status, rows = self.rows("--check", **changes)
        return status, {row["check"]: row for row in rows}

    def summary(self):
        return json.loads(self.termination_log.read_text())

    def close(self):
        for cleaner in self.cleaners:
            cleaner.close()
        for cleaner in self.cleaners:
            assert not any(s in cleaner.text() for s in self.cluster.secrets()), "a token is logged"


REAL = os.environ.get("E2E") == "real"
told = []       # lines for the end of the report


@pytest.fixture(scope="session")
def backend():
    backend = real_backend() if REAL else FakeBackend()
    told.append(f"e2e: on {backend.name}")
    try:
        yield backend
    finally:
        backend.close()


def pytest_terminal_summary(terminalreporter):
    for line in told if REAL else ():
        terminalreporter.write_line(line)


@pytest.fixture(params=["real" if REAL else "fake"])
def stage(request, backend, tmp_path):
    cluster = backend.cluster(tmp_path)
    stage = Stage(cluster, tmp_path)
    try:
        yield stage
    finally:
        stage.close()
        cluster.close()

"""The stage for the scenarios: a fake API server with one streaming job, and the real binary."""
import json
import os
import subprocess

import pytest

import cleaner as cleaner_module
from broker import PASSWORD, USER, Broker, missing_packages
from cleaner import BINARY, Cleaner, static_binary
from fakekube import FakeKube
from fakekube.pki import Authority
from manifests import required_rules

JOB_ID = "12-70788"
JOB, SERVICE, SELF = f"grpc-job-{JOB_ID}", f"grpc-service-{JOB_ID}", f"cleanup-job-{JOB_ID}"
INTERVAL = 0.1


def needs(*prefix):
    """The prefix itself; where not everybody may do what it does, the test is skipped. Not for root
    in CI, where it must not be left out unseen."""
    if subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode != 0:
        say = pytest.fail if os.environ.get("CI") == "true" and os.geteuid() == 0 else pytest.skip
        say(f"refused here: {' '.join(prefix)}")
    return prefix


def namespace(kind, *command):
    """The prefix that starts a program in a namespace of its own, for root and for everybody else."""
    user = () if os.geteuid() == 0 else ("--map-root-user",)
    return needs("unshare", kind, *user, *command)


# The program is not dumpable: what /proc shows of its memory and descriptors belongs to root.
reads_its_memory = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to read its memory")


class World:
    """One API server, one pair with its cleaner's own Job, and the cleaners that a test starts."""

    def __init__(self, kube, directory):
        self.kube = kube
        kube.set_rules(required_rules())  # exactly what rbac.yml grants
        self.directory = directory
        self.termination_log = directory / "termination-log"
        self.termination_log.write_text("")
        self.cleaners = []
        self.job = None

    # ---- the cluster ----

    def pair(self, *, service=True, self_job=True, cpu="2m", advance=True, **job):
        """The streaming job, its Service and the cleaner's Job; each check sees a new sample."""
        self.job = self.kube.create_job(JOB, cpu=cpu, **job)
        if service:
            self.kube.create_service(SERVICE)
        if self_job:
            self.kube.create_job(SELF, containers=("cleanup",))
        if advance:
            self.kube.metrics.advance()
        return self

    def annotate(self, **values):
        """annotate(hold="true") sets cleanup-grpc/hold; None removes it."""
        self.kube.annotate(JOB, values={f"cleanup-grpc/{k}": v for k, v in values.items()})

    # ---- the program ----

    def env(self, **changes):
        return {**self.kube.env(), "TERMINATION_LOG": self.termination_log, "JOB_ID": JOB_ID,
                "CHECK_INTERVAL_SECONDS": INTERVAL, **changes}

    def run(self, *args, speed=None, prefix=(), text=False, program=None, **changes):
        cleaner = Cleaner(self.env(**changes), *args, speed=speed, prefix=prefix, text=text,
                          program=program)
        self.cleaners.append(cleaner)
        return cleaner

    def watched(self, **changes):
        """A cleaner that watches the job and has made its first check."""
        cleaner = self.run(**changes)
        self.kube.wait_request(verb="watch", resource="jobs")
        self.kube.wait_request(verb="list", resource="pods", group="metrics.k8s.io")
        return cleaner

    # ---- what happened ----

    def requests(self, verb=None, resource=None, group=None, name=None):
        return [r for r in self.kube.requests
                if (verb is None or r.verb == verb) and (resource is None or r.resource == resource)
                and (group is None or r.group == group) and (name is None or r.name == name)]

    def changes(self):
        """(verb, resource, name) of every request that asks for a change, in order."""
        return [(r.verb, r.resource, r.name) for r in self.kube.requests
                if r.method not in ("GET", "HEAD")]

    def deletions(self):
        return [(r.resource, r.name) for r in self.kube.requests if r.method == "DELETE"]

    def checks(self):
        return self.requests(verb="list", resource="pods", group="metrics.k8s.io")

    def summary(self):
        return json.loads(self.termination_log.read_text())

    def left(self):
        """Names of what is left of the pair, its pods and the cleaner's Job."""
        kube = self.kube
        names = {name for name in (JOB, SELF) if kube.job(name)}
        names |= {s["metadata"]["name"] for s in kube.services()}
        return names | {"pod" for p in kube.pods() if p["metadata"]["name"].startswith(JOB)}

    def wait_gone(self):
        """Pods may still be terminating when the program is done."""
        self.kube.wait_for(lambda: self.left() == set(), what="everything gone")

    def close(self):
        for cleaner in self.cleaners:
            cleaner.close()
        for cleaner in self.cleaners:
            assert not any(t in cleaner.text() for t in self.kube.rbac.tokens), "a token is logged"


@pytest.fixture(scope="session", autouse=True)
def binary():
    if not os.access(BINARY, os.X_OK):
        pytest.exit(f"{BINARY} is missing: run `make` first", returncode=2)
    return BINARY


@pytest.fixture
def version(request):
    """The Kubernetes that is played; scenarios marked `versions` run on both recorded ones."""
    return request.param


def pytest_generate_tests(metafunc):
    if "version" in metafunc.fixturenames:
        both = metafunc.definition.get_closest_marker("versions")
        metafunc.parametrize("version", ["1.26", "1.34"] if both else ["1.34"], indirect=True)


def pytest_configure(config):
    config.addinivalue_line("markers", "versions: runs against both recorded API versions")


@pytest.fixture
def world(version, tmp_path):
    with FakeKube(version=version, dir=tmp_path / "kube") as kube:
        world = World(kube, tmp_path)
        try:
            yield world
        finally:
            world.close()


@pytest.fixture
def shipped(monkeypatch):
    """For many thousands of things: the image's program, which `make static-test` makes first."""
    if not static_binary():
        pytest.skip("no static binary: make static")
    monkeypatch.setattr(cleaner_module, "BINARY", static_binary())


@pytest.fixture(scope="session")
def broker(tmp_path_factory):
    missing = missing_packages()
    if missing:
        say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
        say("a real broker is needed: apt-get install " + " ".join(missing))
    directory = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        directory = directory.parent
    authority = Authority(directory / f"broker-ca-{os.getpid()}", "the broker's CA")
    certificate = authority.issue(("IP:127.0.0.1",))
    with Broker.shared(directory, authority, certificate,
                       lambda fresh: fresh.add_user(USER, PASSWORD)) as started:
        yield started

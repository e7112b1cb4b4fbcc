"""Stories of the simulator, played on the fake API server over TLS with the real binary: the two
must come to the same end. What is in test/sim/stories and needs no broker is played here."""
import os
import pathlib
import signal
import subprocess
import time

import pytest
from conftest import JOB, SELF, SERVICE

ROOT_OF_TESTS = pathlib.Path(__file__).resolve().parent
STORIES = sorted((ROOT_OF_TESTS / "sim" / "stories").glob("*.txt"))
SIM = pathlib.Path(os.environ.get("SIM", ROOT_OF_TESTS.parent / "build" / "sim" / "sim"))
SETTINGS = {"interval": "CHECK_INTERVAL_SECONDS", "missing": "MISSING_JOB_TIMEOUT_SECONDS",
            "completed-grace": "COMPLETED_GRACE_SECONDS", "failed-grace": "FAILED_GRACE_SECONDS"}
IGNORED = {"metrics", "expect"}  # here, each check sees a new sample
SETTLE_S = 25


def read(path):
    """(what differs from the defaults, [(second, what, argument)])"""
    differs, happens = {}, []
    for line in path.read_text().splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "at":
            happens.append((float(words[1]), words[2], words[3] if len(words) > 3 else None))
        else:
            differs[words[0]] = words[1]
    return differs, sorted(happens, key=lambda h: h[0])


class Player:
    """Does on the fake what the simulator's owner.c and process.c do."""

    def __init__(self, world, differs):
        self.world, self.kube = world, world.kube
        self.cpu = f"{differs.get('cpu', '2')}m"
        self.env = {SETTINGS[k]: v for k, v in differs.items() if k in SETTINGS}
        if differs.get("adopt") == "off":
            self.env["ADOPT_SERVICE"] = "false"
        self.containers = ("grpc-server",)
        if differs.get("target-container") == "on":
            self.env["TARGET_CONTAINER"] = "grpc-server"
            self.containers = ("grpc-server", "helper")     # one that works for ever
        self.retries = int(differs.get("retries", 0))
        self.cleaner, self.newcomer, self.restart_at = None, False, None

    def start_cleaner(self):
        self.cleaner = self.world.run(**self.env)

    def make_cleaner(self):
        self.kube.create_job(SELF, containers=("cleanup",), phase=None)
        self.start_cleaner()

    def make_newcomer(self):
        self.newcomer = True

    def newcomer_comes(self):
        """As soon as the name is free."""
        if self.newcomer and not self.kube.job(JOB):
            self.newcomer = False
            self.kube.create_job(JOB, cpu="900m")

    def keep(self):
        self.kube.edit("job", JOB, lambda o: o["metadata"].update(finalizers=["example.com/kept"]))

    def make_job(self):
        cpu = {"helper": "50m"} | {"grpc-server": self.cpu} if len(self.containers) > 1 else self.cpu
        self.kube.create_job(JOB, cpu=cpu, containers=self.containers)
        self.kube.edit("job", JOB, lambda j: j["spec"].update(backoffLimit=self.retries))

    def container_ends(self, code):
        """As the kubelet tells it, and the job controller."""
        pod = self.kube.pods(JOB)[0]["metadata"]["name"]
        self.kube.set_pod(pod, states={"grpc-server": f"terminated:{code or 0}"})
        self.kube.set_cpu(JOB, {"helper": "50m"})
        self.kube.set_status(JOB, ready=0)

    def kill(self):
        self.cleaner.signal(signal.SIGKILL)

    def does(self, what, argument):
        kube, world = self.kube, self.world
        {"job": self.make_job,
         "container-ends": lambda: self.container_ends(argument),
         "service": lambda: kube.create_service(SERVICE),
         "cleaner": self.make_cleaner,
         "complete": lambda: kube.complete_job(JOB),
         "fail": lambda: kube.fail_job(JOB),
         "delete": lambda: kube.delete_job(JOB),
         "delete-foreground": lambda: kube.delete_job(JOB, "Foreground"),
         "delete-orphan": lambda: kube.delete_job(JOB, "Orphan"),
         "hold": lambda: world.annotate(hold="true"),
         "unhold": lambda: world.annotate(hold=None),
         "suspend": lambda: kube.suspend_job(JOB),
         "resume": lambda: kube.resume_job(JOB),
         "keep": self.keep,
         "unkeep": lambda: kube.job(JOB) and kube.remove_finalizers("job", JOB),
         "service-anew": lambda: kube.recreate_service(SERVICE),
         "newcomer": self.make_newcomer,
         "kill": self.kill,
         "term": lambda: self.cleaner.signal(signal.SIGTERM),
         "touch": lambda: kube.touch("job", JOB)}[what]()

    def kubelet(self):
        """One that ended with 0 is complete, and its Job goes by TTL; another is started again."""
        status = self.cleaner.process.poll() if self.cleaner else None
        if status is None or not self.kube.job(SELF):
            return
        if status == 0:
            self.kube.delete_job(SELF)
        elif self.restart_at is None:
            self.restart_at = time.monotonic() + 0.5
        elif time.monotonic() > self.restart_at:
            self.restart_at = None
            self.start_cleaner()

    def turn(self):
        self.newcomer_comes()
        self.kubelet()
        time.sleep(0.02)

    def outcome(self, ours):
        kube = self.kube
        job = kube.job(JOB)
        mine = job and job["metadata"]["uid"] == ours
        pods = [p for p in kube.pods() if not p["metadata"].get("deletionTimestamp") and
                p["metadata"]["labels"].get("controller-uid") == ours]
        there = {"job": mine, "service": kube.service(SERVICE), "pods": pods,
                 "cleaner": kube.job(SELF), "newcomer": job and not mine}
        status = self.cleaner.process.poll()
        words = [f"{name} {'there' if value else 'gone'}" for name, value in there.items()]
        return f"outcome: {', '.join(words)}, status {'running' if status is None else status}"


def test_there_are_a_dozen():
    assert len([s for s in STORIES if "broker" not in read(s)[0]]) >= 12


@pytest.mark.parametrize("path", STORIES, ids=lambda p: p.stem)
def test_same_end(path, world):
    differs, happens = read(path)
    if "broker" in differs:
        pytest.skip("the simulator's own broker")
    assert not set(differs) - set(SETTINGS) - IGNORED - {
        "cpu", "adopt", "kubernetes-1.34", "target-container", "retries"}
    simulated = subprocess.run([SIM, "--story", path], capture_output=True, text=True, check=False)
    expected = next(line for line in simulated.stdout.splitlines() if line.startswith("outcome:"))

    player, ours, started = Player(world, differs), None, time.monotonic()
    world.kube.metrics.advance()
    for second, what, argument in happens:
        while time.monotonic() < started + second:
            player.turn()
        player.does(what, argument)
        if what == "job":
            ours = world.kube.job(JOB)["metadata"]["uid"]
    deadline = time.monotonic() + (5 if "running" in expected else SETTLE_S)
    while time.monotonic() < deadline:
        player.turn()
        if "running" not in expected and player.outcome(ours) == expected:
            break
    assert player.outcome(ours) == expected

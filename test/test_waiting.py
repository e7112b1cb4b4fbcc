"""Why does it wait? While nothing is decided, one line every ten minutes, and an Event: in the cluster's
own words. Section 8 of the contract. Ten minutes are ten seconds here."""
import json
import signal

import pytest

from conftest import JOB, SERVICE
from fakekube import builders, faults
from test_readings import METRICS, pod_of

PODS = {"verb": "list", "resource": "pods", "group": ""}
ADOPT = {"verb": "patch", "resource": "services"}
SPEED = 60
SCHEDULER = "0/3 nodes are available: 3 Insufficient nvidia.com/gpu.shared."
PULL = 'Back-off pulling image "grpc-server:typo"'


def run(world, **changes):
    world.kube.store.clock.speed_up(SPEED)
    if world.kube.metrics.timestamp == "advancing":
        world.kube.metrics.advance(step=60)
    return world.run(speed=SPEED, CHECK_INTERVAL_SECONDS=changes.pop("CHECK_INTERVAL_SECONDS", 60),
                     **changes)


def waiting(cleaner, count=1):
    return cleaner.wait_log(timeout=40, count=count, msg="waiting")


def events(world):
    return [e for e in world.kube.events() if e["reason"] == "CleanupWaiting"]


def unscheduled(world):
    world.pair(cpu=None, phase="Pending")
    world.kube.edit("pod", pod_of(world), lambda p: p["status"].update(conditions=[
        {"type": "PodScheduled", "status": "False", "reason": "Unschedulable",
         "message": SCHEDULER}]))


def image_pull(world):
    world.pair(cpu=None, phase="Pending")
    world.kube.set_pod(pod_of(world), phase="Pending", states={"grpc-server": "ImagePullBackOff"})
    world.kube.edit("pod", pod_of(world), lambda p: p["status"]["containerStatuses"][0]["state"][
        "waiting"].update(message=PULL))


def lost_node(world):
    world.pair(cpu=None)
    world.kube.lose_pod(pod_of(world))
    world.kube.set_status(JOB, conditions=[builders.condition(
        "FailureTarget", world.kube.now(), "BackoffLimitExceeded", "it failed too often")])


def ended_beside(world):
    world.pair(cpu={"istio-proxy": "30m"}, containers=("grpc-server", "istio-proxy"))
    world.kube.set_pod(pod_of(world), states={"grpc-server": "terminated:3"})


def seldom(world):
    world.pair(cpu="2m", advance=False)
    world.kube.metrics.window = "20m0s"
    world.kube.metrics.freeze()


def no_metrics(world):
    world.pair(cpu="2m")
    world.kube.deny("metrics.k8s.io", "pods", "list")
    world.kube.deny("metrics.k8s.io", "pods", "get")


def held(world):
    world.pair(cpu="2m")
    world.annotate(hold="true")


def delete_refused(world):
    world.pair(cpu="2m")
    world.kube.deny("batch", "jobs", "delete")


REASONS = {
    "unscheduled": (unscheduled, f"not scheduled: Unschedulable: {SCHEDULER}"),
    "container-waits": (image_pull, f"container grpc-server waits: ImagePullBackOff: {PULL}"),
    "ending": (lost_node, "FailureTarget since 20"),
    "container-ended": (ended_beside, "container grpc-server has ended with exit code 3, and "
                                      "istio-proxy runs on: see TARGET_CONTAINER"),
    "samples": (seldom, "samples come too seldom for the interval: 1 of 2"),
    "metrics-refused": (no_metrics, 'cannot list resource "pods" in API group "metrics.k8s.io"'),
    "held": (held, "held: cleanup-grpc/hold=true"),
    "refused": (delete_refused, 'cannot delete resource "jobs"'),
}


@pytest.mark.parametrize("reason", REASONS)
def test_it_says_why_and_so_does_an_event(world, reason):
    arrange, words = REASONS[reason]
    arrange(world)
    cleaner = run(world)
    line = waiting(cleaner)
    assert line["reason"] == reason and words in line["why"]
    assert 600 <= line["undecided_s"] < 660
    world.kube.wait_for(lambda: events(world))
    event, = events(world)
    assert event["type"] == "Normal" and event["message"] == line["why"]
    assert cleaner.process.poll() is None and world.kube.job(JOB)


def test_a_job_that_works_has_the_line_and_no_event(world):
    world.pair(cpu="900m")
    cleaner = run(world)
    assert waiting(cleaner)["why"] == "in use: CPU 900m > 4m"
    waiting(cleaner, count=2)
    assert events(world) == []


def test_every_ten_minutes_at_the_cost_of_one_list_and_a_restart_doubles_nothing(world):
    unscheduled(world)
    cleaner = run(world)
    waiting(cleaner, count=2)
    assert len(world.requests(**PODS)) == 3      # one early in each life, and one for each line
    cleaner.signal(signal.SIGKILL)
    cleaner.process.wait()
    waiting(run(world))
    world.kube.wait_request(verb="create", resource="events", count=3)
    assert len(events(world)) == 1


def test_before_ten_minutes_there_is_nothing(world):
    unscheduled(world)
    cleaner = run(world, CHECK_INTERVAL_SECONDS=20)
    world.kube.wait_request(count=25, **METRICS)
    assert cleaner.log(msg="waiting") == [] and events(world) == []


def test_it_waits_for_a_list_no_longer_than_half_a_minute(world):
    """And where they may not be listed not at all; other words are in the line then."""
    unscheduled(world)
    cleaner = run(world)
    world.kube.wait_request(**PODS)
    world.kube.fault(faults.unavailable(), times=None, **PODS)
    line = waiting(cleaner)
    assert line["reason"] == "unknown" and line["undecided_s"] <= 640


# ---- An adoption that comes to nothing ----

def stripped(response):
    answer = json.loads(response.body)
    answer["metadata"].pop("ownerReferences", None)
    response.body = json.dumps(answer).encode()


FAILURES = {"without effect": (faults.edit(stripped), "accepted, but the owner"),
            "conflict": (faults.status(409, "Conflict", "the object has been modified"),
                         "the object has been modified")}


@pytest.mark.parametrize("failure", FAILURES)
def test_is_told_once_at_warn(world, failure):
    fault, words = FAILURES[failure]
    world.pair(cpu="900m")
    world.kube.fault(fault, times=None, **ADOPT)
    world.kube.after(lambda kube, _: kube.edit("service", SERVICE, lambda o: o["metadata"].pop(
        "ownerReferences", None)), times=None, **ADOPT)
    cleaner = world.run(speed=20, CHECK_INTERVAL_SECONDS=10)
    line = cleaner.wait_log(msg="service not adopted")
    assert line["level"] == "warn" and words in line["error"]
    world.kube.wait_request(count=3, timeout=15, **ADOPT)
    assert len(cleaner.log(msg="service not adopted")) == 1

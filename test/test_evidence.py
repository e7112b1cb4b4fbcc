"""Idle evidence is about certain pods at certain times, and about nothing else. Sections 4 and 5 of
the contract.

Each scenario was seen to fail with the program before the planner; what that did is said in each.
A machine that sleeps is for the simulator: no clock that goes on meanwhile can be moved here.
"""
import signal
import time

import pytest

from conftest import JOB, SERVICE
from fakekube import faults
from test_readings import many_checks, pod_of

PODS = {"verb": "list", "resource": "pods", "group": ""}
DELETE_JOB = {"verb": "delete", "resource": "jobs", "name": JOB}
SLOW = {"CHECK_INTERVAL_SECONDS": "0.4"}    # time for something to happen between two checks


def counted(cleaner):
    return [line["check"] for line in cleaner.log(msg="idle check")]


# ---- 4: what the count was about is gone ----

def suspended_for_a_moment(world):
    world.kube.suspend_job(JOB)
    world.kube.resume_job(JOB)


def held_for_a_moment(world):
    world.annotate(hold="true")
    world.kube.wait_request(verb="get", resource="jobs", name=JOB,
                            count=len(world.requests(verb="get", resource="jobs", name=JOB)) + 1)
    world.annotate(hold=None)


def other_pod(world):
    world.kube.vanish("pod", pod_of(world))
    world.kube.create_pod(JOB)


def one_more_pod(world):
    world.kube.create_pod(JOB)
    world.kube.set_status(JOB, active=2)


@pytest.mark.parametrize("change", [suspended_for_a_moment, held_for_a_moment, other_pod,
                                    one_more_pod])
def test_four_checks_of_what_was_are_none_of_what_is(world, change):
    """The first reading of the new pod was 5/5, and the job went."""
    world.pair(cpu="2m")
    cleaner = world.run(**SLOW)
    cleaner.wait_log(msg="idle check", check="4/5")
    change(world)
    assert cleaner.wait() == 0
    assert counted(cleaner) == ["1/5", "2/5", "3/5", "4/5"] + [f"{n}/5" for n in range(1, 6)]


def frozen(cleaner, seconds):
    """As by a node without memory, or docker pause."""
    cleaner.signal(signal.SIGSTOP)
    time.sleep(seconds)
    cleaner.signal(signal.SIGCONT)


def test_a_process_frozen_after_the_last_look_looks_again(world):
    """It deleted the job that had become busy meanwhile."""
    world.pair(cpu="2m")
    cleaner = world.run(ADOPT_SERVICE="false")
    cleaner.wait_log(msg="idle check", check="4/5")
    looked = []

    async def freeze(kube, request):
        kube.set_cpu(JOB, "900m")
        looked.append(request.seq)
        cleaner.signal(signal.SIGSTOP)
        kube.later(0.6, cleaner.signal, signal.SIGCONT)
    # the answer to the read that ends the look is under way
    world.kube.after(freeze, verb="get", resource="jobs", name=JOB,
                     when=lambda r: "5/5" in counted(cleaner))
    world.kube.wait_for(lambda: looked)
    many_checks(world, 4)
    assert world.deletions() == []
    assert cleaner.process.poll() is None


def test_a_process_frozen_between_two_checks_starts_anew(world):
    """As it was, but for a machine that slept (the simulator has that)."""
    world.pair(cpu="2m")
    world.kube.metrics.window = "0.1s"
    cleaner = world.run(**SLOW)
    cleaner.wait_log(msg="idle check", check="4/5")
    frozen(cleaner, 2.2)
    assert cleaner.wait() == 0
    assert counted(cleaner)[4:] == [f"{n}/5" for n in range(1, 6)]


def test_an_old_reading_is_no_reason_though_the_interval_is_long(world):
    """CHECK_INTERVAL_SECONDS=120 and reads that fail for 90 s: on a reading 111 s old."""
    world.pair(cpu="2m")
    world.kube.metrics.advance(step=60)
    world.kube.store.clock.speed_up(60)
    world.kube.metrics.timestamp = ("age", 5)
    cleaner = world.run(speed=60, CHECK_INTERVAL_SECONDS=120, MAX_CPU_USAGE_COUNT=2)

    def busy(kube, request):
        kube.set_cpu(JOB, "900m")
    cleaner.wait_log(msg="idle check", check="1/2")
    outage = world.kube.fault(faults.unavailable(), times=None, verb="get", resource="jobs",
                              name=JOB)
    cleaner.wait_log(msg="idle check", check="2/2")
    world.kube.call(busy, world.kube, None)
    time.sleep(90 / 60)
    outage.remove()
    cleaner.wait_log(msg="active")
    assert world.deletions() == []


def get_busy(kube):
    if kube.job(JOB):
        kube.set_cpu(JOB, "900m")


@pytest.mark.parametrize("slow", [dict(verb="get", resource="services"),
                                  dict(verb="create", resource="events"),
                                  PODS], ids=lambda match: match["resource"])
def test_what_is_slow_behind_the_last_reading_makes_it_old(world, slow):
    """Event and Service were asked between the last look and the DELETE, up to 11 s."""
    world.pair(cpu="2m")
    cleaner = world.run()
    cleaner.wait_log(msg="idle check", check="4/5")
    world.kube.fault(faults.hang(1.5), **slow)
    world.kube.before(lambda kube, _: kube.later(0.3, get_busy, kube), **slow)
    world.kube.wait_request(**slow, count=len(world.requests(**slow)) + 1)
    gone = world.kube.find_requests(**DELETE_JOB)
    if gone and slow["resource"] == "events":
        assert cleaner.wait() == 0      # it comes behind the DELETE now
        return
    cleaner.wait_log(msg="active")
    assert world.deletions() == []


def test_an_outage_of_the_delete_makes_it_old_too(world):
    """503 and a pause of seconds: the read behind it showed the same version, and the job went."""
    world.pair(cpu="2m")
    world.kube.fault(faults.unavailable(), **DELETE_JOB)
    world.kube.before(lambda kube, _: kube.set_cpu(JOB, "900m"), **DELETE_JOB)
    cleaner = world.run()
    world.kube.wait_request(**DELETE_JOB)
    cleaner.wait_log(msg="active")
    many_checks(world, 4)
    assert len(world.deletions()) == 1 and world.kube.job(JOB)


# ---- 5: pods and containers are counted, not entries ----

def twice_one_of(world, missing):
    """The busy one is missing; the other one is there twice."""
    return lambda items: [i for i in items if i["metadata"]["name"] != missing] * 2


def test_one_pod_twice_is_not_two(world):
    """It counted items: the busy pod was missing, and the job went where pods cannot be listed."""
    world.pair(cpu="2m", parallelism=2)
    world.kube.deny("", "pods", "list")
    busy = world.kube.pods(JOB)[0]["metadata"]["name"]
    world.kube.set_cpu(busy, "900m")
    world.kube.metrics.shape = twice_one_of(world, busy)
    cleaner = world.run()
    cleaner.wait_log(msg="cpu unknown", why="metrics of some pods are missing")
    many_checks(world)
    assert world.deletions() == []


def more_entries(*entries):
    def shape(items):
        return [{**i, "containers": [*i["containers"], *entries]} for i in items]
    return shape


def entry(cpu, **name):
    return {**name, "usage": {"cpu": cpu, "memory": "1"}}


@pytest.mark.parametrize("extra", [
    entry("3m"), entry("3m", name=""), entry("3m", name=None), entry("3m", name="POD"),
    entry("3m", name="grpc-server")],
    ids=["nameless", "empty", "null", "sandbox", "twice"])
def test_a_total_is_not_added_to_what_it_is_the_total_of(world, extra):
    """3m and 3m were 6m: active for ever."""
    world.pair(cpu="3m")
    world.kube.metrics.shape = more_entries(extra)
    cleaner = world.run()
    assert cleaner.wait() == 0
    assert {line["cpu"] for line in cleaner.log(msg="idle check")} == {"3m"}


def test_nothing_but_a_total_is_unknown(world):
    """It was a reading."""
    world.pair(cpu="3m")
    world.kube.metrics.shape = lambda items: [{**i, "containers": [entry("1m")]} for i in items]
    world.run()
    many_checks(world)
    assert world.deletions() == []


def test_of_two_that_say_different_things_the_larger_counts(world):
    """As it was, by their sum."""
    world.pair(cpu="3m")
    world.kube.metrics.shape = more_entries(entry("900m", name="grpc-server"))
    world.run().wait_log(msg="active", cpu="900m")


# ---- 6: a pod on a lost node ----

@pytest.mark.parametrize("lost", [1, 2])
def test_a_pod_on_a_lost_node_does_not_keep_its_replacement(world, lost):
    """It was Running, and its container not in the metrics: cleared at every look, for ever."""
    world.pair(cpu="2m", parallelism=lost)
    dead = [p["metadata"]["name"] for p in world.kube.pods(JOB)]
    world.kube.metrics.drop_pods = set(dead)
    for name in dead:
        world.kube.lose_pod(name)
    world.kube.create_pod(JOB)
    world.kube.set_status(JOB, active=1)
    cleaner = world.run()
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "idle"


def test_one_that_is_only_terminating_does(world):
    """As it was: its last work may still be under way."""
    world.pair(cpu="2m")
    ending = pod_of(world)
    world.kube.metrics.drop_pods = {ending}
    world.kube.lose_pod(ending, overdue=-20)
    world.kube.create_pod(JOB)
    world.run()
    many_checks(world)
    assert world.deletions() == []


def test_a_lost_pod_alone_is_no_idle_job(world):
    """As it was: none is running."""
    world.pair(cpu="2m")
    world.kube.lose_pod(pod_of(world))
    world.run()
    many_checks(world)
    assert world.deletions() == []


# ---- 7: samples that come seldom ----

@pytest.mark.parametrize("seconds,window", [(60, "1m0.02s"), (120, "2m0.5s")])
def test_samples_a_minute_apart_trigger(world, seconds, window):
    """Old at 90 s, and cleared in between: never. The metrics say how long their window is."""
    world.pair(cpu="2m")
    world.kube.store.clock.speed_up(60)
    metrics = world.kube.metrics
    metrics.timestamp, metrics.resolution, metrics.window = "moving", seconds, window
    behind = metrics._moving
    metrics._moving = lambda now: behind(now) - seconds * 0.8   # the scrape takes its time
    cleaner = world.run(speed=60, CHECK_INTERVAL_SECONDS=5)
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "idle"


def test_a_sample_older_than_its_windows_is_unknown(world):
    world.pair(cpu="2m")
    world.kube.metrics.window = "15s"
    world.kube.metrics.timestamp = ("age", 100)
    cleaner = world.run()
    cleaner.wait_log(msg="cpu unknown", why="the sample is old")
    many_checks(world)
    assert world.deletions() == []


# ---- 8: pending is never having run ----

def test_a_job_that_works_without_being_ready_is_not_pending(world):
    """Its cleaner came after it was ready, its probe fails: "no pod was ready", and it went."""
    world.pair(cpu="900m", ready=False)
    cleaner = world.run(PENDING_TIMEOUT_SECONDS="0.3")
    cleaner.wait_log(msg="active")
    many_checks(world)
    assert world.deletions() == []


PENDING_BUT = {
    "no metrics": dict(phase="Running", states={"grpc-server": "running"}, ready=False),
    "it crashes": dict(phase="Running", states={"grpc-server": "CrashLoopBackOff"}, restarts=3),
    "it ended": dict(phase="Running", states={"grpc-server": "terminated:1"}),
}


@pytest.mark.parametrize("pod", PENDING_BUT.values(), ids=PENDING_BUT)
def test_nor_is_one_whose_container_ran(world, pod):
    """It went."""
    world.pair(cpu=None, phase="Pending")
    world.kube.set_pod(pod_of(world), **pod)
    world.run(PENDING_TIMEOUT_SECONDS="0.3", ENABLE_CPU_USAGE_CHECK="false")
    end = time.monotonic() + 1.5
    world.kube.wait_for(lambda: time.monotonic() > end)
    assert world.deletions() == []


def test_nor_is_one_of_which_there_was_a_reading(world):
    """Where pods may not be listed, the metrics tell."""
    world.pair(cpu="900m", ready=False)
    world.kube.deny("", "pods", "list")
    cleaner = world.run(PENDING_TIMEOUT_SECONDS="0.3")
    cleaner.wait_log(msg="active")
    world.kube.set_cpu(JOB, None)
    many_checks(world)
    assert world.deletions() == []


def test_one_that_never_started_is(world):
    """As it was. Without this, the others could not fail."""
    world.pair(cpu=None, phase="ContainerCreating")
    assert world.run(PENDING_TIMEOUT_SECONDS="0.3").wait() == 0
    assert world.summary()["trigger"] == "pending" and SERVICE not in world.left()

"""Sections 2, 3, 6 and 8 of the contract, as an operator meets them: the adopted Service, Events,
the hold, graces and time-outs, the dry run, and what the log says."""
import asyncio
import datetime
import json
import re
import time

import pytest

from conftest import JOB, SELF, SERVICE
from fakekube import faults
from test_readings import METRICS, many_checks

ACTIVE = "900m"
HOLD = "cleanup-grpc/hold"
SOON = 2  # seconds: how soon a watch event has its effect, on a busy machine
FAST = {"CHECK_INTERVAL_SECONDS": "0.05"}  # the Job is read again after each sixth check


def reads(world):
    return world.requests(verb="get", resource="jobs", name=JOB)


def wait_reads(world, more):
    """Until the Job was read so many times more."""
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=len(reads(world)) + more)


def patches(world):
    return world.requests(verb="patch", resource="services", name=SERVICE)


def owners(world):
    return world.kube.service(SERVICE)["metadata"].get("ownerReferences", [])


def owner(job):
    return {"apiVersion": "batch/v1", "kind": "Job", "name": job["metadata"]["name"],
            "uid": job["metadata"]["uid"]}


# ---- Adoption ----

def adopted(world, **changes):
    """A cleaner of an active job, once it has made the Job the owner of the Service."""
    cleaner = world.run(**changes)
    cleaner.wait_log(msg="service adopted", service=SERVICE, owner=JOB)
    return cleaner


def test_adoption_is_one_strategic_merge_patch_right_behind_a_read_of_the_job(world):
    world.pair(cpu=ACTIVE)
    uid = world.kube.service(SERVICE)["metadata"]["uid"]
    adopted(world)
    many_checks(world, 5)
    patch, = patches(world)
    assert patch.headers["content-type"] == "application/strategic-merge-patch+json"
    assert patch.body == {"metadata": {"uid": uid, "ownerReferences": [owner(world.job)]}}
    read = [r for r in world.kube.requests if r.seq < patch.seq][-1]
    assert (read.verb, read.resource, read.name, read.status) == ("get", "jobs", JOB, 200)
    assert world.job["metadata"]["uid"] in read.answer.decode()
    assert owners(world) == [owner(world.job)]


def test_owners_that_the_service_has_stay(world):
    other = world.kube.create_job("another", containers=("x",))
    world.pair(cpu=ACTIVE, service=False)
    world.kube.create_service(SERVICE, owners=[other])
    adopted(world)
    assert owners(world) == [owner(other), owner(world.job)]


def test_a_service_that_belongs_to_the_job_costs_no_patch(world):
    world.pair(cpu=ACTIVE, service=False)
    world.kube.create_service(SERVICE, owners=[JOB])
    world.watched()
    many_checks(world, 5)
    assert len(world.requests(verb="get", resource="services")) == 1
    assert world.changes() == []


def test_a_restarted_cleaner_does_not_adopt_again(world):
    world.pair(cpu=ACTIVE)
    adopted(world).close()
    world.run()
    world.kube.wait_request(verb="get", resource="services", name=SERVICE, count=2)
    many_checks(world, 5)
    assert len(patches(world)) == 1


def test_a_service_that_comes_later_than_the_job_is_adopted_then(world):
    world.pair(cpu=ACTIVE, service=False)
    cleaner = world.run()
    world.kube.wait_request(verb="get", resource="services", name=SERVICE)
    world.kube.create_service(SERVICE)
    cleaner.wait_log(msg="service adopted")
    assert owners(world) == [owner(world.job)]


def test_switched_off_it_never_patches(world):
    world.pair(cpu=ACTIVE)
    world.run(ADOPT_SERVICE="false")
    world.kube.wait_request(verb="get", resource="services", name=SERVICE)
    many_checks(world, 5)
    assert world.changes() == [] and owners(world) == []


def delete_by_hand(kube):
    kube.delete_job(JOB, policy="Background")


def delete_by_ttl(kube):
    kube.ttl_scale = 0.001
    kube.ttl_controller = True
    kube.complete_job(JOB)


@pytest.mark.parametrize("adopt", ["true", "false"])
@pytest.mark.parametrize("delete", [delete_by_hand, delete_by_ttl])
def test_the_collector_takes_an_adopted_service_while_no_cleaner_runs(world, delete, adopt):
    world.pair(cpu=ACTIVE)
    cleaner = world.run(ADOPT_SERVICE=adopt)
    many_checks(world, 3)  # by then it has been adopted, or not
    cleaner.close()  # SIGKILL
    delete(world.kube)
    world.kube.wait_for(lambda: not world.kube.job(JOB) and not world.kube.pods(JOB),
                        what="the Job and its pods collected")
    assert bool(world.kube.service(SERVICE)) == (adopt == "false")


PASSING = {
    "409": (faults.status(409, "Conflict", "the object has been modified"), False),
    "422": (faults.status(422, "Invalid", "metadata.uid: field is immutable"), False),
    "429": (faults.throttled(None), True),
    "503": (faults.unavailable(), True),
    "504": (faults.etcd_timeout(), True),
}


@pytest.mark.parametrize("failure,trouble", PASSING.values(), ids=PASSING)
def test_a_patch_that_fails_is_tried_again_but_not_at_once(world, failure, trouble):
    """An outage is told, and its end; a conflict, or one refusal, is nobody's concern."""
    world.kube.fault(failure, verb="patch")
    world.pair(cpu=ACTIVE)
    cleaner = adopted(world)
    first, second = patches(world)
    assert second.monotonic - first.monotonic >= 0.45
    assert owners(world) == [owner(world.job)]
    assert [(line["msg"], line["verb"], line["status"]) for line in cleaner.log(level="warn")] == (
        [("API server trouble", "patch", first.status)] if trouble else [])
    assert len(cleaner.log(msg="recovered")) == trouble


def test_a_patch_whose_answer_was_lost_makes_no_second_owner(world):
    world.kube.fault(faults.lose_answer(), verb="patch")
    world.pair(cpu=ACTIVE)
    cleaner = world.run(CHECK_INTERVAL_SECONDS="0.2")
    many_checks(world, 8)  # it has been tried again by now
    assert owners(world) == [owner(world.job)]
    assert cleaner.log(level="warn") == []


REFUSALS = {
    "OpenShift's plug-in, of those who may not delete the owner": (
        403, "Forbidden", f'services "{SERVICE}" is forbidden: cannot set an ownerRef on a '
        "resource you can't delete: , <nil>"),
    "a webhook": (403, "Forbidden", 'admission webhook "no.example.com" denied the request: no'),
    "a schema": (422, "Invalid", f'Service "{SERVICE}" is invalid: no owners here'),
}


@pytest.mark.parametrize("refusal", REFUSALS.values(), ids=REFUSALS)
def test_a_refused_patch_is_one_warning_in_the_servers_words(world, refusal):
    """No Role would help: none is named. It is believed of the second answer, for a minute."""
    world.kube.fault(faults.status(*refusal), verb="patch", times=None)
    world.pair(cpu=ACTIVE)
    cleaner = world.run(CHECK_INTERVAL_SECONDS=2, speed=20)
    line = cleaner.wait_log(level="warn", msg="request refused", verb="patch", resource="services")
    assert (line["status"], line["error"]) == (refusal[0], refusal[2])
    assert line["without_it"] == "the Service is not adopted" and "rule" not in line
    many_checks(world, 15)
    assert len(patches(world)) == 2 and len(cleaner.log(level="warn")) == 1
    assert world.kube.wait_request(verb="patch", count=3, timeout=15).monotonic - patches(
        world)[1].monotonic >= 0.95 * 60 / 20


def test_a_service_that_is_recreated_before_the_patch_is_adopted_as_it_is_then(world):
    """Its uid guards the patch: 422, then the new one."""
    world.kube.before(lambda kube, request: kube.recreate_service(SERVICE), verb="patch")
    world.pair(cpu=ACTIVE)
    adopted(world)
    assert [r.status for r in patches(world)] == [422, 200]
    assert patches(world)[1].body["metadata"]["uid"] == world.kube.service(
        SERVICE)["metadata"]["uid"]


@pytest.mark.parametrize("failure", [faults.never_answer(), faults.unavailable()],
                         ids=["silence", "503"])
def test_adoption_never_delays_a_finish(world, failure):
    world.kube.fault(failure, verb="patch", times=None)
    world.pair(cpu=ACTIVE)
    cleaner = world.run()
    world.kube.wait_request(verb="patch")
    at = time.monotonic()
    world.kube.complete_job(JOB)
    assert world.kube.wait_request(verb="delete", resource="jobs").monotonic - at < SOON
    assert cleaner.wait() == 0
    world.wait_gone()


def test_a_job_that_cannot_be_read_before_the_patch_is_no_hot_loop(world):
    world.kube.fault(faults.unavailable(), verb="get", resource="jobs", name=JOB, times=None)
    world.pair(cpu=ACTIVE)
    world.run()
    many_checks(world, 10)
    assert len(world.requests(verb="get", resource="services")) <= 3
    assert patches(world) == []


def test_a_newcomer_is_not_made_an_owner(world):
    """The Job is re-created between the look at the Service and the read before the patch."""
    world.kube.after(lambda kube, request: kube.recreate_job(JOB), verb="get", resource="services")
    world.pair(cpu=ACTIVE)
    assert world.run().wait() == 0
    assert world.changes() == []
    assert SERVICE in world.left()


def test_a_job_that_is_deleted_just_before_the_patch_takes_the_service_along(world):
    world.kube.before(lambda kube, request: kube.delete_job(JOB), verb="patch")
    world.pair(cpu=ACTIVE)
    assert world.run().wait() == 0
    assert world.summary()["trigger"] == "gone"
    world.wait_gone()


def test_known_limit_a_job_that_is_recreated_just_before_the_patch_loses_its_service(world):
    """No patch of a Service can be bound to the uid of a Job. What is left is the moment between
    the read and the patch: then the Service gets an owner that is gone, and is collected."""
    world.kube.before(lambda kube, request: kube.recreate_job(JOB), verb="patch")
    world.pair(cpu=ACTIVE)
    assert world.run().wait() == 0
    assert world.changes() == [("patch", "services", SERVICE)]
    assert world.kube.job(JOB)
    world.kube.wait_for(lambda: not world.kube.service(SERVICE), what="the Service collected")


# ---- Events ----

def complete(world):
    world.pair()
    world.kube.complete_job(JOB)


def fail(world):
    world.pair()
    world.kube.fail_job(JOB)


def idle(world):
    world.pair(cpu="2m")


def pending(world):
    world.pair(cpu=None, phase="Pending")


EVENTS = {complete: ("CleanupCompleted", "the Job completed"),
          fail: ("CleanupFailed", "the Job failed"),
          idle: ("CleanupIdle", "CPU 2m <= 4m at 5 checks over 0s"),
          pending: ("CleanupPending", "no pod was ready for 1s")}


@pytest.mark.parametrize("end,reason,message", [(k, *v) for k, v in EVENTS.items()])
def test_one_normal_event_on_the_job(world, end, reason, message):
    """`kubectl describe job` asks for Events with exactly these four fields of involvedObject."""
    end(world)
    assert world.run(**FAST, PENDING_TIMEOUT_SECONDS="1").wait() == 0
    event, = world.kube.events()
    assert (event["type"], event["reason"], event["message"]) == ("Normal", reason, message)
    assert event["involvedObject"].items() >= {
        "kind": "Job", "name": JOB, "namespace": world.kube.namespace,
        "uid": world.job["metadata"]["uid"]}.items()
    assert event["count"] == 1 and event["source"]["component"] == "cleanup-grpc"
    at = datetime.datetime.strptime(event["lastTimestamp"], "%Y-%m-%dT%H:%M:%S%z").timestamp()
    assert abs(at - time.time()) < 20 and event["firstTimestamp"] == event["lastTimestamp"]


def test_a_second_look_is_no_second_event(world):
    """The Job changed in the last moment; it is looked at again, and then deleted."""
    idle(world)
    world.kube.before(lambda kube, request: kube.touch("job", JOB), verb="delete", resource="jobs")
    assert world.run().wait() == 0
    assert [r.status for r in world.requests(verb="delete", name=JOB)] == [409, 200]
    assert [event["reason"] for event in world.kube.events()] == ["CleanupIdle"]


HURRIED = {"speed": 20, "TEARDOWN_TIMEOUT_SECONDS": 40}
LEFT = {"job": (("batch", "jobs", "delete"), "CleanupRefused", JOB, SERVICE),
        "service": (("", "services", "delete"), "CleanupCompleted", SERVICE, JOB)}


@pytest.mark.parametrize("right,before,left,deleted", LEFT.values(), ids=LEFT)
def test_what_is_left_is_a_warning_event_on_the_job(world, right, before, left, deleted):
    world.kube.deny(*right)
    complete(world)
    assert world.run(ADOPT_SERVICE="false", **HURRIED).wait() == 1
    events = world.kube.events()
    assert sorted(event["reason"] for event in events) == sorted([before, "CleanupIncomplete"])
    assert left in incomplete(world) and deleted not in incomplete(world)
    for event in events:
        assert event["involvedObject"]["uid"] == world.job["metadata"]["uid"]


def test_a_job_whose_delete_is_refused_is_told_once_in_the_servers_words(world):
    words = 'admission webhook "no.example.com" denied the request: ask the owner'
    world.kube.fault(faults.status(403, "Forbidden", words), times=3, **DELETE_JOB)
    complete(world)
    cleaner = world.run(**HURRIED)
    assert cleaner.wait() == 0
    line, = cleaner.log(level="warn")
    assert (line["msg"], line["error"]) == ("request refused", words) and "rule" not in line
    assert sorted((e["type"], e["reason"], e["message"]) for e in world.kube.events()) == [
        ("Normal", "CleanupCompleted", "the Job completed"),
        ("Warning", "CleanupRefused", f"the Job's DELETE was refused, it is tried again: {words}")]
    world.wait_gone()


def incomplete(world):
    """The message of the Event that says that something is left."""
    message, = [event["message"] for event in world.kube.events()
                if (event["type"], event["reason"]) == ("Warning", "CleanupIncomplete")]
    return message


def test_pods_that_are_left_are_named_in_the_event(world):
    world.kube.deny("", "pods", "delete")
    world.kube.controllers = False
    complete(world)
    assert world.run(**HURRIED).wait(30) == 1
    assert f"pods of {JOB}" in incomplete(world)


def test_queues_that_are_left_are_named_in_the_event_by_their_prefix_and_hold_no_slot(world):
    complete(world)
    cleaner = world.run(**HURRIED, RABBITMQ_URL="http://127.0.0.1:9", RABBITMQ_USER="u",
                        RABBITMQ_PASSWORD="p")
    assert cleaner.wait(30) == 0
    assert f"{JOB}-" in incomplete(world) and SERVICE not in incomplete(world)
    assert world.summary()["queues"] == "left"
    world.wait_gone()


def test_a_teardown_that_ran_out_of_time_still_says_so_in_an_event(world):
    world.pair(finalizers=["example.com/keep"])
    world.kube.complete_job(JOB)
    assert world.run(TEARDOWN_TIMEOUT_SECONDS="1").wait() == 1
    assert JOB in incomplete(world)


@pytest.mark.parametrize("trigger", ["gone", "missing"])
def test_there_is_no_event_without_a_job(world, trigger):
    if trigger == "gone":
        world.pair(cpu=ACTIVE)
    cleaner = world.run(MISSING_JOB_TIMEOUT_SECONDS="0.2")
    if trigger == "gone":
        many_checks(world, 2)
        world.kube.delete_job(JOB)
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == trigger
    assert world.kube.events() == []


# ---- Hold ----

def test_the_watch_brings_a_hold_and_its_end_at_once(world):
    """The interval is a minute: no read and no check could have brought it."""
    world.pair(cpu=ACTIVE)
    cleaner = world.run(CHECK_INTERVAL_SECONDS="60")
    world.kube.wait_watch()
    told = []
    for value, msg, level in (("true", "held", "info"), (None, "hold ended", "info"),
                              ("2999-01-01T00:00:00Z", "held", "info"),
                              ("next week", 'held, by a value that is neither "true" nor an RFC '
                               "3339 time", "warn"), (None, "hold ended", "info")):
        told.append(msg)
        at = time.monotonic()
        world.annotate(hold=value)
        line = cleaner.wait_log(msg=msg, count=told.count(msg))
        assert line["_at"] + cleaner.started - at < SOON
        assert (line["level"], line["job"]) == (level, JOB)
        if value:
            assert (line["annotation"], line["value"]) == (HOLD, value)
    assert [line["msg"] for line in cleaner.lines if "value" in line] == told


def rfc3339(seconds):
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + seconds))


def test_a_hold_until_a_time_ends_then_without_any_other_event(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.run(CHECK_INTERVAL_SECONDS="60")
    world.kube.wait_watch()
    world.annotate(hold=rfc3339(2))
    held, ended = cleaner.wait_log(msg="held"), cleaner.wait_log(msg="hold ended")
    assert 0.5 < ended["_at"] - held["_at"] < 2 + SOON
    assert len(world.checks()) <= 2


def test_a_hold_that_comes_while_a_check_is_answered_is_told_at_once(world):
    """Not at the next check, a minute later."""
    world.pair(cpu=ACTIVE)

    async def hold(kube, request):
        kube.annotate(JOB, values={HOLD: "true"})
        await asyncio.sleep(0.3)
    world.kube.before(hold, verb="list", group="metrics.k8s.io")
    world.kube.fault(faults.late_answer(0.5), verb="list", group="metrics.k8s.io")
    cleaner = world.run(CHECK_INTERVAL_SECONDS="60")
    world.kube.wait_request(verb="list", resource="pods", group="metrics.k8s.io")
    cleaner.wait_log(msg="held", timeout=3)


def test_a_hold_that_is_over_does_not_hold(world):
    idle(world)
    world.annotate(hold=rfc3339(-60))
    cleaner = world.run()
    assert cleaner.wait() == 0
    assert cleaner.log(msg="held") == []


@pytest.mark.parametrize("end", [idle, pending])
def test_a_hold_between_the_last_look_and_the_delete_is_a_conflict_and_wins(world, end):
    end(world)
    world.kube.before(lambda kube, request: kube.annotate(JOB, values={HOLD: "true"}),
                      verb="delete", resource="jobs", name=JOB)
    cleaner = world.run(**FAST, PENDING_TIMEOUT_SECONDS="0.3")
    cleaner.wait_log(msg="held", value="true")
    wait_reads(world, 4)
    assert [r.status for r in world.requests(verb="delete")] == [409]
    assert world.left() >= {JOB, SERVICE, SELF}


@pytest.mark.parametrize("act,trigger", [("fail_job", "failed"), ("delete_job", "gone")])
def test_a_hold_keeps_no_job_that_has_ended(world, act, trigger):
    world.pair(cpu=ACTIVE)
    world.annotate(hold="true")
    cleaner = world.run()
    cleaner.wait_log(msg="held")
    getattr(world.kube, act)(JOB)
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == trigger
    world.wait_gone()


# ---- Pending ----

def test_a_hold_suspends_the_pending_trigger_until_it_ends(world):
    pending(world)
    world.annotate(hold="true")
    cleaner = world.run(**FAST, PENDING_TIMEOUT_SECONDS="0.2")
    wait_reads(world, 3)
    assert world.deletions() == []
    world.annotate(hold=None)
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "pending"


def test_a_suspended_job_waits_for_no_node_and_its_clock_starts_when_it_is_resumed(world):
    world.pair(cpu=None, phase="Pending", suspend=True)
    cleaner = world.run(**FAST, PENDING_TIMEOUT_SECONDS="0.8")
    wait_reads(world, 4)  # every 0.3 s
    assert world.deletions() == []
    at = time.monotonic()
    world.kube.resume_job(JOB, phase="Pending")
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "pending"
    assert world.requests(verb="delete", name=JOB)[0].monotonic - at > 0.7


def test_the_clock_of_a_resumed_job_starts_when_it_is_resumed_between_two_checks(world):
    world.pair(cpu=None, phase="Pending", suspend=True)
    cleaner = world.run(CHECK_INTERVAL_SECONDS="60", PENDING_TIMEOUT_SECONDS="1.5")
    world.kube.wait_request(verb="watch", resource="jobs")
    time.sleep(1)
    at = time.monotonic()
    world.kube.resume_job(JOB, phase="Pending")
    assert cleaner.wait() == 0
    assert world.requests(verb="delete", name=JOB)[0].monotonic - at > 1.4


def becomes_ready(kube, request):
    kube.set_pod(kube.pods(JOB)[0]["metadata"]["name"], ready=True)


def becomes_ready_and_is_counted(kube, request):
    becomes_ready(kube, request)
    kube.set_status(JOB, ready=1)


LOOK_AT_PODS = {"verb": "list", "resource": "pods", "group": ""}
DELETE_JOB = {"verb": "delete", "resource": "jobs", "name": JOB}


@pytest.mark.parametrize("act,moment,deletes", [
    (becomes_ready, LOOK_AT_PODS, []), (becomes_ready_and_is_counted, DELETE_JOB, [409])],
    ids=["seen", "too late to be seen"])
def test_a_pod_that_becomes_ready_in_the_last_moment_wins(world, act, moment, deletes):
    pending(world)
    world.kube.before(act, **moment)
    world.run(**FAST, PENDING_TIMEOUT_SECONDS="0.2")
    world.kube.wait_request(**moment)
    wait_reads(world, 4)
    assert [r.status for r in world.requests(verb="delete")] == deletes
    assert world.left() >= {JOB, SERVICE, SELF}


def test_the_pending_trigger_needs_no_cpu_checks(world):
    pending(world)
    assert world.run(PENDING_TIMEOUT_SECONDS="0.5", ENABLE_CPU_USAGE_CHECK="false").wait() == 0
    assert world.summary()["trigger"] == "pending"
    assert world.checks() == []


# ---- Readings ----

def test_activity_in_the_start_up_grace_is_unknown_and_counts_behind_it(world):
    """The minute of grace is of the server's clock, which is put forward."""
    world.pair(cpu=ACTIVE)
    cleaner = world.run(STARTUP_GRACE_SECONDS="60")
    cleaner.wait_log(msg="cpu unknown", why="start-up grace")
    many_checks(world, 6)
    assert cleaner.log(msg="active") == []
    world.kube.clock_offset = 61
    world.kube.metrics.advance()
    cleaner.wait_log(msg="active", level="info")
    world.kube.set_cpu(JOB, "2m")
    assert cleaner.wait() == 0
    assert [line["check"] for line in cleaner.log(msg="idle check")][0] == "1/5"


def test_the_start_up_grace_is_the_jobs_not_the_cleaners(world):
    idle(world)
    world.kube.clock_offset = 61
    world.kube.metrics.advance()
    cleaner = world.run(**FAST, STARTUP_GRACE_SECONDS="60")
    assert cleaner.wait() == 0
    assert cleaner.log(msg="cpu unknown") == []


def test_the_count_waits_for_as_many_samples_as_are_asked_for(world):
    """Each sample is read twice: the fourth comes with the seventh check."""
    idle(world)
    first = world.kube.now() - 60
    world.kube.metrics.timestamp = lambda number, now: first + (number + 1) // 2
    cleaner = world.run(MIN_DISTINCT_SAMPLES="4")
    assert cleaner.wait() == 0
    assert [line["check"] for line in cleaner.log(msg="idle check")] == [
        f"{number}/5" for number in range(1, 8)]


# ---- Grace for finished jobs ----

GRACES = {complete: "COMPLETED_GRACE_SECONDS", fail: "FAILED_GRACE_SECONDS"}


@pytest.mark.parametrize("end", GRACES)
def test_a_grace_is_for_one_way_to_finish_only(world, end):
    end(world)
    other, = set(GRACES.values()) - {GRACES[end]}
    assert world.run(**{other: "600"}).wait() == 0
    world.wait_gone()


def test_a_restart_does_not_prolong_the_grace(world):
    """Ten minutes of the server's clock, which is put forward; three cleaners, one after another,
    of which the first is drained away and the second crashes."""
    complete(world)
    left = []
    for now in (0, 300):
        world.kube.clock_offset = now
        cleaner = world.run(COMPLETED_GRACE_SECONDS="600")
        left.append(cleaner.wait_log(msg="finished job is kept")["seconds"])
        cleaner.wait_log(msg="service")
        assert world.left() == {JOB, SELF, "pod"}
        cleaner.signal()
        assert cleaner.wait() == 143
    assert 590 < left[0] <= 600 and 290 < left[1] <= 300
    world.kube.clock_offset = 601
    assert world.run(COMPLETED_GRACE_SECONDS="600").wait() == 0
    world.wait_gone()
    assert [event["reason"] for event in world.kube.events()] == ["CleanupCompleted"]


def test_a_hold_does_not_prolong_the_grace(world):
    complete(world)
    world.annotate(hold="true")
    cleaner = world.run(COMPLETED_GRACE_SECONDS="1.5")
    cleaner.wait_log(msg="finished job is kept")
    assert cleaner.wait() == 0
    world.wait_gone()


def test_a_job_that_is_deleted_during_its_grace_is_absent(world):
    fail(world)
    cleaner = world.run(FAILED_GRACE_SECONDS="1.5", ADOPT_SERVICE="false")
    cleaner.wait_log(msg="finished job is kept")
    world.kube.delete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert (world.summary()["job"], world.summary()["service"]) == ("absent", "deleted")
    assert len(world.requests(verb="delete", resource="services")) == 1


def test_a_newcomer_during_the_grace_is_left_alone(world):
    fail(world)
    cleaner = world.run(FAILED_GRACE_SECONDS="60")
    cleaner.wait_log(msg="service", outcome="deleted")
    ours = world.kube.pods(JOB)[0]["metadata"]["name"]
    world.kube.recreate_job(JOB, cpu=ACTIVE)
    world.kube.create_service(SERVICE)
    at = time.monotonic()
    assert cleaner.wait() == 0
    assert time.monotonic() - at < SOON     # and not when the grace is over
    assert world.left() >= {JOB, SERVICE}
    assert world.summary()["job"] == "newcomer"
    world.kube.wait_for(lambda: ours not in [p["metadata"]["name"] for p in world.kube.pods()],
                        what="our own pods gone")


# ---- Dry run ----

def gone(world):
    world.pair(cpu=ACTIVE)
    world.kube.after(lambda kube, request: kube.delete_job(JOB), nth=2, **METRICS)


def missing(world):
    world.kube.create_service(SERVICE)


TRIGGERS = {complete: "completed", fail: "failed", idle: "idle", pending: "pending", gone: "gone",
            missing: "missing"}
ALL_SETTINGS = {**FAST, "PENDING_TIMEOUT_SECONDS": "0.3", "MISSING_JOB_TIMEOUT_SECONDS": "0.2",
                "COMPLETED_GRACE_SECONDS": "600", "FAILED_GRACE_SECONDS": "600",
                "TEARDOWN_TIMEOUT_SECONDS": "2"}


@pytest.mark.parametrize("end,trigger", TRIGGERS.items())
def test_a_dry_run_says_what_would_be_deleted_and_changes_nothing(world, end, trigger):
    """Neither adoption nor Event nor DELETE, and no grace is waited for."""
    end(world)
    cleaner = world.run("--dry-run", **ALL_SETTINGS)
    assert cleaner.wait(8) == 0
    assert cleaner.log(msg="teardown")[0]["trigger"] == trigger
    would = {"job": JOB, "service": SERVICE, "self": SELF}
    if trigger in ("gone", "missing"):
        del would["job"]  # there is none
    lines = cleaner.log(msg="dry run: would delete")
    assert {k: line[k] for line in lines for k in ("job", "service", "self") if k in line} == would
    assert world.changes() == []


def test_a_dry_run_names_no_cleaner_that_would_stay(world):
    complete(world)
    cleaner = world.run(DRY_RUN="true", DELETE_SELF="false")
    assert cleaner.wait() == 0
    assert all("self" not in line for line in cleaner.log(msg="dry run: would delete"))


def test_a_dry_run_that_is_stopped_is_143(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(DRY_RUN="true")
    cleaner.signal()
    assert cleaner.wait(2) == 143
    assert world.changes() == []


# ---- The log ----

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")


def newcomer(world):
    world.pair(cpu=ACTIVE)
    world.kube.after(lambda kube, request: kube.recreate_job(JOB), nth=2, **METRICS)


def forbidden(world):
    complete(world)
    world.kube.set_rules([("batch", "jobs", "get")])


def trouble(world):
    idle(world)
    world.kube.fault(faults.unavailable(), **METRICS)
    world.kube.fault(faults.unavailable(), verb="create")


def held_for_a_moment(world):
    idle(world)
    world.annotate(hold="for ever")
    world.kube.after(lambda kube, request: kube.annotate(JOB, values={HOLD: None}), verb="patch")


RUNS = {complete: 0, idle: 0, pending: 0, gone: 0, missing: 0, newcomer: 0, held_for_a_moment: 0,
        trouble: 0, forbidden: 1}


def assert_json_lines(cleaner):
    assert cleaner.raw
    for raw in cleaner.raw:
        assert raw.endswith(b"}\n")
        line = json.loads(raw)
        assert list(line)[:3] == ["ts", "level", "msg"]
        assert TIME.fullmatch(line["ts"])
        at = datetime.datetime.strptime(line["ts"], "%Y-%m-%dT%H:%M:%S.%f%z").timestamp()
        assert abs(at - time.time()) < 20
        assert line["level"] in ("debug", "info", "warn", "error")


@pytest.mark.parametrize("run,status", RUNS.items())
def test_every_line_of_every_run_is_a_json_object(world, run, status):
    run(world)
    cleaner = world.run(**{**ALL_SETTINGS, "COMPLETED_GRACE_SECONDS": "0"})
    assert cleaner.wait() == status
    assert_json_lines(cleaner)


def test_bad_configuration_is_told_in_json_too(world):
    cleaner = world.run(CPU_USAGE_THRESHOLD="a lot", JOB_ID="../x")
    assert cleaner.wait() == 2
    assert_json_lines(cleaner)


def test_a_stopped_run_is_told_in_json_too(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched()
    cleaner.signal()
    assert cleaner.wait(2) == 143
    assert_json_lines(cleaner)


@pytest.mark.parametrize("run", [complete, idle, gone, missing, forbidden])
def test_the_termination_log_is_one_line_of_json(world, run):
    run(world)
    world.run(**{**ALL_SETTINGS, "COMPLETED_GRACE_SECONDS": "0"}).wait()
    text = world.termination_log.read_text()
    assert text.endswith("}\n") and text.count("\n") == 1
    summary = json.loads(text)
    assert list(summary) == ["trigger", "job", "service", "queues", "self", "seconds"]
    assert all(isinstance(summary[k], str) for k in summary if k != "seconds")
    assert isinstance(summary["seconds"], (int, float))


LEVELS = ["debug", "info", "warn", "error"]


@pytest.mark.parametrize("level", LEVELS)
def test_the_level_filters(world, level):
    """A run that has lines of all four."""
    gone(world)
    world.kube.deny("", "services", "delete")
    cleaner = world.run(LOG_LEVEL=level, ADOPT_SERVICE="false", TEARDOWN_TIMEOUT_SECONDS=2)
    assert cleaner.wait() == 1
    assert {line["level"] for line in cleaner.lines} == set(LEVELS[LEVELS.index(level):])


# ---- Hostile strings ----

FIELD = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ "=]+)(?: |$)')


def fields(raw, text):
    """One line of the log, taken apart as a machine would do it."""
    line = raw.decode().removesuffix("\n")
    assert all(ord(c) >= 0x20 and not 0x7f <= ord(c) < 0xa0 for c in line), ascii(line)
    if not text:
        return json.loads(line)
    found = FIELD.findall(line)
    assert "".join(FIELD.split(line)[::3]) == "", line  # nothing is left between the fields
    assert len(dict(found)) == len(found)
    return {key: json.loads(value) if value[0] == '"' else value for key, value in found}


HOSTILE = ['x" level=error msg="forged', 'x","level":"error","msg":"forged', "a\nb\r\nc",
           '\n{"ts":"2026-01-01T00:00:00.000Z","level":"error"}\n', "\x1b[2J\x1b[31mred",
           "\\", "\\u000a\\q\\x41", "\t\b\f\x01\x1f\x7f", "\x9b31m\x85", "=", " ", "'",
           "\u00fc\u20ac\U0001f600"]


def lines_on_the_hold(cleaner):
    return [raw for raw in list(cleaner.raw) if HOLD.encode() in raw]


@pytest.mark.parametrize("text", [False, True], ids=["json", "text"])
def test_a_hostile_annotation_stays_one_line_and_one_field(world, text):
    world.pair(cpu=ACTIVE)
    cleaner = world.run(text=text, CHECK_INTERVAL_SECONDS="600", speed=10)
    world.kube.wait_watch()
    for count, value in enumerate(HOSTILE):
        world.annotate(hold=value)
        world.kube.wait_for(lambda: lines_on_the_hold(cleaner)[count:], timeout=3,
                            what=f"a line on {value!r}")
        line = fields(lines_on_the_hold(cleaner)[count], text)
        assert list(line) == ["ts", "level", "msg", "job", "annotation", "value"]
        assert (line["level"], line["job"], line["annotation"]) == ("warn", JOB, HOLD)
        assert line["value"] == value
    assert len(lines_on_the_hold(cleaner)) == len(HOSTILE)


@pytest.mark.parametrize("name,expected", [
    (HOLD, {"level": "warn", "annotation": HOLD}), ("note", {"msg": "active"})],
    ids=["the hold", "any"])
def test_a_nul_in_an_annotation_does_not_blind_the_cleaner(world, name, expected):
    """The API server takes any text as the value of an annotation."""
    world.pair(cpu=ACTIVE)
    world.kube.annotate(JOB, values={name: "a\0b"})
    cleaner = world.run()
    cleaner.wait_log(timeout=3, **expected)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


ANSI = '\x1b]0;owned\x07\x1b[31m" level=error\r\nts=2026-01-01T00:00:00.000Z msg=forged \\"'
BODIES = {"status": faults.status(500, "InternalError", ANSI), "text": faults.text(500, ANSI),
          "page": faults.answer(500, ANSI.encode() + b"\xff\xc3", "text/html")}


@pytest.mark.parametrize("text", [False, True], ids=["json", "text"])
@pytest.mark.parametrize("body", BODIES.values(), ids=BODIES)
def test_a_hostile_answer_stays_one_line_and_one_field(world, body, text):
    world.pair(cpu=ACTIVE)
    world.kube.fault(body, times=None, **METRICS)
    cleaner = world.run(text=text)
    many_checks(world, 3)
    lines = [fields(raw, text) for raw in list(cleaner.raw)]
    line, = [line for line in lines if line["level"] in ("warn", "error")]
    assert line["msg"] == "metrics API trouble" and str(line["status"]) == "500"
    assert line["error"].startswith(ANSI)
    assert set(line) == {"ts", "level", "msg", "verb", "resource", "status", "error", "failing_s",
                         "retry_ms"}

"""Section 5 of the contract: what is deleted, in which order, whatever fails on the way; signals."""
import json
import signal
import time

import pytest

from conftest import JOB, SELF, SERVICE
from fakekube import faults

ACTIVE = "900m"


def completed(world, **changes):
    """A cleaner that finds its Job completed: the shortest way to a teardown."""
    world.pair()
    world.kube.complete_job(JOB)
    return world.run(**changes)


# ---- The order, and what is sent ----

@pytest.mark.versions
def test_the_order_of_an_idle_teardown(world):
    """The Job is the guarded decision; all else, the Event too, follows from its DELETE."""
    world.pair()
    assert world.run(ADOPT_SERVICE="false").wait() == 0
    first, *between, last = world.changes()
    assert first == ("delete", "jobs", JOB) and last == ("delete", "jobs", SELF)
    assert sorted(between) == [("create", "events", ""), ("delete", "services", SERVICE)]
    world.wait_gone()


@pytest.mark.versions
def test_the_job_is_seen_to_be_gone_before_the_service_goes(world):
    completed(world, ADOPT_SERVICE="false").wait()
    steps = [(r.verb, r.resource, r.status) for r in world.kube.requests]
    deleted = steps.index(("delete", "jobs", 200))
    assert steps[deleted + 1:deleted + 3] == [("get", "jobs", 404), ("list", "pods", 200)]
    assert steps.index(("delete", "services", 200)) > deleted + 2


def test_every_delete_carries_uid_policy_and_content_type(world):
    world.pair()
    service = world.kube.service(SERVICE)
    cleaner_job = world.kube.job(SELF)
    world.kube.complete_job(JOB)
    world.run(ADOPT_SERVICE="false").wait()
    deletes = world.requests(verb="delete")
    assert [r.body["preconditions"] for r in deletes] == [
        {"uid": world.job["metadata"]["uid"]}, {"uid": service["metadata"]["uid"]},
        {"uid": cleaner_job["metadata"]["uid"]}]
    for r in deletes:
        assert r.headers["content-type"] == "application/json"
        assert r.body["propagationPolicy"] == "Background"
        assert r.name


def test_a_finished_job_is_deleted_whatever_its_status_does(world):
    """No resourceVersion in the precondition: the status of a finished Job still moves."""
    world.pair()
    world.kube.complete_job(JOB)
    world.kube.before(lambda kube, request: kube.touch("job", JOB), verb="delete", resource="jobs",
                      name=JOB)
    assert world.run().wait() == 0
    assert [r.status for r in world.requests(verb="delete", name=JOB)] == [200]


@pytest.mark.parametrize("finish,reason,words", [
    ("complete_job", "CleanupCompleted", "the Job completed"),
    ("fail_job", "CleanupFailed", "the Job failed"),
    (None, "CleanupIdle", "CPU 2m <= 4m at 5 checks over 0s")])
def test_an_event_on_the_job_says_what_was_seen(world, finish, reason, words):
    world.pair(cpu="2m")
    if finish:
        getattr(world.kube, finish)(JOB)
    world.run().wait()
    event = world.kube.events()[0]
    assert (event["reason"], event["message"], event["type"]) == (reason, words, "Normal")
    about = event["involvedObject"]
    assert (about["kind"], about["name"], about["uid"]) == (
        "Job", JOB, world.job["metadata"]["uid"])


def test_the_event_counts_seconds(world):
    world.pair(cpu="2m")
    world.run(CHECK_INTERVAL_SECONDS="0.5").wait()
    assert world.kube.events()[0]["message"] == "CPU 2m <= 4m at 5 checks over 2s"


@pytest.mark.parametrize("failure", [faults.unavailable(), faults.reset_before_answer(),
                                     faults.never_answer()], ids=["503", "reset", "silence"])
def test_the_event_is_best_effort(world, failure):
    world.kube.fault(failure, verb="create", resource="events")
    cleaner = completed(world)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert len(world.kube.events()) <= 1  # libcurl repeats a POST that a kept connection lost


def test_an_event_whose_answer_was_lost_is_not_recorded_twice(world):
    world.kube.fault(faults.lose_answer(), verb="create", resource="events")
    cleaner = completed(world)
    assert cleaner.wait() == 0
    assert len(world.kube.events()) == 1
    assert cleaner.log(msg="event not recorded") == []


@pytest.mark.versions
def test_the_summary(world):
    cleaner = completed(world, ADOPT_SERVICE="false")
    assert cleaner.wait() == 0
    summary = world.summary()
    assert {k: summary[k] for k in ("trigger", "job", "service", "queues", "self")} == {
        "trigger": "completed", "job": "deleted", "service": "deleted", "queues": "off",
        "self": "deleted"}
    assert 0 <= summary["seconds"] < 10
    assert world.termination_log.read_text().count("\n") == 1
    last = cleaner.lines[-1]
    assert (last["msg"], last["job"], last["self"]) == ("torn down", "deleted", "deleted")


def test_each_deletion_is_logged_with_its_outcome(world):
    cleaner = completed(world, ADOPT_SERVICE="false")
    cleaner.wait()
    for what, name in (("job", JOB), ("service", SERVICE), ("self", SELF)):
        assert cleaner.log(msg=what, name=name, outcome="deleted")


# ---- Absent is success ----

def test_nothing_is_there_but_the_job(world):
    world.job = world.kube.create_job(JOB)
    world.kube.complete_job(JOB)
    assert world.run().wait() == 0
    world.wait_gone()
    assert world.summary()["service"] == "absent"


def test_a_second_run_finds_nothing_left(world):
    assert completed(world).wait() == 0
    assert world.run(MISSING_JOB_TIMEOUT_SECONDS="0.2").wait() == 0
    assert world.summary()["trigger"] == "missing"


def test_the_collector_is_faster_than_the_cleaner(world):
    """The Service was adopted, and is gone with the Job."""
    world.kube.gc_delay = 0
    world.pair(cpu=ACTIVE)
    cleaner = world.watched()
    cleaner.wait_log(msg="service adopted")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_delete_self_can_be_switched_off(world):
    completed(world, DELETE_SELF="false").wait()
    assert world.left() - {"pod"} == {SELF}
    assert world.requests(name=SELF) == []


def test_a_newer_cleaner_under_our_name_is_left_alone(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched()
    world.kube.wait_request(verb="get", resource="jobs", name=SELF)
    world.kube.recreate_job(SELF, containers=("cleanup",))
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert world.summary()["self"] == "newcomer"
    assert SELF in world.left()


# ---- The Job is really gone ----

def test_200_is_not_gone(world):
    """A finalizer keeps the Job for a while."""
    world.pair(finalizers=["example.com/keep"])
    world.kube.complete_job(JOB)
    cleaner = world.run()
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=4)
    assert world.requests(verb="delete", resource="services") == []
    world.kube.remove_finalizers("job", JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_a_job_that_finalizers_keep_does_not_keep_the_service(world):
    world.pair(finalizers=["example.com/keep"])
    world.kube.complete_job(JOB)
    cleaner = world.run(TEARDOWN_TIMEOUT_SECONDS="60", ADOPT_SERVICE="false", speed=20)
    assert cleaner.wait(30) == 1
    assert SERVICE not in world.left() and JOB in world.left()
    assert world.summary()["job"] == "deleting"
    assert SELF in world.left()  # Kubernetes starts us again


def test_pods_that_no_controller_deletes_are_deleted(world):
    """The controllers are down: the Job goes, and its pods run on."""
    world.pair()
    world.kube.controllers = False
    uid = world.kube.pods(JOB)[0]["metadata"]["uid"]
    world.kube.complete_job(JOB)
    assert world.run(speed=20).wait(30) == 0
    deleted = world.requests(verb="delete", resource="pods")
    assert len(deleted) == 1
    assert deleted[0].body["preconditions"] == {"uid": uid}
    assert "gracePeriodSeconds" not in deleted[0].body
    looks = [r for r in world.requests(verb="list", resource="pods", group="")]
    assert looks[-1].query["labelSelector"] == [f"controller-uid={world.job['metadata']['uid']}"]


def test_terminating_pods_are_as_good_as_gone(world):
    world.pair()
    world.kube.pod_grace = 60
    world.kube.complete_job(JOB)
    assert world.run().wait() == 0
    assert world.requests(verb="delete", resource="pods") == []


# ---- Retries ----

RETRIED = {
    "401": faults.status(401, "Unauthorized", "Unauthorized"),
    "403 anonymous": faults.status(403, "Forbidden", 'x is forbidden: User "system:anonymous" '
                                   "cannot delete"),
    "404 text": faults.text(404, "404 page not found\n"),
    "429": faults.throttled(None),
    "500": faults.status(500, "InternalError", "no"),
    "503": faults.unavailable(),
    "504": faults.etcd_timeout(),
    "reset": faults.reset_before_answer(),
    "answer lost": faults.lose_answer(),
}
REFUSED = {
    "400": faults.status(400, "BadRequest", "no"),
    "403": faults.status(403, "Forbidden", 'admission webhook "x" denied the request: no'),
    "415": faults.status(415, "UnsupportedMediaType", "no"),
    "422": faults.status(422, "Invalid", "no"),
}


def test_a_job_that_became_busy_while_its_delete_failed_is_not_deleted(world):
    """The decision is of before; each DELETE of an idle job rests on a look of its own."""
    world.pair(cpu="2m")
    world.kube.fault(faults.unavailable(), verb="delete", resource="jobs", name=JOB)
    world.kube.before(lambda kube, request: kube.set_cpu(JOB, ACTIVE), verb="delete",
                      resource="jobs", name=JOB)
    cleaner = world.run()
    cleaner.wait_log(msg="active")
    checks = len(world.checks())
    world.kube.wait_request(verb="list", resource="pods", group="metrics.k8s.io",
                            count=checks + 20)
    assert [r.status for r in world.requests(verb="delete")] == [503]


def test_an_idle_job_whose_delete_fails_is_watched_on_with_all_that_is_its(world):
    """However long: nothing was decided. Each DELETE rests on a look of its own and on a reading of
    at most two intervals before, and is sent ever more slowly."""
    world.pair(cpu="2m")
    fault = world.kube.fault(faults.unavailable(), verb="delete", resource="jobs", name=JOB,
                             times=None)
    cleaner = world.run(TEARDOWN_TIMEOUT_SECONDS=3, CHECK_INTERVAL_SECONDS=1, speed=20)
    world.kube.wait_request(verb="delete", resource="jobs", count=6, timeout=20)
    deletes = world.requests(verb="delete")
    for before, delete in zip(deletes, deletes[1:]):
        between = [(r.verb, r.group, r.resource) for r in world.kube.requests
                   if before.seq < r.seq < delete.seq]
        assert ("list", "", "pods") in between and between[-1] == ("get", "batch", "jobs")
        assert (delete.monotonic - before.monotonic < 2 / 20     # as long a reading is good for
                or ("list", "metrics.k8s.io", "pods") in between)
    assert deletes[5].monotonic - deletes[4].monotonic >= 7 / 20
    assert world.left() == {JOB, SERVICE, SELF, "pod"} and world.kube.events() == []
    assert cleaner.log(msg="recovered") == []
    fault.remove()
    assert cleaner.wait() == 0
    recovered, = cleaner.log(msg="recovered")
    assert (recovered["verb"], recovered["resource"]) == ("delete", "jobs")
    assert world.summary()["trigger"] == "idle"
    world.wait_gone()


@pytest.mark.parametrize("failure", RETRIED.values(), ids=RETRIED.keys())
@pytest.mark.parametrize("what", ["jobs", "services"])
def test_what_may_pass_is_tried_again(world, what, failure):
    world.pair(cpu="2m")
    world.kube.fault(failure, verb="delete", resource=what, times=2)
    cleaner = world.run(ADOPT_SERVICE="false", CHECK_INTERVAL_SECONDS=1, speed=10)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert len(cleaner.log(level="warn")) <= 1


@pytest.mark.parametrize("failure", REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("what", ["jobs", "services"])
def test_what_is_refused_twice_is_told_and_tried_again(world, what, failure):
    """An idle Job a minute later, its Service after 1, 2, 4 ... seconds."""
    world.pair(cpu="2m")
    world.kube.fault(failure, verb="delete", resource=what, times=2)
    cleaner = world.run(ADOPT_SERVICE="false", CHECK_INTERVAL_SECONDS=2, speed=40)
    assert cleaner.wait() == 0
    world.wait_gone()
    line, = cleaner.log(level="warn")
    assert (line["msg"], line["verb"], line["resource"], line["status"], line["error"]) == (
        "request refused", "delete", what, failure.response.status,
        json.loads(failure.response.body)["message"])
    assert cleaner.log(msg="recovered") == []
    first, second, third = world.requests(verb="delete", resource=what)[:3]
    assert second.monotonic - first.monotonic >= 0.95 / 40
    assert third.monotonic - second.monotonic >= (57 if what == "jobs" else 1.9) / 40


def test_an_open_outcome_is_settled_by_reading(world):
    world.kube.fault(faults.etcd_timeout(), verb="delete", resource="jobs", name=JOB)
    assert completed(world).wait() == 0
    steps = [(r.verb, r.status) for r in world.requests(resource="jobs", name=JOB)
             if r.verb in ("get", "delete")]
    between = steps[steps.index(("delete", 504)) + 1:steps.index(("delete", 200))]
    assert set(between) == {("get", 200)}


def test_a_newcomer_behind_a_lost_answer_is_left_alone(world):
    world.kube.fault(faults.lose_answer(), verb="delete", resource="jobs", name=JOB)
    world.kube.after(lambda kube, request: kube.recreate_job(JOB, cpu=ACTIVE), verb="delete",
                     resource="jobs", name=JOB)
    cleaner = completed(world, ADOPT_SERVICE="false")
    assert cleaner.wait() == 0
    assert world.left() >= {JOB, SERVICE}
    assert world.summary()["job"] == "newcomer"


def test_backoff_grows_and_retry_after_is_respected(world):
    world.kube.fault(faults.throttled(4), verb="delete", resource="jobs", name=JOB)
    world.kube.fault(faults.unavailable(), verb="delete", resource="jobs", name=JOB, times=3)
    assert completed(world, speed=10).wait() == 0
    at = [r.monotonic * 10 for r in world.requests(verb="delete", resource="jobs", name=JOB)]
    pauses = [b - a for a, b in zip(at, at[1:])]
    assert len(pauses) == 4
    assert all(pause >= least * 0.99 for pause, least in zip(pauses, (4, 1, 2, 4)))


def test_what_stays_down_is_given_up_after_the_timeout(world):
    world.kube.fault(faults.unavailable(), verb="delete", resource="jobs", name=JOB, times=None)
    cleaner = completed(world, TEARDOWN_TIMEOUT_SECONDS="2")
    assert cleaner.wait() == 1
    assert world.summary()["job"] == "left"
    assert cleaner.lines[-1]["msg"] == "teardown incomplete"
    assert SELF in world.left()


def test_without_the_right_to_create_events_it_goes_on(world):
    world.kube.deny("", "events", "create")
    cleaner = completed(world)
    assert cleaner.wait() == 0
    assert len(cleaner.log(level="warn")) == 1


# ---- The Service ----

def test_a_service_that_is_recreated_before_its_delete_is_left_alone(world):
    world.kube.before(lambda kube, request: kube.recreate_service(SERVICE), verb="delete",
                      resource="services")
    assert completed(world).wait() == 0
    assert [r.status for r in world.requests(verb="delete", resource="services")] == [409]
    assert SERVICE in world.left()
    assert world.summary()["service"] == "newcomer"


def service_uids_deleted(world):
    return [r.body["preconditions"]["uid"] for r in world.requests(verb="delete",
                                                                   resource="services")]


def test_a_service_that_was_created_anew_while_the_job_lived_goes_with_it(world):
    """By the uid that it has right before the Job's DELETE."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched()
    cleaner.wait_log(msg="service adopted")
    uid = world.kube.recreate_service(SERVICE)["metadata"]["uid"]
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert service_uids_deleted(world) == [uid]
    assert world.summary()["service"] == "deleted"


def test_a_service_that_was_created_anew_goes_before_a_finished_job_that_is_kept(world):
    world.pair(cpu=ACTIVE)
    noted = world.kube.service(SERVICE)["metadata"]["uid"]
    cleaner = world.watched(COMPLETED_GRACE_SECONDS=2)
    cleaner.wait_log(msg="service adopted")
    uid = world.kube.recreate_service(SERVICE)["metadata"]["uid"]
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert service_uids_deleted(world) == [noted, uid]
    assert world.summary()["service"] == "deleted"


def test_a_service_that_was_created_anew_while_the_finished_job_was_kept_goes_too(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(COMPLETED_GRACE_SECONDS=2)
    cleaner.wait_log(msg="service adopted")
    world.kube.complete_job(JOB)
    cleaner.wait_log(msg="service", outcome="deleted")
    uid = world.kube.create_service(SERVICE)["metadata"]["uid"]
    assert cleaner.wait() == 0
    assert service_uids_deleted(world)[1:] == [uid]
    assert world.left() == set()


def test_a_service_whose_owner_cannot_be_read_in_time_is_left_for_the_next_try(world):
    """The first DELETE says 409, and then nothing about the Job, which would tell whose it is, is
    answered."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(FAILED_GRACE_SECONDS=20, TEARDOWN_TIMEOUT_SECONDS=20, speed=20)
    cleaner.wait_log(msg="service adopted")
    world.kube.recreate_service(SERVICE)
    world.kube.before(lambda kube, request: [kube.fault(
        faults.unavailable(), verb=verb, resource="jobs", name=JOB, times=None)
        for verb in ("get", "delete")], verb="delete", resource="services")
    world.kube.fail_job(JOB)
    cleaner.wait_log(msg="service", outcome="left")
    assert cleaner.wait() == 1
    assert [r.status for r in world.requests(verb="delete", resource="services")] == [409]
    assert world.left() >= {SERVICE, SELF}


@pytest.mark.parametrize("action", [faults.unavailable(), faults.reset_before_answer()])
def test_a_service_that_cannot_be_read_then_is_deleted_by_the_uid_noted_before(world, action):
    world.pair(cpu=ACTIVE)
    uid = world.kube.service(SERVICE)["metadata"]["uid"]
    cleaner = world.watched(ADOPT_SERVICE="false")
    world.kube.fault(action, verb="get", resource="services", times=None)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert service_uids_deleted(world) == [uid]


def test_a_service_whose_jobs_delete_found_a_newcomer_is_left_alone(world):
    """Read before that DELETE, it was the newcomer's already."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(ADOPT_SERVICE="false")

    def replace(kube, request):
        kube.recreate_job(JOB, cpu=ACTIVE)
        kube.recreate_service(SERVICE)
    world.kube.before(replace, verb="get", resource="services")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert service_uids_deleted(world) == []
    assert world.left() >= {JOB, SERVICE}


def test_a_service_read_behind_a_job_that_was_gone_by_then_is_left_alone(world):
    """The DELETE of the Job found nothing: nobody can tell whose the Service is."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(ADOPT_SERVICE="false")
    noted = world.kube.service(SERVICE)["metadata"]["uid"]

    def replace(kube, request):
        kube.vanish("job", JOB)
        kube.recreate_service(SERVICE)
    world.kube.before(replace, verb="get", resource="services")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert set(service_uids_deleted(world)) <= {noted}
    assert SERVICE in world.left()
    assert world.summary()["service"] == "newcomer"


def test_a_newcomer_keeps_the_service_that_is_read_late(world):
    """The Service was not noted before; while it is, a newcomer takes the Job's name."""
    world.pair(cpu=ACTIVE)
    world.kube.fault(faults.unavailable(), verb="get", resource="services", times=1)
    cleaner = world.watched(ADOPT_SERVICE="false")
    world.kube.after(lambda kube, request: kube.recreate_job(JOB, cpu=ACTIVE), verb="get",
                     resource="services")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert world.left() >= {JOB, SERVICE}


# ---- Grace for finished jobs ----

def test_a_finished_job_is_kept_for_its_grace_and_its_service_is_not(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(FAILED_GRACE_SECONDS="3", ADOPT_SERVICE="false")
    world.kube.fail_job(JOB)
    service = world.kube.wait_request(verb="delete", resource="services")
    assert JOB in world.left()
    assert cleaner.wait() == 0
    job = world.requests(verb="delete", resource="jobs", name=JOB)[0]
    assert 1 <= job.monotonic - service.monotonic <= 4
    world.wait_gone()


def test_the_grace_counts_from_the_finish_not_from_the_start_of_the_cleaner(world):
    world.pair()
    world.kube.complete_job(JOB)
    world.kube.clock_offset = 3600
    assert world.run(COMPLETED_GRACE_SECONDS="600").wait() == 0
    world.wait_gone()


def test_a_signal_during_the_grace_leaves_the_job(world):
    cleaner = completed(world, COMPLETED_GRACE_SECONDS="600")
    cleaner.wait_log(msg="finished job is kept")
    cleaner.signal()
    assert cleaner.wait(2) == 143
    assert JOB in world.left()


# ---- Signals ----

@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_while_watching_is_143_within_a_second_and_touches_nothing(world, number):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(ADOPT_SERVICE="false")
    at = time.monotonic()
    cleaner.signal(number)
    assert cleaner.wait(5) == 143
    assert time.monotonic() - at < 1
    assert world.changes() == []


def test_a_signal_before_the_first_answer(world):
    world.pair()
    world.kube.fault(faults.never_answer(), verb="list", resource="jobs", times=None)
    cleaner = world.run()
    world.kube.wait_request(verb="list", resource="jobs")
    cleaner.signal()
    assert cleaner.wait(2) == 143


def test_a_signal_during_the_teardown_lets_it_finish(world):
    world.pair(finalizers=["example.com/keep"])
    world.kube.complete_job(JOB)
    cleaner = world.run()
    world.kube.wait_request(verb="delete", resource="jobs", name=JOB)
    cleaner.signal()
    cleaner.wait_log(msg="signal")
    world.kube.remove_finalizers("job", JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_it_has_25_seconds_and_one_after_a_second_signal(world):
    world.pair(finalizers=["example.com/keep"])
    world.kube.complete_job(JOB)
    cleaner = world.run(speed=10)
    world.kube.wait_request(verb="delete", resource="jobs", name=JOB)
    at = time.monotonic()
    cleaner.signal()
    assert cleaner.wait(10) == 1
    assert 2 < time.monotonic() - at < 4

    cleaner = world.run()
    cleaner.wait_log(msg="teardown")
    cleaner.signal()
    cleaner.wait_log(msg="signal", count=1)
    at = time.monotonic()
    cleaner.signal()
    assert cleaner.wait(5) == 1
    assert time.monotonic() - at < 2

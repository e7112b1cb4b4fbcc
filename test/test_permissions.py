"""Section 9 of the contract, row by row: what is lost without each permission, and that each one
missing is named in exactly one line, while everything else is still torn down."""
import time

import pytest

from conftest import INTERVAL, JOB, SELF, SERVICE
from fakekube import faults
from test_readings import METRICS, many_checks

ACTIVE = "900m"
GONE = {"job": "gone", "service": "gone", "self": "gone"}
KEPT = {"job": "forbidden", "service": "gone", "self": "none"}
NO_SERVICE = {"job": "gone", "service": "forbidden", "self": "none"}
JOBS_OF_1_1 = [("batch", "jobs", "get"), ("batch", "jobs", "delete")]
ROLE_OF_1_1 = [*JOBS_OF_1_1, ("", "services", "get"), ("", "services", "delete"),
               ("", "pods", "get"), ("", "pods", "list"), ("metrics.k8s.io", "pods", "list")]


def idle(world, **changes):
    """A job that nobody uses, and its cleaner."""
    world.pair(cpu="2m")
    return world.run(CHECK_INTERVAL_SECONDS=INTERVAL / 2, **changes)


def completed(world, **changes):
    """A job that completes once its cleaner has done all that it does while it watches."""
    world.pair(cpu=ACTIVE)
    cleaner = world.run(CHECK_INTERVAL_SECONDS=INTERVAL / 2, **changes)
    many_checks(world, 3)
    world.kube.complete_job(JOB)
    return cleaner


def fates(world):
    """What became of each object. The collector may be faster: "absent" is as good as "deleted"."""
    summary = world.summary()
    return {what: "gone" if summary[what] in ("deleted", "absent") else summary[what]
            for what in GONE}


def refused(world):
    """The permissions that were asked for in vain."""
    return {(r.group, r.resource, r.verb) for r in world.kube.requests if r.status == 403}


def named(world, cleaner):
    """The permissions that lines of the log name. One line for each that was refused, and nothing
    else is complained of but what became of the objects."""
    lines = cleaner.log(msg="permission missing")
    rights = [(line.get("api_group"), line["resource"], line["verb"]) for line in lines]
    assert {line["namespace"] for line in lines} <= {world.kube.namespace}
    assert all(line["without_it"] for line in lines)
    assert sorted(rights, key=str) == sorted(refused(world), key=str)
    assert [line for line in cleaner.lines if line["level"] in ("warn", "error")
            and line["msg"] not in ("permission missing", "teardown incomplete")
            and "outcome" not in line] == []
    return dict(zip(rights, (line["level"] for line in lines)))


# Without this: the line's level, the exit status, what becomes of the objects.
ONE_MISSING = {
    "jobs delete": (("batch", "jobs", "delete"), "warn", 1, KEPT),
    "jobs watch": (("batch", "jobs", "watch"), "warn", 0, GONE),
    "jobs list": (("batch", "jobs", "list"), "warn", 0, GONE),
    "services get": (("", "services", "get"), "warn", 1, NO_SERVICE),
    "services delete": (("", "services", "delete"), "warn", 1, NO_SERVICE),
    "services patch": (("", "services", "patch"), "info", 0, GONE),
    "pods list": (("", "pods", "list"), "warn", 0, GONE),
    "events create": (("", "events", "create"), "warn", 0, GONE),
}


@pytest.mark.parametrize("end", [idle, completed])
@pytest.mark.parametrize("right,level,status,outcome", ONE_MISSING.values(), ids=ONE_MISSING)
def test_one_line_names_what_is_missing_and_the_rest_goes(world, end, right, level, status,
                                                          outcome):
    world.kube.deny(*right)
    cleaner = end(world)
    assert cleaner.wait() == status
    assert named(world, cleaner) == {right: level}
    assert world.summary()["trigger"] == end.__name__
    assert fates(world) == outcome
    if status == 0:
        world.wait_gone()


@pytest.mark.parametrize("end", [idle, completed])
def test_with_all_of_them_nothing_is_missed(world, end):
    """Without this, the tests of this file could not fail."""
    cleaner = end(world)
    assert cleaner.wait() == 0
    assert named(world, cleaner) == {}
    assert fates(world) == GONE
    world.wait_gone()


# ---- What is lost ----

def test_without_jobs_get_a_finish_is_still_acted_on(world):
    """Nobody can read the Job, but the watch tells; our own Job stays for its TTL."""
    right = ("batch", "jobs", "get")
    world.kube.deny(*right)
    cleaner = completed(world)
    assert cleaner.wait() == 0
    assert named(world, cleaner) == {right: "warn"}
    assert fates(world) == {**GONE, "self": "forbidden"}
    assert world.left() <= {SELF, "pod"}


def test_without_jobs_get_there_is_no_idle_trigger(world):
    """The last look cannot be taken."""
    right = ("batch", "jobs", "get")
    world.kube.deny(*right)
    cleaner = idle(world)
    many_checks(world, 20)
    assert named(world, cleaner) == {right: "warn"}
    assert world.deletions() == []


def test_without_jobs_get_nothing_is_asked_in_a_hot_loop(world):
    world.kube.deny("batch", "jobs", "get")
    world.pair(cpu=ACTIVE)
    world.run()
    many_checks(world, 10)
    assert len(world.requests(verb="get", resource="services")) <= 3
    assert len(world.requests(verb="get", resource="jobs", name=JOB)) <= 4


@pytest.mark.parametrize("verb", ["watch", "list"])
def test_without_jobs_watch_or_list_the_job_is_polled(world, verb):
    world.kube.deny("batch", "jobs", verb)
    cleaner = completed(world)
    assert cleaner.wait() == 0
    assert len(world.requests(verb=verb, resource="jobs")) == 1
    assert len(world.requests(verb="get", resource="jobs", name=JOB)) >= len(world.checks())


@pytest.mark.parametrize("changes", [{}, {"ENABLE_CPU_USAGE_CHECK": "false"}], ids=["checks", "none"])
def test_a_job_that_is_polled_is_read_once_an_interval(world, changes):
    """Without checks, too, there is nothing that would hurry."""
    world.kube.deny("batch", "jobs", "watch")
    world.pair(cpu=ACTIVE)
    world.run(CHECK_INTERVAL_SECONDS=0.5, **changes)
    world.kube.wait_for(lambda: world.requests(verb="watch", resource="jobs"), what="the watch")
    began = time.monotonic()
    time.sleep(2)
    reads = len(world.requests(verb="get", resource="jobs", name=JOB))
    assert 3 <= reads <= (time.monotonic() - began) / 0.5 + 4   # 4: the start


def test_a_polled_job_is_read_though_the_metrics_api_asks_for_patience(world):
    world.kube.deny("batch", "jobs", "watch")
    world.kube.fault(faults.throttled(3600), **METRICS)
    world.pair(cpu=ACTIVE)
    cleaner = world.run()
    world.kube.wait_request(**METRICS)
    reads = len(world.requests(verb="get", resource="jobs", name=JOB))
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=reads + 1)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert len(world.checks()) == 1


def test_without_jobs_delete_the_job_stays(world):
    world.kube.deny("batch", "jobs", "delete")
    completed(world).wait()
    assert world.left() == {JOB, SELF, "pod"}


def test_without_services_patch_there_is_no_adoption(world):
    world.kube.deny("", "services", "patch")
    idle(world).wait()
    assert len(world.requests(verb="patch")) == 1
    assert [r.status for r in world.requests(verb="delete", resource="services")] == [200]


@pytest.mark.parametrize("verb", ["get", "delete"])
def test_without_services_get_or_delete_the_service_stays(world, verb):
    world.kube.deny("", "services", verb)
    completed(world, ADOPT_SERVICE="false").wait()
    assert world.left() - {"pod"} == {SERVICE, SELF}


def test_without_services_delete_an_adopted_service_goes_all_the_same(world):
    """The garbage collector needs no permission of ours, and the next run finds nothing left."""
    world.kube.deny("", "services", "delete")
    assert idle(world).wait() == 1
    world.kube.wait_for(lambda: not world.kube.service(SERVICE), what="the Service collected")
    assert world.run(MISSING_JOB_TIMEOUT_SECONDS="0").wait() == 0
    world.wait_gone()


def test_without_metrics_there_is_no_idle_trigger_and_the_finish_is_seen(world):
    right = ("metrics.k8s.io", "pods", "list")
    world.kube.deny(*right)
    cleaner = idle(world)
    many_checks(world)
    assert world.deletions() == []
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert named(world, cleaner) == {right: "warn"}
    assert world.summary()["trigger"] == "completed"
    world.wait_gone()


@pytest.mark.parametrize("end", [idle, completed])
def test_without_pods_list_nothing_is_known_of_the_pods(world, end):
    """No controller ends them: nobody waits 20 s for them, and nobody deletes them."""
    world.kube.deny("", "pods", "list")
    cleaner = end(world)
    world.kube.controllers = False
    assert cleaner.wait(5) == 0
    assert len(world.requests(verb="list", resource="pods", group="")) == 1
    assert world.left() == {"pod"}


@pytest.mark.parametrize("ready,triggers", [(0, True), (None, False)], ids=["known", "unknown"])
def test_without_pods_list_the_pending_trigger_needs_status_ready(world, ready, triggers):
    world.kube.deny("", "pods", "list")
    world.pair(cpu=None, phase="Pending")
    world.kube.set_status(JOB, ready=ready)
    cleaner = world.run(PENDING_TIMEOUT_SECONDS="0.3")
    if triggers:
        assert cleaner.wait() == 0
        assert world.summary()["trigger"] == "pending"
    else:
        many_checks(world)
        assert world.deletions() == []
    assert named(world, cleaner) == {("", "pods", "list"): "warn"}


def test_without_pods_delete_a_pod_that_no_controller_ends_is_left(world):
    right = ("", "pods", "delete")
    world.kube.deny(*right)
    cleaner = completed(world, speed=20)
    world.kube.controllers = False
    assert cleaner.wait(30) == 1
    assert named(world, cleaner) == {right: "warn"}
    assert cleaner.lines[-1]["pods"] == "forbidden"
    assert world.left() - {SERVICE} == {"pod", SELF}


def test_without_pods_delete_nothing_is_missed_while_controllers_run(world):
    world.kube.deny("", "pods", "delete")
    cleaner = idle(world)
    assert cleaner.wait() == 0
    assert named(world, cleaner) == {}
    world.wait_gone()


def test_without_events_create_there_are_no_events(world):
    world.kube.deny("", "events", "create")
    idle(world).wait()
    assert world.kube.events() == []
    assert len(world.requests(verb="create", resource="events")) == 1


# ---- Whole roles ----

@pytest.mark.parametrize("end", [idle, completed])
def test_the_role_that_1_1_had_is_enough(world, end):
    world.kube.set_rules(ROLE_OF_1_1)
    cleaner = end(world)
    assert cleaner.wait() == 0
    assert named(world, cleaner) == {("batch", "jobs", "list"): "warn",
                                     ("", "services", "patch"): "info",
                                     ("", "events", "create"): "warn"}
    assert fates(world) == GONE
    world.wait_gone()


@pytest.mark.parametrize("end", [idle, completed])
def test_two_missing_permissions_are_two_lines(world, end):
    """Each named once, although each is asked for more than once in this teardown."""
    world.kube.deny("", "services")
    world.kube.deny("", "events", "create")
    cleaner = end(world)
    assert cleaner.wait() == 1
    assert named(world, cleaner) == {("", "services", "get"): "warn",
                                     ("", "events", "create"): "warn"}
    assert fates(world) == NO_SERVICE


def role_that_allows_nothing(world):
    """A cleaner that has been refused several times over, on a clock that runs 20 times as fast."""
    world.kube.set_rules([])
    world.pair(cpu="2m")
    cleaner = world.run(speed=20)
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=5)
    return cleaner


def test_a_role_that_allows_nothing_gives_one_line_for_each_thing_and_no_change(world):
    cleaner = role_that_allows_nothing(world)
    assert named(world, cleaner) == {("batch", "jobs", "list"): "warn",
                                     ("batch", "jobs", "get"): "warn"}
    assert world.changes() == [] and world.checks() == []
    cleaner.signal()
    assert cleaner.wait(5) == 143


def test_a_role_that_comes_later_is_used(world):
    cleaner = role_that_allows_nothing(world)
    world.kube.set_rules(ROLE_OF_1_1)
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "idle"
    world.wait_gone()

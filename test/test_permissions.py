"""Section 9 of the contract, row by row: what is lost without each permission, and that each one
missing is named once, by its rule, while everything else is still torn down.

A refusal is believed when a second answer confirms it, and asked again: on a clock that runs 40
times as fast, so that a second of it is 25 ms.
"""
import collections
import time

import pytest

from conftest import JOB, SELF, SERVICE
from fakekube import faults
from manifests import required_rules
from test_readings import METRICS, many_checks

ACTIVE = "900m"
SPEED = 40
MINUTE = 60 / SPEED
GONE = {"job": "gone", "service": "gone", "self": "gone"}
KEPT = {"job": "forbidden", "service": "gone", "self": "none"}
NO_SERVICE = {"job": "gone", "service": "forbidden", "self": "none"}
# Nobody knows the Role that 1.1 had. What it may have been, and less:
LEAST = [("batch", "jobs", "get"), ("batch", "jobs", "delete"),
         ("", "services", "get"), ("", "services", "delete")]
PODS, METRICS_GET, METRICS_LIST = (("", "pods", "list"), ("metrics.k8s.io", "pods", "get"),
                                   ("metrics.k8s.io", "pods", "list"))
RULES = sorted(required_rules())
FAST = {"speed": SPEED, "CHECK_INTERVAL_SECONDS": 2, "TEARDOWN_TIMEOUT_SECONDS": 50}


def idle(world, **changes):
    """A job that nobody uses, and its cleaner."""
    world.pair(cpu="2m")
    return world.run(**FAST, **changes)


def completed(world, **changes):
    """A job that completes once its cleaner has done all that it does while it watches."""
    world.pair(cpu=ACTIVE)
    cleaner = world.run(**FAST, **changes)
    many_checks(world, 4)
    world.kube.complete_job(JOB)
    return cleaner


def fates(world):
    """What became of each object. The collector may be faster: "absent" is as good as "deleted"."""
    summary = world.summary()
    return {what: "gone" if summary[what] in ("deleted", "absent") else summary[what]
            for what in GONE}


def refused(world):
    """The permissions that were asked for in vain: how often, of each object by itself."""
    return collections.Counter((r.group, r.resource, r.verb, r.name) for r in world.kube.requests
                               if r.status == 403)


def confirmed(world):
    """Those of which a second answer confirmed that they are missing. An Event has one try."""
    return {right for (*right, _), count in refused(world).items()
            for right in (tuple(right),) if count > 1 or right[1] == "events"}


def named(world, cleaner):
    """The permissions that lines of the log name: each once for each thing that is lost without
    it, with the rule to add and the server's words. Nothing else is complained of but what became
    of the objects."""
    lines = cleaner.log(msg="permission missing")
    for line in lines:
        group, resource, verb = line["api_group"], line["resource"], line["verb"]
        assert line["namespace"] == world.kube.namespace and line["level"] == "warn"
        assert line["rule"] == (f'{{apiGroups: ["{group}"], resources: ["{resource}"], '
                                f'verbs: ["{verb}"]}}')
        assert line["status"] == 403 and "is forbidden" in line["error"]
        assert f'cannot {verb} resource "{resource}"' in line["error"]
    lost = [(line["api_group"], line["resource"], line["verb"], line["without_it"])
            for line in lines]
    assert all(line[3] for line in lost) and len(set(lost)) == len(lost)
    assert [line for line in cleaner.lines if line["level"] in ("warn", "error")
            and line["msg"] not in ("permission missing", "teardown incomplete")
            and "outcome" not in line] == []
    rights = {tuple(line[:3]) for line in lost}
    assert rights == confirmed(world)
    return rights


# Without this: the exit status, what becomes of the objects.
ONE_MISSING = {
    "jobs watch": (("batch", "jobs", "watch"), 0, GONE),
    "jobs list": (("batch", "jobs", "list"), 0, GONE),
    "services get": (("", "services", "get"), 1, NO_SERVICE),
    "services patch": (("", "services", "patch"), 0, GONE),
    "pods list": (("", "pods", "list"), 0, GONE),
    "events create": (("", "events", "create"), 0, GONE),
}


@pytest.mark.parametrize("end", [idle, completed])
@pytest.mark.parametrize("right,status,outcome", ONE_MISSING.values(), ids=ONE_MISSING)
def test_one_line_names_what_is_missing_and_the_rest_goes(world, end, right, status, outcome):
    world.kube.deny(*right)
    cleaner = end(world)
    assert cleaner.wait() == status
    assert named(world, cleaner) == {right}
    assert len(cleaner.log(msg="permission missing")) == 1
    assert world.summary()["trigger"] == end.__name__
    assert fates(world) == outcome
    if status == 0:
        world.wait_gone()


@pytest.mark.parametrize("end", [idle, completed])
def test_with_all_of_them_nothing_is_missed(world, end):
    """Without this, the tests of this file could not fail."""
    cleaner = end(world)
    assert cleaner.wait() == 0
    assert named(world, cleaner) == set()
    assert fates(world) == GONE
    world.wait_gone()


def test_one_refusal_is_no_missing_permission(world):
    """An API server of Kubernetes 1.36 answers so for a second after its start."""
    world.kube.set_rules([])
    world.kube.after(lambda kube, request: kube.set_rules(RULES), verb="get", name=SELF)
    world.kube.after(lambda kube, request: kube.set_rules(RULES), verb="list", resource="jobs")
    cleaner = completed(world)
    assert cleaner.wait() == 0
    assert refused(world) and cleaner.log(msg="permission missing") == []
    world.wait_gone()


# ---- What is lost ----

def test_without_jobs_get_a_finish_is_acted_on_when_it_may_be_read(world):
    """An event alone, of a Job that may have been replaced by now, deletes nothing. The rule that
    the log names is added, and asked for again a minute after its refusal was confirmed. Our own
    Job waits for its TTL, unless its uid was learnt in time."""
    right = ("batch", "jobs", "get")
    world.kube.deny(*right)
    cleaner = completed(world)
    cleaner.wait_log(msg="permission missing",
                     without_it="the Job cannot be read, and no job is torn down")
    reads = len(world.requests(verb="get", resource="jobs", name=JOB))
    many_checks(world, 10)
    assert len(world.requests(verb="get", resource="jobs", name=JOB)) == reads
    assert named(world, cleaner) == {right}
    assert world.changes() == []
    world.kube.allow(*right)
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "completed"
    world.kube.wait_for(lambda: world.left() <= {SELF}, what="everything gone but our own Job")
    assert (SELF in world.left()) == (world.summary()["self"] == "left")


def test_without_jobs_get_there_is_no_idle_trigger(world):
    """The last look cannot be taken."""
    right = ("batch", "jobs", "get")
    world.kube.deny(*right)
    cleaner = idle(world)
    many_checks(world, 30)
    assert named(world, cleaner) == {right}
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
    """The second answer is believed for a minute."""
    world.kube.deny("batch", "jobs", verb)
    cleaner = completed(world)
    assert cleaner.wait() == 0
    assert len(world.requests(verb=verb, resource="jobs")) == 2
    assert len(world.requests(verb="get", resource="jobs", name=JOB)) >= len(world.checks())


def test_a_permission_that_is_missing_is_asked_again_ever_more_seldom(world):
    """After a second, a minute, two, four, and five at the most; and told once."""
    world.kube.deny("batch", "jobs", "watch")
    world.pair(cpu=ACTIVE)
    cleaner = world.run(**{**FAST, "speed": 120, "CHECK_INTERVAL_SECONDS": 10})
    world.kube.wait_request(verb="watch", resource="jobs", count=6, timeout=20)
    asked = [r.monotonic * 120 for r in world.requests(verb="watch", resource="jobs")]
    for pause, a, b in zip((1, 60, 120, 240, 300), asked, asked[1:]):
        assert pause - 3 <= b - a <= pause * 9 / 8 + 30
    assert len(cleaner.log(msg="permission missing")) == 1


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


def test_without_jobs_delete_a_finished_job_stays_and_its_service_goes(world):
    """It is asked again after 1, 2, 4 ... seconds, until time is up."""
    right = ("batch", "jobs", "delete")
    world.kube.deny(*right)
    cleaner = completed(world)
    assert cleaner.wait() == 1
    assert named(world, cleaner) == {right}
    assert fates(world) == KEPT
    assert world.left() == {JOB, SELF, "pod"}
    assert 5 <= len(world.requests(verb="delete", resource="jobs")) <= 8


def test_without_jobs_delete_an_idle_job_is_watched_on_with_all_that_is_its(world):
    """One warning, one Event with the server's words, and a new try when the count is full anew,
    but not sooner than a minute after the refusal was confirmed."""
    right = ("batch", "jobs", "delete")
    world.kube.deny(*right)
    cleaner = idle(world)
    assert cleaner.wait_log(msg="permission missing")["without_it"] == (
        "the Job stays, and is watched as before")
    world.kube.wait_request(verb="delete", resource="jobs", count=3)
    first, second, third = world.requests(verb="delete")
    assert second.monotonic - first.monotonic >= 0.9 / SPEED
    assert third.monotonic - second.monotonic >= 0.95 * MINUTE
    assert len([r for r in world.checks() if second.seq < r.seq < third.seq]) >= 5
    world.kube.wait_for(lambda: len(world.checks()) > 80, what="it goes on")
    assert named(world, cleaner) == {right}
    assert world.left() == {JOB, SERVICE, SELF, "pod"}
    event, = world.kube.events()
    assert (event["type"], event["reason"]) == ("Warning", "CleanupRefused")
    assert 'cannot delete resource "jobs"' in event["message"]
    world.kube.complete_job(JOB)
    world.kube.allow(*right)
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "completed"
    world.wait_gone()


def test_a_right_that_comes_is_used_by_the_idle_trigger_that_waits_for_it(world):
    right = ("batch", "jobs", "delete")
    world.kube.deny(*right)
    cleaner = idle(world)
    cleaner.wait_log(msg="permission missing")
    world.kube.allow(*right)
    assert cleaner.wait() == 0
    assert [(line["verb"], line["resource"]) for line in cleaner.log(msg="no longer refused")] == [
        ("delete", "jobs")]
    assert world.summary()["trigger"] == "idle"
    world.wait_gone()


def test_without_services_patch_there_is_no_adoption(world):
    world.kube.deny("", "services", "patch")
    idle(world).wait()
    assert len(world.requests(verb="patch")) == 2
    assert [r.status for r in world.requests(verb="delete", resource="services")] == [200]


@pytest.mark.parametrize("end", [idle, completed])
@pytest.mark.parametrize("verb", ["get", "delete"])
def test_without_services_get_or_delete_the_service_stays(world, end, verb):
    world.kube.deny("", "services", verb)
    cleaner = end(world, ADOPT_SERVICE="false")
    assert cleaner.wait() == 1
    assert named(world, cleaner) == {("", "services", verb)}
    assert fates(world) == NO_SERVICE
    assert world.left() - {"pod"} == {SERVICE, SELF}


@pytest.mark.parametrize("end", [idle, completed])
def test_without_services_delete_an_adopted_service_goes_all_the_same(world, end):
    """The garbage collector needs no permission of ours, and a read tells that it was there."""
    right = ("", "services", "delete")
    world.kube.deny(*right)
    cleaner = end(world)
    assert cleaner.wait() == 0
    assert named(world, cleaner) <= {right}
    assert world.summary()["service"] == "absent"
    world.wait_gone()


def test_without_metrics_there_is_no_idle_trigger_and_the_finish_is_seen(world):
    """Neither all at once nor pod by pod: two rules, either of which would do."""
    rights = {("metrics.k8s.io", "pods", "list"), ("metrics.k8s.io", "pods", "get")}
    world.kube.deny("metrics.k8s.io", "pods")
    cleaner = idle(world)
    cleaner.wait_log(msg="permission missing", verb="get", without_it="no idle trigger")
    reads = len(world.requests(verb="get", resource="jobs", name=JOB))
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=reads + 4)
    assert world.deletions() == [] and cleaner.log(msg="idle check") == []
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert named(world, cleaner) == rights
    assert world.summary()["trigger"] == "completed"
    world.wait_gone()


def test_with_the_right_to_read_metrics_pod_by_pod_alone_it_judges(world):
    """As `kubectl top pod NAME` needs it: what 1.1 may have had."""
    world.kube.deny("metrics.k8s.io", "pods", "list")
    world.kube.allow("metrics.k8s.io", "pods", "get")
    cleaner = idle(world)
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "idle"
    assert named(world, cleaner) == {("metrics.k8s.io", "pods", "list")}
    world.wait_gone()


def test_one_pods_metrics_are_no_recovery_of_anothers(world):
    """Each round began with one that can be read."""
    world.kube.deny("metrics.k8s.io", "pods", "list")
    world.kube.allow("metrics.k8s.io", "pods", "get")
    world.pair(cpu="2m", parallelism=2)
    last = sorted(p["metadata"]["name"] for p in world.kube.pods(JOB))[-1]
    world.kube.fault(faults.unavailable(), times=None, verb="get", resource="pods", name=last)
    cleaner = world.run()
    world.kube.wait_request(count=4, verb="get", resource="pods", name=last)
    assert cleaner.log(msg="metrics API trouble") and not cleaner.log(msg="recovered")
    assert world.deletions() == []


@pytest.mark.parametrize("end", [idle, completed])
def test_without_pods_list_nothing_is_known_of_the_pods(world, end):
    """Believed after six answers, half a minute. No controller ends them: nobody waits longer for
    them, and nobody deletes them."""
    world.kube.deny("", "pods", "list")
    cleaner = end(world)
    world.kube.controllers = False
    assert cleaner.wait(10) == 0
    lists = world.requests(verb="list", resource="pods", group="")
    delete, = [r for r in world.requests(verb="delete", resource="jobs", name=JOB)]
    assert 6 <= len(lists) <= 8
    if end is idle:
        assert lists[5].seq < delete.seq
        assert lists[5].monotonic - lists[0].monotonic >= 30 / SPEED
    assert world.requests(verb="delete", resource="pods") == []
    assert world.left() == {"pod"}


def test_pods_that_may_be_listed_again_in_time_are_looked_at(world):
    """Five answers of 403 are no proof: the sixth is a look, and what it sees counts."""
    world.kube.deny("", "pods", "list")
    world.pair(cpu={"grpc-server": "1m"}, containers=("grpc-server", "helper"))
    pod = world.kube.pods(JOB)[0]["metadata"]["name"]
    world.kube.set_pod(pod, states={"grpc-server": "CrashLoopBackOff", "helper": "running"})
    world.kube.after(lambda kube, request: kube.allow("", "pods", "list"), verb="list",
                     resource="pods", group="", nth=5)
    cleaner = world.run(**FAST)
    cleaner.wait_log(msg="idle check", check="1/5", count=3)
    assert world.deletions() == []


@pytest.mark.parametrize("ready,triggers", [(0, True), (None, False)], ids=["known", "unknown"])
def test_without_pods_list_the_pending_trigger_needs_status_ready(world, ready, triggers):
    world.kube.deny("", "pods", "list")
    world.pair(cpu=None, phase="Pending")
    world.kube.set_status(JOB, ready=ready)
    cleaner = world.run(**FAST, PENDING_TIMEOUT_SECONDS=6)
    if triggers:
        assert cleaner.wait() == 0
        assert world.summary()["trigger"] == "pending"
    else:
        many_checks(world, 60)
        assert world.deletions() == []
    assert named(world, cleaner) == {("", "pods", "list")}


def test_without_pods_delete_a_pod_that_no_controller_ends_is_left(world):
    """The rest goes; our own Job stays, for the next cleaner."""
    right = ("", "pods", "delete")
    world.kube.deny(*right)
    cleaner = completed(world)
    world.kube.controllers = False
    assert cleaner.wait(30) == 1
    assert named(world, cleaner) == {right}
    assert cleaner.lines[-1]["pods"] == "forbidden"
    assert world.left() == {"pod", SELF}


def test_without_pods_delete_nothing_is_missed_while_controllers_run(world):
    world.kube.deny("", "pods", "delete")
    cleaner = idle(world)
    assert cleaner.wait() == 0
    assert named(world, cleaner) == set()
    world.wait_gone()


def test_without_events_create_there_are_no_events(world):
    world.kube.deny("", "events", "create")
    idle(world).wait()
    assert world.kube.events() == []
    assert len(world.requests(verb="create", resource="events")) == 1


# ---- Whole roles ----

ALWAYS = {("batch", "jobs", "list"), ("", "services", "patch")}
EVENTS = ("", "events", "create")

# What is granted besides LEAST; does an idle job go; what is named.
ROLES = {
    "no more": ([], False, {METRICS_LIST, PODS}),
    "pods list": ([PODS], False, {METRICS_LIST, METRICS_GET}),
    "metrics get": ([METRICS_GET], False, {METRICS_LIST, PODS}),
    "metrics get, pods list": ([METRICS_GET, PODS], True, {METRICS_LIST}),
    "metrics list": ([METRICS_LIST], True, {PODS}),
    "metrics list, pods list": ([METRICS_LIST, PODS], True, set()),
}


@pytest.mark.parametrize("more,goes,missing", ROLES.values(), ids=ROLES)
def test_a_role_of_old_with_an_idle_job(world, more, goes, missing):
    """It goes where its CPU can be read; where not, a line says why it stays, and its end is seen."""
    world.kube.set_rules([*LEAST, *more])
    cleaner = idle(world)
    if goes:
        assert cleaner.wait() == 0
        assert world.summary()["trigger"] == "idle"
        assert named(world, cleaner) == ALWAYS | missing | {EVENTS}
    else:
        cleaner.wait_log(msg="cpu unknown", why="no permission to read metrics")
        world.kube.wait_for(lambda: missing <= confirmed(world), what="refusals that are believed")
        many_reads(world, 5)
        assert world.deletions() == [] and cleaner.log(msg="idle check") == []
        assert [line for line in cleaner.log(msg="permission missing")
                if "no idle trigger" in line["without_it"]]
        world.kube.complete_job(JOB)
        assert cleaner.wait() == 0
        assert world.summary()["trigger"] == "completed"
        assert ALWAYS | missing | {EVENTS} >= named(world, cleaner) >= ALWAYS | missing
    assert fates(world) == GONE
    world.wait_gone()


@pytest.mark.parametrize("more,goes,missing", ROLES.values(), ids=ROLES)
def test_a_role_of_old_with_a_job_that_completes(world, more, goes, missing):
    world.kube.set_rules([*LEAST, *more])
    world.pair(cpu=ACTIVE)
    cleaner = world.run(**FAST)
    many_reads(world, 4)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert fates(world) == GONE
    world.wait_gone()


@pytest.mark.parametrize("end", [idle, completed])
def test_a_service_that_may_be_deleted_and_not_read_stays_and_is_named(world, end):
    """It would go by the uid of nothing: another one may have its name by now. The line names the
    rule, and the slot stays taken, as its node port is."""
    world.kube.set_rules([r for r in RULES if r != ("", "services", "get")])
    cleaner = end(world)
    assert cleaner.wait() == 1
    line, = cleaner.log(msg="permission missing")
    assert line["without_it"] == "the Service's uid is not known, and it stays"
    assert world.requests(verb="delete", resource="services") == []
    assert fates(world) == NO_SERVICE
    assert world.left() - {"pod"} == {SERVICE, SELF}


def many_reads(world, count):
    """The Job is polled so often from now on."""
    before = len(world.requests(verb="get", resource="jobs", name=JOB))
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=before + count)


@pytest.mark.parametrize("end", [idle, completed])
def test_two_missing_permissions_are_two_lines(world, end):
    """Each named once, although each is asked for more than once in this teardown."""
    world.kube.deny("", "services")
    world.kube.deny("", "events", "create")
    cleaner = end(world)
    assert cleaner.wait() == 1
    assert named(world, cleaner) == {("", "services", "get"), ("", "events", "create")}
    assert len(cleaner.log(msg="permission missing")) == 2
    assert fates(world) == NO_SERVICE


def role_that_allows_nothing(world):
    """A cleaner that has been refused several times over."""
    world.kube.set_rules([])
    world.pair(cpu="2m")
    cleaner = world.run(**FAST)
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=3)
    return cleaner


def test_a_role_that_allows_nothing_gives_one_line_for_each_thing_and_no_change(world):
    cleaner = role_that_allows_nothing(world)
    assert named(world, cleaner) == {("batch", "jobs", "list"), ("batch", "jobs", "get")}
    assert len(cleaner.log(msg="permission missing")) == 3     # get: the Job, and our own
    assert world.changes() == [] and world.checks() == []
    cleaner.signal()
    assert cleaner.wait(5) == 143


def test_a_role_that_comes_later_is_used(world):
    cleaner = role_that_allows_nothing(world)
    world.kube.set_rules([*LEAST, METRICS_LIST, PODS])
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "idle"
    world.wait_gone()

"""Section 4 of the contract: active, idle, unknown, and the last look before an idle teardown."""
import datetime

import pytest

from conftest import INTERVAL, JOB, SELF, SERVICE
from fakekube import faults

FAST = {"CHECK_INTERVAL_SECONDS": INTERVAL / 2}
METRICS = {"verb": "list", "resource": "pods", "group": "metrics.k8s.io"}


def many_checks(world, more=12):
    """Lets twice as many checks pass as would trigger, and returns how many there were."""
    count = len(world.checks()) + more
    world.kube.wait_request(count=count, **METRICS)
    return count


def pod_of(world):
    return world.kube.pods(JOB)[0]["metadata"]["name"]


# ---- Idle ----

@pytest.mark.versions
def test_five_idle_checks_tear_down(world):
    world.pair(cpu="2m")
    cleaner = world.run()
    assert cleaner.wait() == 0
    world.wait_gone()
    assert len(world.checks()) == 5
    lines = cleaner.log(msg="idle check")
    assert [line["check"] for line in lines] == ["1/5", "2/5", "3/5", "4/5", "5/5"]
    assert {(line["cpu"], line["threshold"]) for line in lines} == {("2m", "4m")}
    assert world.summary()["trigger"] == "idle"


@pytest.mark.versions
def test_the_selector_is_the_jobs_own(world):
    world.pair()
    world.run().wait()
    labels = world.job["spec"]["selector"]["matchLabels"]
    assert [r.query["labelSelector"] for r in world.checks()] == [
        [f"{k}={v}" for k, v in labels.items()]] * 5


@pytest.mark.parametrize("cpu,threshold", [
    ("4m", "4"), ("4000000n", "4"), ("4000u", "4m"), ("0.004", "4"), ("0", "0"), ("4e-3", "4"),
    ("250000n", "0.25"), ("500u", "500u"), ("1", "1k"),
    ({"grpc-server": "2m"}, "4"), ({"grpc-server": "1m", "helper": "3m"}, "4")])
def test_at_or_below_the_threshold_is_idle(world, cpu, threshold):
    containers = tuple(cpu) if isinstance(cpu, dict) else ("grpc-server",)
    world.pair(cpu=cpu, containers=containers)
    assert world.run(CPU_USAGE_THRESHOLD=threshold).wait() == 0
    assert world.summary()["trigger"] == "idle"


@pytest.mark.parametrize("cpu,threshold", [
    ("4000001n", "4"), ("5m", "4"), ("1n", "0"), ("1", "4"), ("1k", "4"), ("2e3", "4"),
    ({"grpc-server": "2m", "helper": "2001u"}, "4")])
def test_above_it_is_active(world, cpu, threshold):
    containers = tuple(cpu) if isinstance(cpu, dict) else ("grpc-server",)
    world.pair(cpu=cpu, containers=containers)
    cleaner = world.run(**FAST, CPU_USAGE_THRESHOLD=threshold)
    many_checks(world)
    assert world.deletions() == []
    assert cleaner.log(msg="active", check="0/5")
    assert cleaner.log(msg="idle check") == []


def test_activity_clears_the_count(world):
    world.pair(cpu="2m")
    cleaner = world.run()
    cleaner.wait_log(msg="idle check", check="3/5")
    world.kube.set_cpu(JOB, "80m")
    cleaner.wait_log(msg="active", cpu="80m")
    world.kube.set_cpu(JOB, "1m")
    cleaner.wait_log(msg="idle check", check="1/5", count=2)
    assert cleaner.wait() == 0


def test_active_checks_are_logged_when_they_begin_and_else_at_debug(world):
    world.pair(cpu="80m")
    cleaner = world.run()
    many_checks(world)
    assert [line["level"] for line in cleaner.log(msg="active")][:3] == ["info", "debug", "debug"]


def test_the_variables_of_1_1(world):
    world.pair(cpu="7m")
    cleaner = world.run(CPU_USAGE_THRESHOLD="7", MAX_CPU_USAGE_COUNT="2")
    assert cleaner.wait() == 0
    assert len(world.checks()) == 2


def test_without_the_check_no_metrics_request_is_ever_made(world):
    world.pair(cpu="0")
    cleaner = world.run(**FAST, ENABLE_CPU_USAGE_CHECK="false")
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=4)
    assert world.checks() == [] and world.deletions() == []
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


# ---- Samples ----

def test_one_sample_read_five_times_does_not_trigger(world):
    world.pair(cpu="2m", advance=False)
    world.kube.metrics.freeze()
    cleaner = world.run()
    cleaner.wait_log(msg="idle check", check="12/5")
    assert world.deletions() == []
    world.kube.metrics.advance(start_age=5)
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "idle"


def test_with_one_distinct_sample_it_does_what_1_1_did(world):
    world.pair(cpu="2m", advance=False)
    world.kube.metrics.freeze()
    assert world.run(MIN_DISTINCT_SAMPLES="1").wait() == 0
    assert len(world.checks()) == 5


@pytest.mark.parametrize("age,unknown", [(80, False), (100, True)])
def test_the_age_of_a_sample_is_by_the_answers_own_date(world, age, unknown):
    """The server's clock is an hour off; the sample is what it is."""
    world.kube.clock_offset = 3600
    world.pair(cpu="2m", advance=False)
    world.kube.metrics.timestamp = ("age", age)
    cleaner = world.run(MIN_DISTINCT_SAMPLES="1", MAX_CPU_USAGE_COUNT="3")
    if unknown:
        cleaner.wait_log(msg="cpu unknown", why="the sample is old")
        many_checks(world)
        assert world.deletions() == []
    else:
        assert cleaner.wait() == 0


# ---- Unknown is never idle ----

def spoiled(item):
    """An answer with one item, changed."""
    def items(world):
        good = {"metadata": {"name": pod_of(world)}, "timestamp": now(world), "window": "15s",
                "containers": [{"name": "grpc-server", "usage": {"cpu": "0", "memory": "1"}}]}
        return [{**good, **item}]
    return items


def now(world):
    t = datetime.datetime.fromtimestamp(world.kube.now(), datetime.timezone.utc)
    return t.strftime("%Y-%m-%dT%H:%M:%SZ")


def cpu(value):
    return spoiled({"containers": [{"name": "grpc-server", "usage": {"cpu": value}}]})


UNKNOWN = {
    "no items": lambda world: [],
    "no containers": spoiled({"containers": []}),
    "null containers": spoiled({"containers": None}),
    "null timestamp": spoiled({"timestamp": None}),
    "zero timestamp": spoiled({"timestamp": "0001-01-01T00:00:00Z"}),
    "far future": spoiled({"timestamp": "2999-01-01T00:00:00Z"}),
    "negative": cpu("-513m"),
    "rubbish": cpu("idle"),
    "empty quantity": cpu(""),
    "overflow": cpu("99999999999999999999E"),
    "number": cpu(0),
    "null": cpu(None),
    "no cpu": spoiled({"containers": [{"name": "grpc-server", "usage": {"memory": "5"}}]}),
}


@pytest.mark.parametrize("items", UNKNOWN.values(), ids=UNKNOWN.keys())
def test_an_unusable_sample_is_unknown(world, items):
    world.pair(cpu="0")
    world.kube.metrics.items = items(world)
    cleaner = world.run(**FAST, MIN_DISTINCT_SAMPLES="1")
    cleaner.wait_log(msg="cpu unknown")
    many_checks(world)
    assert world.deletions() == []
    assert cleaner.log(msg="idle check") == []


def test_fewer_pods_than_are_active_is_unknown(world):
    world.pair(cpu="0", parallelism=2)
    world.kube.metrics.drop_pods = {pod_of(world)}
    cleaner = world.run()
    cleaner.wait_log(msg="cpu unknown", why="metrics of some pods are missing")
    many_checks(world)
    assert world.deletions() == []


FAILURES = {
    "503 text": faults.unavailable(), "404 text": faults.text(404, "404 page not found\n"),
    "401": faults.status(401, "Unauthorized", "Unauthorized"),
    "429": faults.throttled(None), "500": faults.status(500, "InternalError", "no"),
    "504": faults.timeout_text(), "reset": faults.reset_before_answer(),
    "cut": faults.cut_body(100), "empty": faults.empty_body(), "not JSON": faults.not_json(),
    "null": faults.body(None), "list": faults.body([]), "another kind": faults.body({"kind": "x"}),
    "null items": faults.body({"kind": "PodMetricsList", "items": None}),
    "page": faults.page(200),
}


@pytest.mark.parametrize("failure", FAILURES.values(), ids=FAILURES.keys())
def test_a_failing_metrics_api_is_unknown_and_one_line(world, failure):
    world.pair(cpu="0")
    world.kube.fault(failure, times=None, **METRICS)
    cleaner = world.run(**FAST)
    cleaner.wait_log(msg="cpu unknown")
    many_checks(world)
    assert world.deletions() == []
    assert len(cleaner.log(level="warn")) <= 1
    assert len(cleaner.log(msg="cpu unknown")) == 1


def test_an_absent_or_dead_metrics_server_still_sees_the_finish(world):
    world.pair(cpu="0")
    world.kube.metrics.absent = True
    cleaner = world.run()
    cleaner.wait_log(msg="metrics API trouble", status=404)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_an_answer_of_100_mb_is_cut_off(world):
    world.pair(cpu="0")
    world.kube.fault(faults.huge_body(), times=1, **METRICS)
    cleaner = world.run()
    assert "262144" in cleaner.wait_log(level="warn")["error"]
    assert cleaner.wait() == 0


def test_retry_after_skips_checks(world):
    world.pair(cpu="0")
    world.kube.fault(faults.throttled(1), nth=2, **METRICS)
    world.run()
    world.kube.wait_request(count=3, **METRICS)
    second, third = world.checks()[1:3]
    assert third.monotonic - second.monotonic >= 0.99


@pytest.mark.parametrize("window,failures,counts", [
    ("1s", 2, [1, 2, 3, 4, 5]), ("1s", 3, [1, 2, 1, 2, 3, 4, 5]),
    ("3s", 3, [1, 2, 3, 4, 5]), ("3s", 5, [1, 2, 1, 2, 3, 4, 5])])
def test_a_gap_of_more_than_three_intervals_or_windows_clears_it(world, window, failures, counts):
    """Unknown leaves the count until then. Intervals of 2 s, on a clock that runs 10 times as fast;
    a sample comes with each answer."""
    world.pair(cpu="2m")
    world.kube.metrics.window = window
    world.kube.fault(faults.unavailable(), nth=3, times=failures, **METRICS)
    cleaner = world.run(CHECK_INTERVAL_SECONDS=2, speed=10)
    assert cleaner.wait() == 0
    lines = cleaner.log(msg="idle check")
    assert [line["check"] for line in lines] == [f"{count}/5" for count in counts]
    assert [line["cleared"] for line in cleaner.lines if "cleared" in line] == (
        ["too long without an idle reading"] if 1 in counts[1:] else [])


def test_samples_that_lie_too_far_apart_are_no_count(world):
    """Whatever our own clock says: the one behind them may have slept."""
    world.pair(cpu="2m")
    first = world.kube.now() - 80
    world.kube.metrics.timestamp = lambda number, now: first + number + (60 if number > 3 else 0)
    cleaner = world.run()
    assert cleaner.wait() == 0
    lines = cleaner.log(msg="idle check")
    assert [line["check"] for line in lines] == [f"{count}/5" for count in
                                                 (1, 2, 3, 1, 2, 3, 4, 5)]
    assert lines[3]["cleared"] == "too long between two samples"


def test_start_up_grace_is_unknown(world):
    world.pair(cpu="0")
    cleaner = world.run(STARTUP_GRACE_SECONDS="3")
    cleaner.wait_log(msg="cpu unknown", why="start-up grace")
    first = cleaner.wait_log(msg="idle check")
    assert first["_at"] > 1.5
    assert cleaner.wait() == 0


# ---- The last look ----

def test_the_last_look_is_the_service_the_pods_and_the_job(world):
    """In this order, with nothing between it and the DELETE; the Event is told behind that."""
    world.pair(cpu="2m")
    world.run().wait()
    names = [(r.verb, r.group, r.resource, r.status) for r in world.kube.requests]
    delete = names.index(("delete", "batch", "jobs", 200))
    assert names[delete - 4:delete] == [
        ("list", "metrics.k8s.io", "pods", 200), ("get", "", "services", 200),
        ("list", "", "pods", 200), ("get", "batch", "jobs", 200)]
    assert delete < names.index(("create", "", "events", 201))


def test_the_delete_carries_what_the_last_look_read(world):
    world.pair(cpu="2m")
    version = []
    world.kube.after(lambda kube, request: version.append(request.answer), times=None,
                     verb="get", resource="jobs", name=JOB)
    world.run(ADOPT_SERVICE="false", CHECK_INTERVAL_SECONDS="0.1").wait()
    options = world.requests(verb="delete", resource="jobs", name=JOB)[0].body
    assert options == {
        "apiVersion": "v1", "kind": "DeleteOptions", "propagationPolicy": "Background",
        "gracePeriodSeconds": 0, "preconditions": {
            "uid": world.job["metadata"]["uid"],
            "resourceVersion": options["preconditions"]["resourceVersion"]}}
    assert options["preconditions"]["resourceVersion"].isdigit()


CONTRADICTIONS = {
    "crash loop beside an idle sidecar": dict(states={"grpc-server": "CrashLoopBackOff",
                                                      "helper": "running"}),
    "creating": dict(states={"grpc-server": "running", "helper": "ContainerCreating"}),
    "running but unmeasured": dict(states={"grpc-server": "running", "helper": "running"}),
}


@pytest.mark.parametrize("pod", CONTRADICTIONS.values(), ids=CONTRADICTIONS.keys())
def test_partial_metrics_are_found_out_by_the_last_look(world, pod):
    """The sum is too low, as a container that is there is not in it."""
    world.pair(cpu={"grpc-server": "1m"}, containers=("grpc-server", "helper"))
    world.kube.set_pod(pod_of(world), **pod)
    cleaner = world.run()
    cleaner.wait_log(msg="idle check", check="1/5", count=3)
    assert world.deletions() == []


def test_a_pod_that_is_not_running_is_not_idle(world):
    world.pair(cpu="1m")
    world.kube.set_pod(pod_of(world), phase="Pending", states={"grpc-server": None})
    world.kube.metrics.only_running = False
    cleaner = world.run()
    cleaner.wait_log(msg="cpu unknown", why="a pod is not running yet")
    assert world.deletions() == []


def test_no_pod_is_not_idle(world):
    """The metrics API still answers for a pod that is gone."""
    world.pair(cpu="1m")
    world.kube.metrics.items = spoiled({})(world)
    world.kube.vanish("pod", pod_of(world))
    cleaner = world.run(MIN_DISTINCT_SAMPLES="1")
    cleaner.wait_log(msg="cpu unknown", why="no pod is running")
    assert world.deletions() == []


# Behind the look at the pods, or behind the look at the Job, which is the last. The first LIST of
# the pods is early in a life.
MOMENTS = {"before the job is read": ("after", {"verb": "list", "resource": "pods", "group": "",
                                                "nth": 2}),
           "before it is deleted": ("before", {"verb": "delete", "resource": "jobs", "name": JOB})}


@pytest.fixture(params=MOMENTS.values(), ids=MOMENTS)
def in_the_last_moment(request, world):
    """Makes something happen then; says with which status a DELETE that came too soon ended."""
    hook, match = request.param

    def arrange(act):
        getattr(world.kube, hook)(lambda kube, _: act(kube), **match)
        return [409] if hook == "before" else []
    return arrange


def test_a_hold_in_the_last_moment_wins(world, in_the_last_moment):
    world.pair(cpu="2m")
    too_soon = in_the_last_moment(lambda kube: kube.annotate(
        JOB, values={"cleanup-grpc/hold": "true"}))
    cleaner = world.run()
    cleaner.wait_log(msg="held")
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=6)
    assert [r.status for r in world.requests(verb="delete")] == too_soon
    assert world.left() == {JOB, SERVICE, SELF, "pod"}
    assert world.kube.events() == []


def test_a_finish_in_the_last_moment_is_what_it_is(world, in_the_last_moment):
    world.pair(cpu="2m")
    too_soon = in_the_last_moment(lambda kube: kube.complete_job(JOB))
    cleaner = world.run()
    assert cleaner.wait() == 0
    world.wait_gone()
    assert world.summary()["trigger"] == "completed"
    assert [r.status for r in world.requests(verb="delete", name=JOB)] == [*too_soon, 200]
    assert [event["reason"] for event in world.kube.events()] == ["CleanupCompleted"]


def test_a_newcomer_in_the_last_moment_is_left_alone(world, in_the_last_moment):
    world.pair(cpu="2m")
    too_soon = in_the_last_moment(lambda kube: kube.recreate_job(JOB, cpu="2m"))
    cleaner = world.run(ADOPT_SERVICE="false")
    assert cleaner.wait() == 0
    assert [r.status for r in world.requests(verb="delete", name=JOB)] == too_soon
    assert world.requests(verb="delete", resource="services") == []
    assert JOB in world.left() and SERVICE in world.left()


def test_a_change_that_says_nothing_costs_no_more_than_a_new_look(world, in_the_last_moment):
    world.pair(cpu="2m")
    too_soon = in_the_last_moment(lambda kube: kube.touch("job", JOB))
    cleaner = world.run()
    assert cleaner.wait() == 0
    world.wait_gone()
    assert [r.status for r in world.requests(verb="delete", resource="jobs", name=JOB)] == [
        *too_soon, 200]
    assert world.summary()["trigger"] == "idle"
    looks = [r for r in world.requests(verb="list", resource="pods", group="")
             if r.seq < world.requests(verb="delete", name=JOB)[-1].seq]
    assert len(looks) == 2 + len(too_soon)


# ---- Pending ----

def test_a_job_of_which_no_pod_was_ever_ready_goes_when_asked_to(world):
    world.pair(cpu=None, phase="Pending")
    cleaner = world.run(PENDING_TIMEOUT_SECONDS="1")
    assert cleaner.wait() == 0
    world.wait_gone()
    assert world.summary()["trigger"] == "pending"
    assert cleaner.log(msg="teardown")[0]["_at"] > 0.9


def test_by_default_it_waits_for_ever(world):
    world.pair(cpu=None, phase="Pending")
    world.run()
    many_checks(world)
    assert world.deletions() == []


def test_a_pod_that_was_ready_once_is_not_pending(world):
    world.pair(cpu="90m")
    cleaner = world.run(PENDING_TIMEOUT_SECONDS="0.3")
    cleaner.wait_log(msg="job state", to="live")
    world.kube.set_status(JOB, ready=0)
    many_checks(world)
    assert world.deletions() == []


def test_without_status_ready_the_pods_tell(world):
    world.pair(cpu="90m")
    world.kube.set_status(JOB, ready=None)
    world.run(PENDING_TIMEOUT_SECONDS="0.3")
    many_checks(world)
    assert world.deletions() == []


def test_a_held_or_suspended_job_is_not_pending(world):
    world.pair(cpu=None, phase="Pending")
    world.annotate(hold="true")
    cleaner = world.run(**FAST, PENDING_TIMEOUT_SECONDS="0.2")
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=3)
    assert world.deletions() == []
    world.kube.suspend_job(JOB)
    world.annotate(hold=None)
    cleaner.wait_log(msg="hold ended")
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=6)
    assert world.deletions() == []

"""How long it waits, for whom, and how often it asks meanwhile. Sections 3, 5 and 12 of the
contract.

Each scenario was seen to fail with the program before the planner; what that did is said in each.
"""
import json
import time

import pytest

from conftest import JOB, SELF, SERVICE
from fakekube import faults
from test_readings import METRICS, many_checks

GET_JOB = {"verb": "get", "resource": "jobs", "name": JOB}
LIST_JOB = {"verb": "list", "resource": "jobs"}
DELETE_JOB = {"verb": "delete", "resource": "jobs", "name": JOB}


def for_a(world, seconds):
    end = time.monotonic() + seconds
    world.kube.wait_for(lambda: time.monotonic() > end, seconds + 5)


# ---- 9: Retry-After ----

def maintenance(seconds=3600, code=503):
    return faults.answer(code, b"<html>Back soon</html>", "text/html",
                         {"Retry-After": str(seconds)})


DEAF = {"LIST": LIST_JOB, "WATCH": dict(verb="watch", resource="jobs"), "GET": GET_JOB}


@pytest.mark.parametrize("code", [503, 429])
@pytest.mark.parametrize("match", DEAF.values(), ids=DEAF)
def test_one_maintenance_page_does_not_make_it_deaf(world, match, code):
    """Of LIST and WATCH it was for an hour, with the API healthy."""
    world.pair(cpu="900m")
    world.kube.fault(maintenance(code=code), **match)
    cleaner = world.run(speed=30, CHECK_INTERVAL_SECONDS=10)
    world.kube.wait_request(**match)
    world.kube.wait_watch(resource="jobs", timeout=5)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


@pytest.mark.parametrize("match", [
    DELETE_JOB, dict(verb="delete", resource="services"), dict(verb="delete", resource="jobs",
                                                               name=SELF),
    dict(verb="get", resource="services")],
    ids=lambda match: f"{match['verb']} {match.get('name', match['resource'])}")
def test_nor_does_one_in_a_teardown(world, match):
    """On a DELETE it slept through the whole teardown: exit 1."""
    world.pair(cpu="900m")
    cleaner = world.run(speed=30, CHECK_INTERVAL_SECONDS=10, ADOPT_SERVICE="false")
    cleaner.wait_log(msg="active")
    world.kube.fault(maintenance(), **match)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_one_on_the_metrics_costs_a_minute(world):
    """An hour."""
    world.pair(cpu="900m")
    world.kube.fault(maintenance(), **METRICS)
    cleaner = world.run(speed=30, CHECK_INTERVAL_SECONDS=10)
    cleaner.wait_log(msg="cpu unknown")
    assert cleaner.wait_log(msg="active", timeout=5)


def test_a_minute_is_kept(world):
    """As it was: never sooner than the server asked for."""
    world.pair(cpu="900m")
    world.kube.fault(maintenance(20, 429), **LIST_JOB)
    world.run(speed=20, CHECK_INTERVAL_SECONDS=60)
    first, second = [world.kube.wait_request(count=n, **LIST_JOB) for n in (1, 2)]
    assert second.monotonic - first.monotonic >= 20 / 20 * 0.95


# ---- 13: whose time is counted ----

def test_a_teardowns_time_is_its_own(world):
    """Counted from a DELETE long ago: the next one ended at once, exit 1, having sent nothing."""
    world.pair(cpu="2m")
    world.kube.fault(faults.unavailable(), **DELETE_JOB)
    cleaner = world.run(MAX_CPU_USAGE_COUNT=25, TEARDOWN_TIMEOUT_SECONDS=2)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert [r.status for r in world.requests(**DELETE_JOB)] == [503, 200]


@pytest.mark.parametrize("end", [lambda kube: kube.set_cpu(JOB, "2m"),
                                 lambda kube: kube.complete_job(JOB)], ids=["idle", "complete"])
def test_so_is_that_of_a_job_that_was_busy_in_between(world, end):
    """As it was."""
    world.pair(cpu="2m")
    world.kube.fault(faults.unavailable(), **DELETE_JOB)
    cleaner = world.run(TEARDOWN_TIMEOUT_SECONDS=2)
    world.kube.wait_request(**DELETE_JOB)
    world.kube.set_cpu(JOB, "900m")
    cleaner.wait_log(msg="active")
    for_a(world, 2.5)
    end(world.kube)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_a_job_that_is_written_to_all_the_time_goes_when_that_ends(world):
    """Five times 409, and exit 1."""
    world.pair(cpu="2m")
    world.kube.before(lambda kube, _: kube.touch("job", JOB), times=8, **DELETE_JOB)
    cleaner = world.run(speed=20, CHECK_INTERVAL_SECONDS=3, TEARDOWN_TIMEOUT_SECONDS=10)
    assert cleaner.wait() == 0
    world.wait_gone()
    tries = world.requests(**DELETE_JOB)
    assert [r.status for r in tries] == [409] * 8 + [200]
    assert tries[5].monotonic - tries[0].monotonic > 8 / 20      # and no hot loop


def test_and_not_while_it_gets_busy(world):
    """Evidence that is fresh may try again; other evidence may not."""
    world.pair(cpu="2m")

    def touch(kube, _):
        kube.touch("job", JOB)
        if len(world.requests(**DELETE_JOB)) > 2:
            kube.set_cpu(JOB, "900m")
    world.kube.before(touch, times=None, **DELETE_JOB)
    cleaner = world.run()
    cleaner.wait_log(msg="active")
    many_checks(world, 5)
    assert world.kube.job(JOB) and cleaner.process.poll() is None


# ---- 14: two answers that do not agree ----

def emptied(response):
    answer = json.loads(response.body)
    answer["items"] = []
    response.body = json.dumps(answer).encode()


def absent(name):
    return faults.status(404, "NotFound", f'jobs.batch "{name}" not found',
                         {"name": name, "group": "batch", "kind": "jobs"})


@pytest.mark.parametrize("cpu", ["900m", "2m"])
def test_a_list_that_says_empty_while_a_get_says_alive_is_no_hot_loop(world, cpu):
    """2,300 requests in 3 s."""
    world.pair(cpu=cpu)
    cleaner = world.watched(CHECK_INTERVAL_SECONDS=1)
    cleaner.wait_log(msg="service adopted")
    world.kube.fault(faults.edit(emptied), times=None, **LIST_JOB)
    world.kube.end_watches()
    start = len(world.kube.requests)
    for_a(world, 2)
    assert len(world.kube.requests) - start < 40
    assert world.kube.job(JOB) and cleaner.process.poll() is None


def test_nor_is_one_that_says_so_from_the_start(world):
    world.pair(cpu="900m")
    world.kube.fault(faults.edit(emptied), times=None, **LIST_JOB)
    world.run(CHECK_INTERVAL_SECONDS=1)
    for_a(world, 2)
    assert len(world.kube.requests) < 60


def test_nor_is_one_that_says_alive_while_a_get_says_absent(world):
    """A GET is believed."""
    world.pair(cpu="900m")
    world.kube.fault(absent(JOB), times=None, **GET_JOB)
    world.run(CHECK_INTERVAL_SECONDS=1)
    for_a(world, 2)
    assert len(world.kube.requests) < 60


DONE = faults.answer(200, {"kind": "Status", "apiVersion": "v1", "status": "Success"})


@pytest.mark.parametrize("cpu", ["900m", "2m"], ids=["completed", "idle"])
def test_nor_is_a_delete_that_is_accepted_of_a_job_that_lives_on(world, cpu):
    """120 a second, and an Event with each."""
    world.pair(cpu=cpu)
    world.kube.fault(DONE, times=None, **DELETE_JOB)
    if cpu == "900m":
        world.kube.complete_job(JOB)
    world.run(CHECK_INTERVAL_SECONDS=1, MAX_CPU_USAGE_COUNT=2)
    world.kube.wait_request(**DELETE_JOB)
    start = len(world.kube.requests)
    for_a(world, 2)
    assert len(world.kube.requests) - start < 30
    assert len(world.requests(**DELETE_JOB)) == 1


def test_nor_is_an_adoption_of_a_service_that_is_absent_to_it_alone(world):
    world.pair(cpu="900m")
    world.kube.fault(faults.status(404, "NotFound", "x", {"name": SERVICE, "kind": "services"}),
                     times=None, verb="patch", resource="services")
    world.run(CHECK_INTERVAL_SECONDS=1)
    for_a(world, 2)
    assert len(world.kube.requests) < 40


@pytest.mark.parametrize("how", ["end", "reset", b"rubbish\n"], ids=["end", "reset", "rubbish"])
def test_nor_is_a_watch_that_ends_at_once(world, how):
    """As it was."""
    world.pair(cpu="900m")
    world.kube.fault(faults.watch_after(0, how), times=None, verb="watch", resource="jobs")
    world.run(CHECK_INTERVAL_SECONDS=1)
    for_a(world, 2)
    assert len(world.kube.requests) < 60


def test_nor_are_events_that_say_nothing_new(world):
    """Fifty a second: two reads."""
    world.pair(cpu="900m")
    world.watched(CHECK_INTERVAL_SECONDS=1)
    start = len(world.kube.requests)
    for _ in range(100):
        world.kube.touch("job", JOB)
        time.sleep(0.02)
    assert len(world.kube.requests) - start < 20


# ---- 20: what was known and left alone ----

@pytest.mark.parametrize("failure", [faults.unavailable(), faults.page(404), faults.not_json(),
                                     faults.status(400, "BadRequest", "no")],
                         ids=["503", "404", "not JSON", "400"])
def test_a_finish_is_seen_though_lists_fail(world, failure):
    """No GET was tried while LIST failed with anything but 403."""
    world.pair(cpu="900m")
    world.kube.fault(failure, times=None, **LIST_JOB)
    cleaner = world.run(CHECK_INTERVAL_SECONDS=0.5)
    world.kube.wait_request(**GET_JOB)
    world.kube.complete_job(JOB)
    assert cleaner.wait(10) == 0
    world.wait_gone()


def test_a_list_that_fails_backs_off_though_gets_succeed(world):
    """At every check."""
    world.pair(cpu="900m")
    world.kube.fault(faults.unavailable(), times=None, **LIST_JOB)
    cleaner = world.run(CHECK_INTERVAL_SECONDS=0.1)
    cleaner.wait_log(msg="job state", to="live")
    many_checks(world, 40)
    assert len(world.requests(**LIST_JOB)) < 8


@pytest.mark.parametrize("match", [dict(verb="get", resource="services"), GET_JOB, METRICS,
                                   dict(verb="list", resource="pods", group=""),
                                   dict(verb="get", resource="jobs", name=SELF)],
                         ids=["Service", "Job", "metrics", "pods", "self"])
def test_retry_after_of_a_read_is_kept(world, match):
    """Of some it was not."""
    world.pair(cpu="900m")
    world.kube.fault(faults.throttled(2), **match)
    world.run()
    first, second = [world.kube.wait_request(count=n, **match) for n in (1, 2)]
    assert second.monotonic - first.monotonic >= 1.95


def test_an_own_job_that_was_absent_at_the_start_is_not_the_one_that_is_there_later(world):
    """It was taken for ours, and deleted."""
    world.pair(cpu="900m", self_job=False)
    cleaner = world.watched()
    world.kube.wait_request(verb="get", resource="jobs", name=SELF)
    world.kube.create_job(SELF, containers=("cleanup",))
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert world.kube.job(SELF)


def woken(cleaner):
    for line in open(f"/proc/{cleaner.process.pid}/status"):
        if line.startswith("voluntary_ctxt_switches"):
            return int(line.split()[1])
    return 0


@pytest.mark.parametrize("settings", [
    {"PENDING_TIMEOUT_SECONDS": "0.001"},
    {"PENDING_TIMEOUT_SECONDS": "0.001", "ENABLE_CPU_USAGE_CHECK": "false"},
    {"MISSING_JOB_TIMEOUT_SECONDS": "0.001"}], ids=lambda s: " ".join(s))
@pytest.mark.parametrize("state", ["held", "suspended", "unknown"])
def test_a_time_out_of_a_millisecond_does_not_wake_it_each(world, settings, state):
    """That often, while the job was suspended."""
    world.pair(cpu=None, phase="Pending", suspend=state == "suspended")
    if state == "held":
        world.annotate(hold="true")
    if state == "unknown":
        world.kube.fault(faults.unavailable(), times=None, verb="list", resource="pods", group="")
    world.kube.set_status(JOB, ready=None)
    cleaner = world.run(CHECK_INTERVAL_SECONDS=1, **settings)
    cleaner.wait_log(msg="job state", to="live")
    for_a(world, 0.5)
    before = woken(cleaner)
    for_a(world, 2)
    assert woken(cleaner) - before < 100
    assert len(world.kube.requests) < 60


@pytest.mark.parametrize("seconds", [2, 10])
def test_a_short_teardown_deletes_the_pods_too(world, seconds):
    """With 20 s or less it never did: exit 1."""
    world.pair(cpu="900m")
    cleaner = world.run(speed=2, TEARDOWN_TIMEOUT_SECONDS=seconds)
    cleaner.wait_log(msg="service adopted")
    world.kube.controllers = False
    world.kube.delete_job(JOB)
    world.kube.wait_request(verb="delete", resource="pods")
    world.kube.controllers = True
    assert cleaner.wait() == 0
    world.wait_gone()


def test_metrics_that_answer_late_clear_the_count_in_words(world):
    """Without one."""
    world.pair(cpu="2m")
    world.kube.metrics.window = "0.1s"
    world.kube.metrics.advance(step=0.5)
    world.kube.fault(faults.hang(2.5), nth=4, **METRICS)
    cleaner = world.run(CHECK_INTERVAL_SECONDS="0.5")
    cleaner.wait_log(msg="idle check", check="3/5")
    assert cleaner.wait() == 0
    assert [line for line in cleaner.lines if "cleared" in line]


def test_a_prefix_that_is_not_utf_8_costs_itself_and_not_the_summary(world):
    """An empty termination log."""
    world.pair(cpu="900m")
    world.kube.complete_job(JOB)
    cleaner = world.run(speed=20, TEARDOWN_TIMEOUT_SECONDS=4, RABBITMQ_URL="http://127.0.0.1:9",
                        RABBITMQ_USER="u", RABBITMQ_PASSWORD="p",
                        RABBITMQ_QUEUE_PREFIX="grpc-job-12-70788-\udcff")
    cleaner.wait()
    assert world.summary()["trigger"] == "completed"
    assert SERVICE not in world.left()
    assert "CleanupIncomplete" in {event["reason"] for event in world.kube.events()}

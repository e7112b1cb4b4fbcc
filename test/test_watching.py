"""Section 3 of the contract: what the program watches, and how it learns what happened."""
import json
import time

import pytest

from conftest import JOB, SELF, SERVICE
from fakekube import faults

ACTIVE = "900m"


def list_requests(world):
    return world.requests(verb="list", resource="jobs")


def reads(world):
    return world.requests(verb="get", resource="jobs", name=JOB)


@pytest.mark.versions
def test_lists_by_name_then_watches_from_the_lists_version(world):
    world.pair(cpu=ACTIVE)
    world.watched()
    listed, watched = list_requests(world)[0], world.requests(verb="watch")[0]
    assert listed.query == {"fieldSelector": [f"metadata.name={JOB}"]}
    assert watched.query["fieldSelector"] == [f"metadata.name={JOB}"]
    assert watched.query["allowWatchBookmarks"] == ["true"]
    assert 240 <= int(watched.query["timeoutSeconds"][0]) <= 360
    version = watched.query["resourceVersion"][0]
    assert f'"resourceVersion":"{version}"' in listed.answer.decode().replace(" ", "")
    assert version != world.kube.job(JOB)["metadata"]["resourceVersion"]  # the list's own


def test_the_timeout_of_the_watch_is_random(world):
    world.pair(cpu=ACTIVE)
    for _ in range(4):
        world.run()
    world.kube.wait_request(verb="watch", resource="jobs", count=4)
    assert len({r.query["timeoutSeconds"][0] for r in world.requests(verb="watch")}) > 1


@pytest.mark.versions
@pytest.mark.parametrize("finish,trigger", [("complete_job", "completed"), ("fail_job", "failed")])
def test_a_finish_is_noticed_at_once(world, finish, trigger):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(CHECK_INTERVAL_SECONDS="60")
    at = time.monotonic()
    getattr(world.kube, finish)(JOB)
    deleted = world.kube.wait_request(verb="delete", resource="jobs")
    assert deleted.monotonic - at < 2  # no re-read is due for a minute: it was the watch
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == trigger
    world.wait_gone()


@pytest.mark.versions
@pytest.mark.parametrize("finish", ["complete_job", "fail_job"])
def test_what_is_true_at_the_start_counts(world, finish):
    world.pair()
    getattr(world.kube, finish)(JOB)
    assert world.run().wait() == 0
    world.wait_gone()
    assert world.requests(verb="watch") == []


@pytest.mark.versions
def test_the_event_before_the_condition_does_not_finish_the_job(world):
    """No pod is active, the interim condition is there (1.34): not finished yet."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched()
    world.kube.complete_job(JOB, until="interim")
    world.kube.wait_request(verb="list", resource="pods", group="metrics.k8s.io", count=6)
    assert world.deletions() == []
    world.kube.finish_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


@pytest.mark.versions
def test_suspension_does_not_finish_the_job_and_is_never_idle(world):
    world.pair(cpu="0")
    world.kube.suspend_job(JOB)
    cleaner = world.run()
    cleaner.wait_log(msg="cpu unknown", why="the job is suspended")
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=2)
    assert world.deletions() == []


@pytest.mark.versions
def test_a_job_that_appears_late_is_watched(world):
    world.kube.create_job(SELF, containers=("cleanup",))
    cleaner = world.run()
    world.kube.wait_request(verb="watch", resource="jobs")
    world.pair(cpu=ACTIVE, self_job=False)
    cleaner.wait_log(msg="job state", to="live")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


@pytest.mark.versions
def test_a_job_that_never_appears_is_missing(world):
    world.kube.create_service(SERVICE)
    world.kube.create_job(SELF, containers=("cleanup",))
    cleaner = world.run(MISSING_JOB_TIMEOUT_SECONDS="0.5")
    assert cleaner.wait() == 0
    assert cleaner.log(msg="teardown")[0]["trigger"] == "missing"
    assert cleaner.log(msg="teardown")[0]["_at"] >= 0.5
    world.wait_gone()
    assert world.requests(verb="create", resource="events") == []


@pytest.mark.parametrize("failure", [faults.unavailable(), faults.status(403, "Forbidden", "no")],
                         ids=["503", "403"])
def test_missing_is_only_believed_of_a_read_that_answered(world, failure):
    """Neither the LIST nor the GET tells anything for a while, an outage, or a refusal."""
    world.kube.fault(failure, verb="list", resource="jobs", times=3)
    world.kube.fault(failure, verb="get", resource="jobs", name=JOB, times=2)
    world.kube.create_service(SERVICE)
    cleaner = world.run(MISSING_JOB_TIMEOUT_SECONDS="0", speed=20)
    assert cleaner.wait() == 0
    statuses = [r.status for r in reads(world)]
    assert statuses[:2] == [failure.response.status] * 2
    absent = next(r for r in reads(world) if r.status == 404)
    assert absent.seq < world.requests(verb="delete")[0].seq
    assert world.summary()["trigger"] == "missing"


def test_a_job_that_appears_while_it_is_given_up_is_watched_after_all(world):
    world.kube.create_service(SERVICE)
    world.kube.after(lambda kube, request: kube.create_job(JOB, cpu=ACTIVE),
                     verb="get", resource="services")
    cleaner = world.run(MISSING_JOB_TIMEOUT_SECONDS="0.2", DELETE_SELF="false")
    cleaner.wait_log(msg="job state", to="live")
    assert world.deletions() == []
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_a_job_that_appeared_while_it_was_given_up_is_not_given_up_again_unread(world):
    """The LIST that comes next fails for a while: what was absent before says nothing any more."""
    world.kube.create_service(SERVICE)
    world.kube.after(lambda kube, request: kube.create_job(JOB, cpu=ACTIVE),
                     verb="get", resource="services")
    world.kube.fault(faults.unavailable(), verb="list", resource="jobs", nth=2, times=2)
    cleaner = world.run(MISSING_JOB_TIMEOUT_SECONDS="0.2", DELETE_SELF="false")
    cleaner.wait_log(msg="job state", to="live")
    assert len(cleaner.log(msg="teardown")) == 1
    assert world.deletions() == []


@pytest.mark.versions
def test_a_deleted_job_is_gone_and_what_is_left_over_goes(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(ADOPT_SERVICE="false")
    world.kube.wait_request(verb="get", resource="services")
    world.kube.delete_job(JOB, policy="Background")
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "gone"
    world.wait_gone()


@pytest.mark.versions
def test_a_job_deleted_without_a_policy_leaves_no_pods(world):
    """`orphan` is the API's default: the Job goes and its pods run on, holding the GPU."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(speed=20)
    world.kube.delete_job(JOB, policy="Orphan")
    assert cleaner.wait(30) == 0
    world.wait_gone()


@pytest.mark.versions
def test_a_job_that_is_being_deleted_is_gone(world):
    world.pair(cpu=ACTIVE, finalizers=["example.com/keep"])
    cleaner = world.watched()
    world.kube.delete_job(JOB, policy="Background")
    cleaner.wait_log(msg="teardown", trigger="gone")
    world.kube.remove_finalizers("job", JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_a_list_that_wrongly_says_that_the_job_is_gone_is_not_believed(world):
    """A GET tells, and the watch goes on."""
    def no_items(response):
        response.body = json.dumps({**json.loads(response.body), "items": []}).encode()
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(ADOPT_SERVICE="false", CHECK_INTERVAL_SECONDS="60")
    world.kube.fault(faults.edit(no_items), verb="list", resource="jobs")
    count = len(reads(world))
    world.kube.end_watches()
    world.kube.wait_request(verb="watch", resource="jobs", count=2)
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=count + 1)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert [line["trigger"] for line in cleaner.log(msg="teardown")] == ["completed"]
    world.wait_gone()


@pytest.mark.versions
def test_a_newcomer_is_left_alone(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(ADOPT_SERVICE="false")
    world.kube.wait_request(verb="get", resource="services")
    world.kube.recreate_job(JOB, cpu="0")
    assert cleaner.wait() == 0
    assert cleaner.log(level="warn")
    assert world.deletions() == []
    assert world.left() >= {JOB, SERVICE, SELF}
    assert world.summary()["job"] == "newcomer"
    assert world.summary()["trigger"] in ("none", "gone")  # as the two events arrive at once or not


def test_a_newcomer_that_only_a_read_shows_is_left_alone(world):
    world.pair(cpu=ACTIVE)
    world.kube.fault(faults.watch_after(0, "silence"), verb="watch", times=None)
    cleaner = world.watched(ADOPT_SERVICE="false")
    world.kube.recreate_job(JOB, cpu="0")
    assert cleaner.wait() == 0
    assert world.deletions() == []
    assert world.left() >= {JOB, SERVICE, SELF}


# ---- The watch is a hint ----

def test_a_silent_watch_is_no_reason_to_miss_a_finish(world):
    world.pair(cpu=ACTIVE)
    world.kube.fault(faults.watch_after(0, "silence"), verb="watch", times=None)
    cleaner = world.watched()
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_the_job_is_read_again_every_sixth_check(world):
    world.pair(cpu=ACTIVE)
    world.watched()
    before, checks = len(reads(world)), len(world.checks())
    world.kube.wait_request(verb="list", resource="pods", group="metrics.k8s.io",
                            count=checks + 30)
    assert 4 <= len(reads(world)) - before <= 6


def test_a_read_at_least_once_a_minute(world):
    """At the default interval of 10 s, on a clock that runs 60 times as fast."""
    world.pair(cpu=ACTIVE)
    world.kube.metrics.timestamp = "moving"
    world.watched(CHECK_INTERVAL_SECONDS="10", speed=60)
    before = len(reads(world))
    at = time.monotonic()
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=before + 3)
    assert time.monotonic() - at < 3.5 + 1  # three fast minutes are three seconds


@pytest.mark.versions
def test_410_in_the_stream_leads_to_a_new_list(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched()
    first = world.requests(verb="watch")[0].query["resourceVersion"]
    world.kube.compact()
    world.kube.end_watches()
    world.kube.wait_request(verb="watch", resource="jobs", count=2)
    again = world.requests(verb="watch")[-1]
    assert len(list_requests(world)) >= 2
    assert again.query["resourceVersion"] != first
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0


def test_an_expired_version_is_no_hot_loop(world):
    """Every watch says 410 at once: LIST and WATCH again, but ever more slowly."""
    world.pair(cpu=ACTIVE)
    expired = b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},' \
              b'"status":"Failure","message":"too old resource version: 1 (418)",' \
              b'"reason":"Expired","code":410}}\n'
    world.kube.fault(faults.answer(200, expired, "application/json"), verb="watch", times=None)
    cleaner = world.run()
    world.kube.wait_request(verb="watch", resource="jobs", count=3)
    times = [r.monotonic for r in world.requests(verb="watch")]
    assert times[1] - times[0] >= 0.45 and times[2] - times[1] >= 0.95
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


@pytest.mark.parametrize("how", ["end", "reset"])
def test_watches_that_end_at_once_are_no_hot_loop(world, how):
    world.pair(cpu=ACTIVE)
    world.kube.fault(faults.watch_after(0, how), verb="watch", times=None)
    world.run()
    world.kube.wait_request(verb="watch", resource="jobs", count=3)
    times = [r.monotonic for r in world.requests(verb="watch")]
    assert times[1] - times[0] >= 0.45 and times[2] - times[1] >= 0.95
    assert len(list_requests(world)) >= 3


@pytest.mark.versions
def test_a_clean_end_resumes_behind_the_last_event_and_lists_again(world):
    """A server-side time-out after minutes (here of a fast clock) is not an error."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(speed=60)
    world.kube.annotate(JOB, note="x")
    version = world.kube.job(JOB)["metadata"]["resourceVersion"]
    time_for_a_long_watch(world)
    listed = len(list_requests(world))
    world.kube.end_watches()
    again = world.kube.wait_request(verb="watch", resource="jobs", count=2)
    assert again.query["resourceVersion"] == [version]
    world.kube.wait_request(verb="list", resource="jobs", count=listed + 1)
    assert cleaner.log(level="warn") == []


@pytest.mark.versions
def test_a_bookmark_moves_where_the_watch_resumes(world):
    world.pair(cpu=ACTIVE)
    world.watched(speed=60)
    world.kube.create_job("another", containers=("x",))
    version = str(world.kube.resource_version)
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Job", "apiVersion": "batch/v1",
                                               "metadata": {"resourceVersion": version}}}
    world.kube.inject_watches(json.dumps(bookmark).encode() + b"\n")
    time_for_a_long_watch(world)
    world.kube.end_watches()
    again = world.kube.wait_request(verb="watch", resource="jobs", count=2)
    assert again.query["resourceVersion"] == [version]


def time_for_a_long_watch(world):
    """Ten seconds of a clock that runs 60 times as fast: two re-reads of the Job at the most."""
    deadline = time.monotonic() + 0.5
    while time.monotonic() < deadline:
        world.kube.wait_request(verb="list", resource="pods", group="metrics.k8s.io",
                                count=len(world.checks()) + 1)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_events_split_at_every_byte(world, size):
    world.pair(cpu=ACTIVE)
    world.kube.fault(faults.watch_split(size), verb="watch", times=None)
    cleaner = world.watched(CHECK_INTERVAL_SECONDS="60")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_two_events_in_one_chunk(world):
    world.pair(cpu=ACTIVE)
    world.kube.fault(faults.watch_joined(), verb="watch", times=None)
    cleaner = world.watched(CHECK_INTERVAL_SECONDS="60")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


BAD_LINES = {"rubbish": b"rubbish\n", "no object": b'{"type":"ADDED"}\n',
             "5 MB": b"x" * 5_000_000 + b"\n", "unknown": b'{"type":"GROWN","object":{}}\n'}


@pytest.mark.parametrize("line", BAD_LINES.values(), ids=BAD_LINES.keys())
def test_a_line_that_cannot_be_read_leads_to_a_new_list(world, line):
    world.pair(cpu=ACTIVE)
    world.kube.fault(faults.watch_after(0, line), verb="watch", times=1)
    cleaner = world.run(CHECK_INTERVAL_SECONDS="60")
    world.kube.wait_request(verb="watch", resource="jobs", count=2)
    assert len(cleaner.log(level="warn")) == 1
    assert world.deletions() == []
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0


# ---- Without the right to watch ----

@pytest.mark.versions
@pytest.mark.parametrize("verbs", [("watch",), ("list", "watch")])
def test_a_refused_watch_falls_back_to_reads(world, verbs):
    world.pair(cpu=ACTIVE)
    for verb in verbs:
        world.kube.deny("batch", "jobs", verb)
    cleaner = world.run()
    warned = cleaner.wait_log(msg="permission missing")
    assert (warned["verb"], warned["resource"], warned["namespace"]) == (
        verbs[0], "jobs", world.kube.namespace)
    checks = len(world.checks())
    world.kube.wait_request(verb="list", resource="pods", group="metrics.k8s.io",
                            count=checks + 10)
    assert len(reads(world)) >= 9  # a GET at every check
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert len(cleaner.log(level="warn")) == 1
    assert len(world.requests(verb=verbs[0], resource="jobs")) == 2  # believed of the second answer


# ---- Trouble ----

def test_trouble_never_ends_the_program_and_is_logged_once_a_minute(world):
    """Five minutes of 503, on a clock that runs 60 times as fast."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(CHECK_INTERVAL_SECONDS="10", speed=60, LOG_LEVEL="info")
    outage = [world.kube.fault(faults.unavailable(), resource=r, times=None)
              for r in ("jobs", "pods", "services")]
    world.kube.end_watches()
    time.sleep(5)  # what is tested is how little happens in this time
    for fault in outage:
        fault.remove()
    cleaner.wait_log(msg="recovered")
    for what in ("API server trouble", "metrics API trouble"):
        lines = cleaner.log(msg=what)
        assert 1 <= len(lines) <= 7, what
        for a, b in zip(lines, lines[1:]):
            assert b["_at"] - a["_at"] > 0.95
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_an_outage_of_the_api_is_neither_done_nor_idle(world):
    world.pair(cpu="0")
    cleaner = world.watched(MAX_CPU_USAGE_COUNT="100")
    world.kube.refuse_connections(reset_open=True)
    cleaner.wait_log(msg="API server trouble")
    cleaner.wait_log(msg="cpu unknown")
    world.kube.allow_connections()
    cleaner.wait_log(msg="recovered", timeout=40)
    assert world.deletions() == []


FORMS_OF_404 = {
    "wrong path": faults.status(404, "NotFound",
                                "the server could not find the requested resource", {}),
    "text": faults.text(404, "404 page not found\n"),
    "empty": faults.answer(404, b""),
    "namespace": faults.status(404, "NotFound", 'namespaces "gone" not found',
                               {"name": "gone", "kind": "namespaces"}),
    "page": faults.page(404),
    "another job": faults.status(404, "NotFound", 'jobs.batch "x" not found',
                                 {"name": "x", "group": "batch", "kind": "jobs"}),
}


@pytest.mark.parametrize("form", FORMS_OF_404)
def test_only_one_404_means_gone(world, form):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(CHECK_INTERVAL_SECONDS=1, speed=20)
    world.kube.fault(FORMS_OF_404[form], verb="get", resource="jobs", name=JOB, times=2)
    world.kube.fault(faults.watch_after(0, "silence"), verb="watch", times=None)
    count = len(reads(world))
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=count + 3)
    assert world.deletions() == []
    assert cleaner.log(msg="API server trouble")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"kind":"JobList"}',
                                  b'{"kind":"JobList","metadata":{"resourceVersion":"5"}}'])
def test_a_list_that_makes_no_sense_is_not_an_absent_job(world, body):
    world.pair(cpu=ACTIVE)
    world.kube.fault(faults.body(body), verb="list", resource="jobs", times=2)
    cleaner = world.run(MISSING_JOB_TIMEOUT_SECONDS="0")
    cleaner.wait_log(msg="job state", to="live")
    assert world.deletions() == []


def test_a_list_too_large_is_an_error_not_a_crash(world):
    world.pair(cpu=ACTIVE)
    world.kube.fault(faults.huge_body(), verb="list", resource="jobs", times=1)
    cleaner = world.run()
    assert "2097152" in cleaner.wait_log(msg="API server trouble")["error"]
    cleaner.wait_log(msg="job state", to="live")


# ---- Hold ----

def test_hold_stops_the_idle_trigger_and_its_end_starts_it_anew(world):
    world.pair(cpu="0")
    cleaner = world.run(MAX_CPU_USAGE_COUNT="20", CHECK_INTERVAL_SECONDS=1, speed=20)
    cleaner.wait_log(msg="idle check", check="5/20")
    world.annotate(hold="true")
    held = cleaner.wait_log(msg="held")
    checks = len(world.checks())
    world.kube.wait_request(verb="get", resource="jobs", name=JOB,
                            count=len(reads(world)) + 3)
    assert len(world.checks()) <= checks + 1
    assert world.deletions() == []
    world.annotate(hold=None)
    cleaner.wait_log(msg="hold ended")
    cleaner.wait_log(msg="idle check", check="1/20", count=2)
    assert held["_at"] < 15
    assert cleaner.wait() == 0


def test_hold_until_a_time(world):
    world.pair(cpu="0")
    until = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 2))
    world.annotate(hold=until)
    cleaner = world.run()
    cleaner.wait_log(msg="held", value=until)
    ended = cleaner.wait_log(msg="hold ended")
    assert 0.9 < ended["_at"] < 4
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "idle"


@pytest.mark.parametrize("value", ["false", "", "soon"])
def test_a_hold_of_another_value_holds_with_a_warning(world, value):
    world.pair(cpu="0")
    world.annotate(hold=value)
    cleaner = world.run()
    cleaner.wait_log(level="warn", value=value)
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=3)
    assert world.deletions() == []
    assert len(cleaner.log(level="warn")) == 1


def test_hold_does_not_keep_a_finished_job(world):
    world.pair(cpu="0")
    world.annotate(hold="true")
    cleaner = world.run()
    cleaner.wait_log(msg="held")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_the_interval_is_a_fixed_grid(world):
    """A late answer does not shift the checks that follow."""
    world.pair(cpu=ACTIVE)
    world.kube.fault(faults.hang(0.75), verb="list", resource="pods", group="metrics.k8s.io", nth=2)
    world.watched(CHECK_INTERVAL_SECONDS="0.5")
    world.kube.wait_request(verb="list", resource="pods", group="metrics.k8s.io", count=6)
    points = [(r.monotonic - world.checks()[0].monotonic) / 0.5 for r in world.checks()]
    assert abs(points[1] - 1) < 0.4
    assert abs(points[2] - 2.5) < 0.4  # late: the answer to the second took so long
    for number, point in enumerate(points[3:], start=3):
        assert abs(point - number) < 0.4

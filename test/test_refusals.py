"""A refusal is an answer: nothing of a Job goes while that Job lives on, one refusal is not the
last word, and whoever may not be asked about is not absent. Sections 5 and 12 of the contract.

Each scenario was seen to fail with the program before the planner; what that did is said in each.
"""
import time

import pytest

from conftest import JOB, SELF, SERVICE
from fakekube import faults
from fakekube.faults import denied_by_policy, denied_by_webhook, missing_role, webhook_down
from test_readings import METRICS, many_checks, pod_of

DELETE_JOB = {"verb": "delete", "resource": "jobs", "name": JOB}
FOREVER = {"times": None}


def refused(world, what, **changes):
    """A cleaner whose first DELETE of the Job was refused for good."""
    world.kube.fault(what, **FOREVER, **DELETE_JOB)
    cleaner = world.run(**changes)
    cleaner.wait_log(verb="delete", resource="jobs", level="warn")
    return cleaner


# ---- 1: a DELETE that is refused ----

REFUSALS = {
    "role": (missing_role(), "cannot delete resource"),
    "webhook": (denied_by_webhook("hands off"), "hands off"),
    "webhook 400": (denied_by_webhook("hands off", code=400), "hands off"),
    "webhook 418": (denied_by_webhook("hands off", code=418), "hands off"),
    "policy": (denied_by_policy("hands off"), "hands off"),
    "policy 403": (denied_by_policy("hands off", reason="Forbidden"), "hands off"),
    "cut within a letter": (denied_by_webhook("hände weg " + "ö" * 300), "hände weg"),
    "no UTF-8": (faults.answer(403, b"h\xe4nde weg"), "nde weg"),
    "unusable": (faults.status(400, "BadRequest", "cannot be handled as hands off"), "hands off"),
}


@pytest.mark.parametrize("what,words", REFUSALS.values(), ids=REFUSALS)
def test_an_idle_job_that_may_not_be_deleted_keeps_all_it_has(world, what, words):
    """403: the Service went, and the run ended; 400 and 422: tried again and again."""
    world.pair(cpu="2m")
    cleaner = refused(world, what)
    world.kube.wait_for(world.kube.events, what="an Event that says so")
    many_checks(world, 8)
    assert world.left() == {JOB, SERVICE, SELF, "pod"}
    assert {kind for kind, _ in world.deletions()} == {"jobs"}
    assert cleaner.process.poll() is None
    assert len(cleaner.log(level="warn")) == 1 and words in cleaner.log(level="warn")[0]["error"]
    assert cleaner.log(msg="recovered") == []
    event, = world.kube.events()
    assert (event["type"], event["reason"]) == ("Warning", "CleanupRefused")
    assert words in event["message"]
    assert len(world.requests(**DELETE_JOB)) <= 2


def test_its_finish_is_still_seen(world):
    """The run had ended, exit 1."""
    world.pair(cpu="2m")
    cleaner = refused(world, denied_by_webhook())
    world.kube.clear_faults()
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert world.summary()["trigger"] == "completed"


def test_a_pending_job_that_may_not_be_deleted_keeps_all_it_has(world):
    """The Service went, exit 1."""
    world.pair(cpu=None, phase="Pending")
    cleaner = refused(world, denied_by_webhook(), PENDING_TIMEOUT_SECONDS="0.3")
    many_checks(world, 8)
    assert world.left() == {JOB, SERVICE, SELF, "pod"}
    assert cleaner.process.poll() is None


def test_when_it_may_be_asked_again_it_goes(world):
    """The run had ended, exit 1."""
    world.pair(cpu="2m")
    world.kube.metrics.advance(step=0.1)
    cleaner = refused(world, missing_role(), speed=30, CHECK_INTERVAL_SECONDS=3)
    world.kube.clear_faults()
    assert cleaner.wait() == 0
    world.wait_gone()
    first, *_, last = world.requests(**DELETE_JOB)
    assert last.monotonic - first.monotonic >= 60 / 30


def test_a_webhook_that_is_down_is_an_outage(world):
    """As it was: tried again, and nothing else goes before."""
    world.pair(cpu="2m")
    world.kube.fault(webhook_down(), times=3, **DELETE_JOB)
    cleaner = world.run()
    world.kube.wait_request(count=3, **DELETE_JOB)
    assert SERVICE in world.left()
    assert cleaner.wait() == 0
    world.wait_gone()


def test_of_a_finished_job_that_may_not_be_deleted_the_rest_goes(world):
    """As it was: the words of a policy were lost, and 422 was an outage for ten minutes."""
    world.pair(cpu="900m")
    world.kube.fault(denied_by_policy("hands off"), **FOREVER, **DELETE_JOB)
    cleaner = world.run(TEARDOWN_TIMEOUT_SECONDS=4)
    cleaner.wait_log(msg="job state", to="live")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 1
    assert SERVICE not in world.left() and {JOB, SELF} <= world.left()
    assert world.summary()["job"] == "forbidden"
    assert any("hands off" in line.get("error", "") for line in cleaner.log(level="warn"))


# ---- 2: one 403 ----

def test_the_first_second_of_an_api_server(world):
    """A watch that was lost for life, and no adoption: GETs at the checks instead."""
    world.pair(cpu="900m")
    world.kube.refuse_at_first(1.0)
    cleaner = world.run(CHECK_INTERVAL_SECONDS=60)
    world.kube.wait_watch(resource="jobs")
    cleaner.wait_log(msg="service adopted")
    world.kube.complete_job(JOB)
    assert cleaner.wait(3) == 0
    world.wait_gone()
    assert cleaner.log(msg="permission missing") == []


ONCE = {
    "LIST": dict(verb="list", resource="jobs"), "WATCH": dict(verb="watch", resource="jobs"),
    "GET": dict(verb="get", resource="jobs", name=JOB),
    "GET of our own": dict(verb="get", resource="jobs", name=SELF),
    "GET of the Service": dict(verb="get", resource="services"),
    "PATCH": dict(verb="patch", resource="services"),
    "metrics": METRICS, "pods": dict(verb="list", resource="pods", group=""),
}


@pytest.mark.parametrize("match", ONCE.values(), ids=ONCE)
def test_one_403_costs_no_right(world, match):
    """Of LIST, WATCH, PATCH and metrics the right was gone for life."""
    world.pair(cpu="900m")
    world.kube.fault(missing_role(), **match)
    cleaner = world.run(CHECK_INTERVAL_SECONDS=0.5)
    world.kube.wait_request(count=2, **match)
    world.kube.wait_watch(resource="jobs")
    cleaner.wait_log(msg="service adopted")
    cleaner.wait_log(msg="active")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert cleaner.log(msg="permission missing") == []


@pytest.mark.parametrize("match", [
    dict(verb="delete", resource="jobs", name=JOB), dict(verb="delete", resource="services"),
    dict(verb="delete", resource="jobs", name=SELF), dict(verb="get", resource="services"),
    dict(verb="list", resource="pods", group=""), dict(verb="get", resource="jobs", name=JOB)],
    ids=lambda match: f"{match['verb']} {match.get('name', match['resource'])}")
def test_a_burst_of_403_in_a_teardown_is_outlived(world, match):
    """Exit 1, with all that was left; or 0, with pods that it never saw go."""
    world.pair(cpu="900m")
    cleaner = world.run()
    cleaner.wait_log(msg="service adopted")
    world.kube.refuse_at_first(1.0, **match)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_a_403_on_the_pods_is_no_last_look(world):
    """The last look was left out, and a job in CrashLoopBackOff was torn down as idle."""
    world.pair(cpu={"helper": "1m"}, containers=("grpc-server", "helper"))
    world.kube.set_pod(pod_of(world), states={"grpc-server": "CrashLoopBackOff",
                                              "helper": "running"})
    world.kube.fault(missing_role(), times=3, verb="list", resource="pods", group="")
    cleaner = world.run()
    cleaner.wait_log(msg="cpu unknown", why="a container waits")
    assert world.deletions() == []


def test_a_403_on_the_pods_is_no_proof_that_they_are_gone(world):
    """It said that they were, exit 0; without controllers they ran on."""
    world.pair(cpu="900m")
    cleaner = world.run(speed=20, CHECK_INTERVAL_SECONDS=10)
    cleaner.wait_log(msg="service adopted")
    world.kube.wait_request(verb="list", resource="pods", group="metrics.k8s.io")
    world.kube.controllers = False
    world.kube.fault(missing_role(), verb="list", resource="pods", group="")
    world.kube.delete_job(JOB)
    world.kube.wait_request(verb="delete", resource="pods")
    world.kube.controllers = True
    assert cleaner.wait() == 0
    world.wait_gone()


@pytest.mark.parametrize("right", [("batch", "jobs", "watch"), ("batch", "jobs", "list"),
                                   ("", "services", "patch"), ("metrics.k8s.io", "pods", "list")],
                         ids=lambda right: " ".join(right[1:]))
def test_a_right_that_comes_later_is_used(world, right):
    """Never asked for again."""
    world.pair(cpu="900m")
    world.kube.deny(*right)
    cleaner = world.run(speed=60, CHECK_INTERVAL_SECONDS=10)
    cleaner.wait_log(msg="permission missing", verb=right[2], resource=right[1])
    world.kube.allow(*right)
    world.kube.wait_for(lambda: world.kube.watches(resource="jobs")
                        and cleaner.log(msg="service adopted") and cleaner.log(msg="active"))


# ---- 3: who has the name is not told ----

def uids(world):
    job, service = world.kube.job(JOB), world.kube.service(SERVICE)
    return job["metadata"]["uid"], service and service["metadata"]["uid"]


def newcomers(world, unreadable):
    """Our Job had no Service; both are created anew while the Job cannot be read."""
    world.pair(cpu="900m", service=False)
    cleaner = world.run(MISSING_JOB_TIMEOUT_SECONDS=1, TEARDOWN_TIMEOUT_SECONDS=2)
    cleaner.wait_log(msg="job state", to="live")
    world.kube.wait_watch(resource="jobs")
    world.kube.call(unreadable)
    world.kube.delete_job(JOB)
    world.kube.wait_request(verb="get", resource="jobs", name=JOB)
    world.kube.create_job(JOB, cpu="900m")
    world.kube.create_service(SERVICE)
    theirs = uids(world)
    end = time.monotonic() + 2.5
    world.kube.wait_for(lambda: time.monotonic() > end or cleaner.process.poll() is not None)
    return theirs


def test_a_name_that_may_not_be_read_is_not_free(world):
    """The newcomer's Service was deleted within 10 ms of its creation."""
    theirs = newcomers(world, lambda: world.kube.deny("batch", "jobs", "get"))
    assert uids(world) == theirs


def test_nor_is_one_that_a_policy_hides(world):
    theirs = newcomers(world, lambda: world.kube.fault(
        denied_by_policy(reason="Forbidden"), times=None, verb="get", resource="jobs", name=JOB))
    assert uids(world) == theirs


def test_nor_is_one_that_cannot_be_read(world):
    """An outage of the read alone: it waited."""
    theirs = newcomers(world, lambda: world.kube.fault(
        faults.unavailable(), times=None, verb="get", resource="jobs", name=JOB))
    assert uids(world) == theirs


def test_the_pods_of_a_job_that_was_never_seen_stay_too(world):
    """As it was: unknown is not missing."""
    world.kube.deny("batch", "jobs", "get")
    world.kube.deny("batch", "jobs", "list")
    world.pair(cpu="900m")
    world.run(MISSING_JOB_TIMEOUT_SECONDS=0.5)
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=2)
    end = time.monotonic() + 1.5
    world.kube.wait_for(lambda: time.monotonic() > end)
    assert world.left() == {JOB, SERVICE, SELF, "pod"}

"""The slot: cleanup-job is its lock. It goes when Job, pods and Service are gone, never before; and
then it goes, whatever has become of the queues: thirty that stay stop the job server.

Every scenario holds the lock against the cluster at the very moment in which it is given up.
"""
import signal

import pytest

from conftest import JOB, JOB_ID, SELF, SERVICE
from fakekube import faults
from faultproxy import answer, forward, never, reset
from test_faults import FakeBroker

PREFIX = f"grpc-job-{JOB_ID}-"
SPEED = 20              # the program's clock
TIMEOUT = 60            # TEARDOWN_TIMEOUT_SECONDS
ON_TIME = 25            # of the program's seconds, for a busy machine
FAST = {"speed": SPEED, "CHECK_INTERVAL_SECONDS": 2, "TEARDOWN_TIMEOUT_SECONDS": TIMEOUT}


@pytest.fixture
def slot(world):
    """A completed or idle job beside its cleaner; watches the moment in which the lock goes."""
    found = []

    def look(kube, _request):
        names = [name for name, there in ((JOB, kube.job(JOB)), (SERVICE, kube.service(SERVICE)))
                 if there]
        found.append(names + ["pod" for pod in kube.pods(JOB)
                              if "deletionTimestamp" not in pod["metadata"]])
    world.kube.before(look, verb="delete", resource="jobs", name=SELF, times=None)
    yield world
    assert all(left == [] for left in found), f"the slot is given up beside {found}"


@pytest.fixture
def broker():
    fake = FakeBroker()
    yield fake
    fake.close()


def ended(slot, **changes):
    """A cleaner that finds its Job completed."""
    slot.pair()
    slot.kube.complete_job(JOB)
    return slot.run(**{**FAST, **changes})


def assert_free(slot, cleaner):
    """Exit 0, and nothing that is restarted; nothing holds the next job's node port."""
    assert cleaner.wait() == 0
    slot.wait_gone()
    assert slot.summary()["self"] == "deleted"


def assert_taken(slot, cleaner, left):
    """Exit 1: Kubernetes starts it again."""
    assert cleaner.wait() == 1
    assert slot.left() == {SELF, *left}
    assert slot.summary()["self"] == "none"


# ---- A broker holds no slot ----

WORDS = {"error": "x", "reason": "no"}
NO_BASIC = {"error": "not_authorised", "reason": "HTTP access denied: basic auth disabled"}
FINAL = {"401": answer(401, WORDS), "403": answer(403, WORDS), "no such virtual host":
         answer(404, WORDS), "basic auth disabled": answer(401, NO_BASIC)}
AWAY = {"refused": None, "silent": never(), "503": answer(503), "reset": reset(),
        "a proxy's 404": answer(404, b"<html>"),
        "a proxy's 404 in JSON": answer(404, {"code": 404})}  # 400, 405: test_rabbitmq.c


@pytest.mark.parametrize("fault", FINAL.values(), ids=FINAL.keys())
def test_a_broker_that_refuses_holds_it_for_no_second(slot, broker, fault):
    """A wrong password in a Secret held each slot for days."""
    broker.proxy.fault(fault, times=None)
    assert_free(slot, ended(slot, **broker.env()))
    assert slot.summary()["queues"] == "forbidden"
    assert slot.summary()["seconds"] < 10
    assert [r.method for r in broker.proxy.requests] == ["GET"]


@pytest.mark.parametrize("fault", AWAY.values(), ids=AWAY.keys())
def test_a_broker_that_stays_away_holds_it_until_the_timeout(slot, broker, fault):
    if fault:
        broker.proxy.fault(fault, times=None)
    else:
        broker.proxy.refuse()
    assert_free(slot, ended(slot, **broker.env()))
    assert slot.summary()["queues"] == "left"
    assert TIMEOUT <= slot.summary()["seconds"] <= TIMEOUT + ON_TIME
    message, = [e["message"] for e in slot.kube.events() if e["reason"] == "CleanupIncomplete"]
    assert message == f"left behind: queues {PREFIX}* (left)"


# ---- Its Service does ----

def test_a_service_that_is_created_anew_while_the_job_ends(slot):
    """A slow `kubectl apply` of the template: the Service comes when the Job is done."""
    slot.pair(service=False)
    cleaner = slot.run(**FAST)
    slot.kube.wait_request(verb="watch", resource="jobs")
    slot.kube.create_service(SERVICE)
    slot.kube.complete_job(JOB)
    assert_free(slot, cleaner)
    assert slot.summary()["service"] == "deleted"


def test_a_service_that_comes_back_while_the_job_lives(slot):
    slot.pair(cpu="900m")
    cleaner = slot.run(**FAST)
    cleaner.wait_log(msg="service adopted")
    slot.kube.recreate_service(SERVICE)
    slot.kube.complete_job(JOB)
    assert_free(slot, cleaner)
    assert slot.summary()["service"] == "deleted"


def test_a_service_that_comes_back_behind_its_deletion_holds_it(slot, broker):
    """Before the lock goes it is looked for once more. Whose it is then, the next run finds out: no
    Job has the name, and it goes."""
    broker.proxy.fault(answer(503), times=None)
    cleaner = ended(slot, **broker.env())
    slot.kube.wait_for(lambda: not slot.kube.services(), what="the Service gone")
    slot.kube.create_service(SERVICE)
    assert_taken(slot, cleaner, [SERVICE])
    assert_free(slot, slot.run(MISSING_JOB_TIMEOUT_SECONDS=2, **FAST))
    assert slot.summary()["trigger"] == "missing"


@pytest.mark.parametrize("fault", ["finalizer", "forbidden", "unanswered"])
def test_a_service_that_stays_holds_it(slot, fault):
    """Exit 1: a slot whose node port is taken is not free."""
    slot.pair()
    if fault == "finalizer":
        slot.kube.edit("service", SERVICE,
                       lambda s: s["metadata"].update(finalizers=["example.com/keep"]))
    elif fault == "forbidden":
        slot.kube.deny("", "services", "delete")
    else:
        slot.kube.fault(faults.unavailable(), verb="delete", resource="services", times=None)
    slot.kube.complete_job(JOB)
    cleaner = slot.run(ADOPT_SERVICE="false", **FAST)
    assert_taken(slot, cleaner, [SERVICE])
    assert slot.summary()["service"] in ("deleting", "forbidden", "left")


def test_a_service_with_a_broker_that_is_away_goes_first(slot, broker):
    """While the broker is waited for, the Service is not."""
    broker.proxy.fault(answer(503), times=None)
    cleaner = ended(slot, **broker.env())
    slot.kube.wait_for(lambda: not slot.kube.services(), what="the Service gone")
    assert slot.kube.job(SELF) and cleaner.process.poll() is None
    assert_free(slot, cleaner)


# ---- And its pods ----

def test_pods_that_stay_hold_it_and_not_the_service(slot):
    """Nobody may end them, and no controller does: the GPU is taken, the node port is not."""
    slot.pair()
    slot.kube.controllers = False
    slot.kube.deny("", "pods", "delete")
    slot.kube.complete_job(JOB)
    assert_taken(slot, slot.run(**FAST), ["pod"])
    assert slot.summary()["service"] in ("deleted", "absent")


def test_pods_that_terminate_hold_nothing(slot):
    """They are on their way out, with their own grace period."""
    slot.pair()
    pod, = slot.kube.pods(JOB)
    slot.kube.edit("pod", pod["metadata"]["name"],
                   lambda p: p["metadata"].update(finalizers=["example.com/keep"]))
    slot.kube.complete_job(JOB)
    cleaner = slot.run(**FAST)
    assert cleaner.wait() == 0
    assert slot.left() == {"pod"} and slot.summary()["self"] == "deleted"


# ---- A queue that a terminating pod declares again ----

def test_a_queue_that_comes_back_is_found_behind_the_last_pod(slot, broker):
    """It is on its way out, and declares it once more; the list is read again when it is gone."""
    slot.pair()
    pod, = slot.kube.pods(JOB)
    name = pod["metadata"]["name"]
    slot.kube.edit("pod", name, lambda p: p["metadata"].update(finalizers=["example.com/keep"]))
    slot.kube.complete_job(JOB)
    cleaner = slot.run(**{**FAST, **broker.env()})
    slot.kube.wait_for(lambda: not broker.ours(), what="the queues gone")
    assert cleaner.process.poll() is None and slot.kube.job(SELF)
    broker.names.add(PREFIX + "again")
    slot.kube.remove_finalizers("pod", name)
    assert_free(slot, cleaner)
    assert broker.ours() == set() and slot.summary()["queues"] == "deleted"


def test_a_pod_that_terminates_for_ever_is_waited_for_for_a_minute(slot, broker):
    """Then the list is read for the last time."""
    slot.pair()
    pod, = slot.kube.pods(JOB)
    slot.kube.edit("pod", pod["metadata"]["name"],
                   lambda p: p["metadata"].update(finalizers=["example.com/keep"]))
    slot.kube.complete_job(JOB)
    cleaner = slot.run(**{**FAST, "TEARDOWN_TIMEOUT_SECONDS": 300, **broker.env()})
    slot.kube.wait_for(lambda: not broker.ours(), what="the queues gone")
    broker.names.add(PREFIX + "again")
    assert cleaner.wait() == 0
    assert broker.ours() == set() and slot.summary()["queues"] == "deleted"
    assert 60 <= slot.summary()["seconds"] <= 60 + ON_TIME
    lists = [r for r in broker.proxy.requests if r.method == "GET"]
    assert len(lists) <= 6


@pytest.mark.parametrize("fault", [faults.missing_role(), faults.unavailable()],
                         ids=["forbidden", "503"])
def test_queues_of_which_nobody_can_tell_whose_they_are_hold_it_for_a_minute(slot, broker, fault):
    """The Job's name may not be read behind their list: that took all the time there was."""
    def hide_and_forward(exchange):
        slot.kube.fault(fault, verb="get", resource="jobs", name=JOB, times=None)
        forward(exchange)
    broker.proxy.fault(hide_and_forward)
    before = broker.ours()
    cleaner = ended(slot, TEARDOWN_TIMEOUT_SECONDS=300, **broker.env())
    assert_free(slot, cleaner)
    assert broker.ours() == before == set(slot.summary()["queues_left"])
    assert 60 <= slot.summary()["seconds"] <= 60 + ON_TIME


def test_what_was_read_before_a_sleep_does_not_tell_whose_the_queues_are(slot, broker):
    """Those of the page went, however old the read of the Job's name was by then."""
    def sleep(exchange):
        cleaner.signal(signal.SIGSTOP)      # before it has the answer, or the next queue is on its way
        slot.kube.call(slot.kube.create_job, JOB, cpu="900m")
        forward(exchange)
        slot.kube.later(2, cleaner.signal, signal.SIGCONT)
    broker.proxy.fault(sleep, "DELETE")
    cleaner = ended(slot, **broker.env())
    assert cleaner.wait() == 0
    assert len(broker.ours()) == 2 and slot.kube.job(JOB)
    assert slot.summary()["queues"] == "newcomer"


# ---- Neighbours: a queue goes by its name alone ----

def short(slot, broker, **changes):
    """The cleaner of job `12`, whose queues' prefix is that of the live job 12-70788's, too."""
    slot.kube.create_job("grpc-job-12")
    slot.kube.create_job("cleanup-job-12", containers=("cleanup",))
    slot.kube.complete_job("grpc-job-12")
    return slot.run(**{**FAST, **broker.env(), "JOB_ID": "12", **changes})


def test_a_live_neighbours_queues_stay(slot, broker):
    """Each dash behind the prefix is a Job to be asked about first."""
    slot.pair(cpu="900m")
    mine = {"grpc-job-12-a", "grpc-job-12-a-b", "grpc-job-12-7078-c"}
    broker.names |= mine
    others = broker.names - mine - {"grpc-job-12-7078-a"}
    cleaner = short(slot, broker)
    assert cleaner.wait() == 0
    assert broker.names == others
    asked = {r.name for r in slot.requests(verb="get", resource="jobs")}
    assert asked >= {JOB, "grpc-job-12-a", "grpc-job-12-7078"}
    assert slot.summary()["queues"] == "deleted" and slot.left() == {JOB, SERVICE, SELF, "pod"}


@pytest.mark.parametrize("how", ["forbidden", "503"])
def test_a_queue_whose_neighbour_cannot_be_read_stays_and_is_named(slot, broker, how):
    """Nobody can tell whose it is. It holds up neither the others nor the slot."""
    broker.names = {"grpc-job-12-70788-a", "grpc-job-12-b", "grpc-job-12-z"}
    refusal = faults.unavailable() if how == "503" else faults.status(
        403, "Forbidden", "x is forbidden: no rule", {})
    slot.kube.fault(refusal, verb="get", resource="jobs", name=JOB, times=None)
    cleaner = short(slot, broker)
    assert cleaner.wait() == 0
    assert broker.names == {"grpc-job-12-70788-a"}
    assert slot.summary()["queues_left"] == ["grpc-job-12-70788-a"]
    told, = cleaner.log(msg="queue", level="warn")
    assert told["name"] == "grpc-job-12-70788-a"
    if told["outcome"] == "refused":
        assert told["error"] == "it may be another job's"
    else:  # time was up in the middle of a walk
        assert told["outcome"] == "left"
    assert not slot.kube.job("cleanup-job-12")


def test_a_neighbour_that_ends_leaves_its_queues_to_its_own_cleaner(slot, broker):
    """Its Job is there, finished or not: they are its."""
    slot.pair()
    slot.kube.complete_job(JOB)
    before = set(broker.names)
    broker.names.add("grpc-job-12-b")
    assert short(slot, broker).wait() == 0
    assert broker.ours() == {name for name in before if name.startswith(PREFIX)}
    assert "grpc-job-12-b" not in broker.names

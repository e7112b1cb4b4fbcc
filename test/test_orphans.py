"""Pods and Jobs in others' hands: orphans beside a newcomer, foreground deletion, finalizers.
Sections 3 and 5 of the contract.

Each scenario was seen to fail with the program before the planner; what that did is said in each.
"""
import pytest

from conftest import JOB, SELF, SERVICE
from fakekube import faults
from fakekube.faults import denied_by_policy, denied_by_webhook
from test_patience import for_a

DELETE_JOB = {"verb": "delete", "resource": "jobs", "name": JOB}
NEWCOMER = "another job has our job's name, it and what belongs to it are left alone"


def live(world, pods=1, **changes):
    world.pair(cpu="900m", parallelism=pods)
    cleaner = world.run(**changes)
    cleaner.wait_log(msg="service adopted")
    return cleaner


def orphan(world):
    """kubectl delete --cascade=orphan, all of it at once; returns the pods' names."""
    pods = [p["metadata"]["name"] for p in world.kube.pods(JOB)]

    def run():
        for name in pods:
            world.kube.edit("pod", name, lambda p: p["metadata"].pop("ownerReferences"))
        world.kube.vanish("job", JOB)
    world.kube.call(run)
    return pods


def there(world, pods):
    return [p["metadata"]["name"] for p in world.kube.pods() if p["metadata"]["name"] in pods]


# ---- 11: our own pods beside a newcomer ----

def test_orphans_beside_a_newcomer_go(world):
    """Exit 0, "nothing torn down", and they kept their GPU."""
    cleaner = live(world, speed=20, CHECK_INTERVAL_SECONDS=10)
    world.kube.silence_watches()

    def swap():
        ours = orphan(world)
        world.kube.create_job(JOB, cpu="900m")
        world.kube.recreate_service(SERVICE)
        return ours
    ours = world.kube.call(swap)
    world.kube.reset_connections()
    theirs = [p["metadata"]["name"] for p in world.kube.pods(JOB)
              if p["metadata"]["name"] not in ours]
    cleaner.wait_log(msg=NEWCOMER)
    assert cleaner.wait() == 0
    world.kube.wait_for(lambda: there(world, ours) == [], what="our pods gone")
    assert there(world, theirs) == theirs and world.kube.job(JOB) and world.kube.service(SERVICE)
    assert world.kube.job(SELF), "the slot is the newcomer's, whose cleaner has this name"


def test_orphans_that_may_not_be_deleted_are_told(world):
    """It said "incomplete", with exit 0."""
    world.kube.deny("", "pods", "delete")
    cleaner = live(world, speed=20, CHECK_INTERVAL_SECONDS=10, TEARDOWN_TIMEOUT_SECONDS=60)

    def swap():
        ours = orphan(world)
        world.kube.create_job(JOB, cpu="900m")
        return ours
    ours = world.kube.call(swap)
    assert cleaner.wait() == 1
    assert there(world, ours) == ours and world.kube.job(JOB)
    assert world.summary()["pods"] == "forbidden"


@pytest.mark.parametrize("failure", [faults.denied_by_webhook(), faults.unavailable()],
                         ids=["webhook", "503"])
def test_one_that_stays_holds_up_none_behind_it(world, failure):
    """The first one of the list was tried, and no other."""
    cleaner = live(world, pods=3, speed=20, CHECK_INTERVAL_SECONDS=10,
                   TEARDOWN_TIMEOUT_SECONDS=60)
    ours = [p["metadata"]["name"] for p in world.kube.pods(JOB)]
    world.kube.call(orphan, world)
    world.kube.fault(failure, times=None, verb="delete", resource="pods", name=sorted(ours)[0])
    assert cleaner.wait() == 1
    assert there(world, ours) == sorted(ours)[:1]
    assert cleaner.log(msg="recovered") == []


def test_orphans_without_a_newcomer_go(world):
    """As it was."""
    cleaner = live(world, speed=20, CHECK_INTERVAL_SECONDS=10)
    world.kube.call(orphan, world)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_where_pods_may_not_be_listed_a_newcomer_is_no_reason_to_complain(world):
    """As it was."""
    world.kube.deny("", "pods", "list")
    world.kube.deny("", "pods", "delete")
    cleaner = live(world, speed=30, CHECK_INTERVAL_SECONDS=10)
    world.kube.recreate_job(JOB, cpu="900m")
    world.kube.recreate_service(SERVICE)
    status = cleaner.wait()
    said = {line["msg"] for line in cleaner.lines}
    assert (status, "teardown incomplete" in said) == (0, False)
    assert world.kube.job(JOB) and world.kube.service(SERVICE)
    assert not [e for e in world.kube.events() if e["reason"] == "CleanupIncomplete"]


# ---- 19: whose deletion it is ----

def test_a_foreground_deletion_is_left_to_those_who_wait_for_it(world):
    """Our DELETE made it a background one: `kubectl delete` returned with a pod still running."""
    cleaner = live(world)
    world.kube.pod_grace = 2.0
    world.kube.delete_job(JOB, policy="Foreground")
    world.kube.wait_for(lambda: not world.kube.job(JOB), what="the Job gone")
    assert world.kube.pods(JOB) == []
    assert cleaner.wait() == 0
    world.wait_gone()
    assert world.requests(**DELETE_JOB) == []


def test_so_is_that_of_the_ttl_controller(world):
    """The same: it deletes in the foreground."""
    world.kube.fault(denied_by_webhook(), times=None, **DELETE_JOB)
    world.kube.ttl_controller, world.kube.ttl_scale, world.kube.pod_grace = True, 1 / 120, 1.0
    cleaner = live(world, COMPLETED_GRACE_SECONDS=3600)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert world.requests(**DELETE_JOB) == []


def test_a_deletion_that_would_orphan_its_pods_is_not(world):
    """As it was: Background frees a Job that hangs in "orphan", and takes the pods along."""
    cleaner = live(world)
    world.kube.controllers = False
    world.kube.delete_job(JOB, policy="Orphan")
    world.kube.wait_request(**DELETE_JOB)
    world.kube.controllers = True
    assert cleaner.wait() == 0
    world.wait_gone()


def test_a_finalizer_holds_the_service_up_for_thirty_seconds(world):
    """54 s; and its finished pod was deleted with "pod outlived its job"."""
    world.pair(cpu="900m", finalizers=["example.com/keep"])
    cleaner = world.run(speed=20, ADOPT_SERVICE="false", CHECK_INTERVAL_SECONDS=10)
    cleaner.wait_log(msg="active")
    world.kube.complete_job(JOB)
    delete = world.kube.wait_request(**DELETE_JOB)
    service = world.kube.wait_request(verb="delete", resource="services")
    assert 28 / 20 <= service.monotonic - delete.monotonic <= 36 / 20
    for_a(world, 1.5)
    assert world.requests(verb="delete", resource="pods") == []
    assert cleaner.log(msg="pod outlived its job, deleted") == []
    world.kube.remove_finalizers("job", JOB)
    world.kube.wait_for(lambda: not world.kube.job(JOB) or cleaner.process.poll() is not None)
    world.kube.vanish("job", JOB) if world.kube.job(JOB) else None
    assert cleaner.wait() == 0


def test_a_short_teardown_is_no_reason_to_leave_the_service(world):
    """It waited for thirty seconds that there were not."""
    world.pair(cpu="900m", finalizers=["example.com/keep"])
    cleaner = world.run(speed=20, ADOPT_SERVICE="false", CHECK_INTERVAL_SECONDS=10,
                        TEARDOWN_TIMEOUT_SECONDS=20)
    cleaner.wait_log(msg="active")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 1
    assert world.left() == {JOB, SELF, "pod"} and world.summary()["service"] == "deleted"


def test_one_on_a_job_that_somebody_deletes_does_not_hold_it_up_longer(world):
    """The same, without a DELETE of ours."""
    world.pair(cpu="900m", finalizers=["example.com/keep"])
    cleaner = world.run(speed=20, ADOPT_SERVICE="false", CHECK_INTERVAL_SECONDS=10)
    cleaner.wait_log(msg="active")
    world.kube.complete_job(JOB)
    world.kube.delete_job(JOB, policy="Foreground")
    world.kube.wait_request(verb="delete", resource="services", timeout=3)
    assert world.requests(verb="delete", resource="pods") == []


@pytest.mark.parametrize("failure", [faults.unavailable(),
                                     faults.webhook_down()], ids=["503", "webhook"])
def test_nothing_has_recovered_while_the_delete_goes_on_failing(world, failure):
    """A read in between cleared the trouble, three times a minute: "recovered"."""
    world.pair(cpu="900m")
    cleaner = world.run(speed=30, CHECK_INTERVAL_SECONDS=10, TEARDOWN_TIMEOUT_SECONDS=120)
    cleaner.wait_log(msg="service adopted")
    world.kube.fault(failure, times=None, **DELETE_JOB)
    world.kube.complete_job(JOB)
    world.kube.wait_request(count=4, **DELETE_JOB)
    assert cleaner.log(msg="recovered") == []
    world.kube.clear_faults()
    assert cleaner.wait(30) == 0
    assert len(cleaner.log(msg="recovered")) == 1


@pytest.mark.parametrize("what,words", [
    (denied_by_policy("no owners here"), "no owners here"),
    (denied_by_webhook("no owners here"), "no owners here"),
    (faults.status(403, "Forbidden", 'services "x" is forbidden: cannot set an ownerRef on a '
                   'resource you can\'t delete: , <nil>'), "cannot set an ownerRef")],
    ids=["422", "webhook", "ownerRef"])
def test_an_adoption_that_is_refused_is_told_once(world, what, words):
    """Of 422 at debug, and tried again at every read."""
    world.pair(cpu="900m")
    world.kube.fault(what, times=None, verb="patch", resource="services")
    cleaner = world.run(CHECK_INTERVAL_SECONDS=0.2)
    line = cleaner.wait_log(level="warn")
    assert words in line["error"] and line["without_it"] == "the Service is not adopted"
    for_a(world, 1)
    assert len(world.requests(verb="patch")) == 2
    assert len(cleaner.log(level="warn")) == 1
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()

"""Flaws that a model of the protocol found once; the simulator finds them now (test/sim/mutations)."""
import asyncio
import contextlib
import json
import time

from conftest import JOB, SELF, SERVICE
from fakekube import faults

ACTIVE = "100m"


def test_a_newcomers_service_is_not_noted_as_ours(world):
    """Read after the Job's replacement, of which the watch tells too late."""
    kube = world.kube
    world.pair(service=False, cpu=ACTIVE)
    cleaner = world.run(ADOPT_SERVICE="false", CHECK_INTERVAL_SECONDS=10,
                        COMPLETED_GRACE_SECONDS=60)
    kube.wait_request(verb="get", resource="services")
    kube.wait_watch(resource="jobs")
    kube.silence_watches(resource="jobs")
    kube.complete_job(JOB)
    completed = kube.job(JOB)
    kube.recreate_job(JOB, cpu=ACTIVE)
    kube.create_service(SERVICE)
    theirs = kube.service(SERVICE)["metadata"]["uid"]
    reads = len(world.requests(verb="get", resource="services"))
    kube.wait_request(verb="get", resource="services", count=reads + 1)
    time.sleep(0.3)  # the answer has arrived

    def finish_alone(watch):
        watch._pending.clear()
        watch._silent = False
        watch.push(json.dumps({"type": "MODIFIED", "object": completed}).encode() + b"\n")
        watch._wake.set()
    kube._each_watch({"resource": "jobs"}, finish_alone)
    with contextlib.suppress(AssertionError):  # it has seen the newcomer, or it acts
        cleaner.wait(3)
    assert kube.service(SERVICE)["metadata"]["uid"] == theirs


def test_a_newer_cleaner_is_not_hit_by_one_that_never_knew_its_own_uid(world):
    """A Job that had finished at the first look is never LIVE."""
    world.pair()
    world.kube.complete_job(JOB)

    async def replace_us(kube, request):
        await asyncio.sleep(3)  # nobody does that within the second of our start
        kube.recreate_job(SELF, containers=("cleanup",))
    world.kube.before(replace_us, verb="delete", resource="services")
    assert world.run().wait() == 0
    assert world.kube.job(SELF)


def test_a_job_that_is_seen_late_while_what_is_missing_is_torn_down_is_watched(world):
    """The teardown was held up for minutes."""
    world.kube.create_service(SERVICE)
    world.kube.create_job(SELF, containers=("cleanup",))
    world.kube.fault(faults.unavailable(), verb="get", resource="services", times=None)
    cleaner = world.run(speed=60, MISSING_JOB_TIMEOUT_SECONDS=2, CHECK_INTERVAL_SECONDS=10)
    cleaner.wait_log(msg="teardown", trigger="missing")
    cleaner.wait_log(msg="API server trouble", count=3, timeout=30)
    world.kube.create_job(JOB, cpu=ACTIVE)
    cleaner.wait_log(msg="job state", to="live", timeout=20)
    world.kube.clear_faults()
    cleaner.wait_log(msg="service adopted")
    assert world.deletions() == []
    assert world.kube.job(SELF)

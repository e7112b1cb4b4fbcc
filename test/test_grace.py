"""A finished Job that is kept for its logs is watched as before. Section 5 of the contract.

Each scenario was seen to fail with the program before the planner, which was blind meanwhile: it
slept through the grace, with the name of its Job in others' hands.
"""
import time

import pytest

from conftest import JOB, SELF, SERVICE
from fakekube import faults

DAY = {"COMPLETED_GRACE_SECONDS": "86400", "FAILED_GRACE_SECONDS": "86400"}


def kept(world, end="complete_job", **changes):
    """A finished Job within its grace; its Service is gone."""
    world.pair(cpu="900m")
    cleaner = world.run(**{**DAY, **changes})
    cleaner.wait_log(msg="service adopted")
    getattr(world.kube, end)(JOB)
    cleaner.wait_log(msg="finished job is kept")
    cleaner.wait_log(msg="service")
    assert world.left() == {JOB, SELF, "pod"}
    return cleaner


@pytest.mark.parametrize("end", ["complete_job", "fail_job"])
def test_its_ttl_ends_the_grace(world, end):
    """For a day nothing was noticed."""
    world.kube.ttl_controller = True
    world.kube.ttl_scale = 1 / 120
    cleaner = kept(world, end)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert cleaner.log(level="warn", msg="the grace is longer than the Job's "
                                         "ttlSecondsAfterFinished, which ends it")


@pytest.mark.parametrize("policy", ["Background", "Foreground", "Orphan"])
def test_so_does_anybody_who_deletes_it(world, policy):
    cleaner = kept(world, speed=20)     # orphans are waited for
    world.kube.delete_job(JOB, policy=policy)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_though_the_watch_is_silent(world):
    """The Job is read all the same."""
    cleaner = kept(world, speed=30)
    world.kube.silence_watches()
    world.kube.vanish("job", JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def test_an_id_that_comes_back_is_left_alone(world):
    """For a day it was not even known to be another's."""
    cleaner = kept(world)
    theirs = world.kube.recreate_job(JOB, cpu="900m")["metadata"]["uid"]
    world.kube.create_service(SERVICE)
    assert cleaner.wait() == 0
    assert world.kube.job(JOB)["metadata"]["uid"] == theirs and world.kube.service(SERVICE)
    assert cleaner.log(level="warn", msg="another job has our job's name, it and what belongs to it "
                                         "are left alone")


def test_a_service_that_comes_back_with_the_job_there_goes(world):
    """By its own owner's hand, or by a client that tries again; no event tells of it. What is there
    when the grace is over goes."""
    cleaner = kept(world, COMPLETED_GRACE_SECONDS="2")
    world.kube.create_service(SERVICE, owners=[JOB])
    assert cleaner.wait() == 0
    world.wait_gone()


def test_an_outage_ends_no_grace(world):
    """As it was."""
    cleaner = kept(world, speed=30)
    world.kube.fault(faults.unavailable(), times=None)
    world.kube.reset_watches()
    end = time.monotonic() + 3
    world.kube.wait_for(lambda: time.monotonic() > end)
    assert cleaner.process.poll() is None
    world.kube.clear_faults()
    assert world.kube.job(JOB)
    world.kube.delete_job(JOB)
    assert cleaner.wait(40) == 0
    world.wait_gone()


def test_the_grace_itself_ends_it(world):
    """As it was. Without this, the others could not fail. It counts from the Job's finish, which
    the API tells in whole seconds."""
    cleaner = kept(world, COMPLETED_GRACE_SECONDS="2.5")
    assert cleaner.wait() == 0
    world.wait_gone()
    assert cleaner.log(msg="torn down")[0]["_at"] > 1.4

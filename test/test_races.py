"""Something happens to the job between any two requests of the program's life.

For requests of a whole life, one change comes right before it is handled; or (`lost`) right
behind it, and its answer is lost. Then the life goes on to its end. What must hold, whenever it
was: a newcomer and its Service are never touched; a job that is held or suspended is not deleted,
unless its DELETE was accepted before; nor is one that the last reading showed busy; and everything
of a job that has ended goes.
"""
import functools
import os
import time

import pytest

from conftest import JOB, SELF, SERVICE
from fakekube import faults
from test_faults import (ACTIVE, BOUND, assert_neighbour_lives, assert_only_ours_deleted, stage,
                         table)
from test_kill import for_each_request

HOLD = {"cleanup-grpc/hold": "true"}
LIVED_ON = 8                # checks after which it is not going to act any more,
READ_ON = 3                 # or reads, where it makes no checks


# ---- The changes ----

def newcomer(staged):
    """Another Job of our name, with a Service of its own."""
    kube = staged.kube
    return {kube.recreate_job(JOB, cpu=ACTIVE)["metadata"]["uid"],
            kube.recreate_service(SERVICE)["metadata"]["uid"]}


def there(kind, name=JOB):
    """Makes a change that needs the object; it may be gone by then."""
    def decorate(change):
        @functools.wraps(change)
        def act(staged):
            if staged.kube.get(kind, name):
                change(staged.kube)
            return set()
        return act
    return decorate


@there("job")
def completes(kube):
    kube.complete_job(JOB)


@there("job")
def fails(kube):
    kube.fail_job(JOB)


@there("job")
def deleted(kube):
    kube.delete_job(JOB, policy="Background")


@there("job")
def orphaned(kube):
    kube.delete_job(JOB, policy="Orphan")


@there("job")
def held(kube):
    kube.annotate(JOB, values=HOLD)


@there("job")
def busy(kube):
    kube.set_cpu(JOB, ACTIVE)


@there("job")
def suspended(kube):
    kube.suspend_job(JOB)


def service_recreated(staged):
    """By its owner: whether it goes depends on what the program had seen by then."""
    uid = staged.kube.recreate_service(SERVICE)["metadata"]["uid"]
    staged.uids.add(uid)
    return set()


@there("service", SERVICE)
def service_deleted(kube):
    kube.vanish("service", SERVICE)


# ---- What must hold, by what has changed ----

class Race:
    """One life, in which one change comes at the k-th request."""

    def __init__(self, staged, change, k, moment):
        self.staged, self.kube, self.change, self.moment = staged, staged.kube, change, moment
        self.at = None              # seq of the request that it came before, or behind
        self.was_there = False      # the Job, when the change came
        self.newcomers = set()      # uids
        hook = self.kube.before if moment == "before" else self.kube.after
        hook(self._strike, nth=k)
        if moment == "lost":
            self.kube.fault(faults.lose_answer(), nth=k)

    def _strike(self, kube, request):
        self.at = request.seq
        self.was_there = bool(kube.job(JOB))
        self.newcomers = self.change(self.staged)

    # ---- what was asked, and when ----

    def is_behind(self, request):
        """The server handled it with the change made."""
        if self.at is None:
            return False
        return request.seq > self.at or request.seq == self.at and self.moment == "before"

    def behind(self, requests):
        return [r for r in requests if self.is_behind(r)]

    def accepted(self):
        """The requests that deleted the Job."""
        return [r for r in self.staged.requests(verb="delete", resource="jobs", name=JOB)
                if r.status == 200]

    def may_stay(self):
        """What the program could not know of: a Service that was re-created behind its last look
        at it, and the pods of a Job that was orphaned before it had ever been seen."""
        first = next(iter(self.staged.requests(verb="delete", resource="services")), None)
        reads = [r for r in self.staged.requests(verb="get", resource="services")
                 if r.status == 200 and (not first or r.seq < first.seq)]
        if self.change is service_recreated and self.at and reads and not self.behind(reads):
            return {SERVICE}
        if self.change is orphaned and not self.staged.cleaners[0].log(msg="job state"):
            return {"pod"}
        return set()

    # ---- the run ----

    def run(self):
        cleaner = self.staged.start(speed=table.SPEED, TEARDOWN_TIMEOUT_SECONDS=200)
        self._wait_for_the_end_or_for_life(cleaner)
        if cleaner.process.poll() is None:
            if self.newcomers:
                return              # the first that it saw: it watches it
            assert self.change in (held, busy, suspended), "it does not act:\n" + cleaner.text()
            assert self.kube.job(JOB) and not self.accepted()
            self.staged.complete()
        status = cleaner.wait(BOUND)
        assert status == 0, f"exit status {status}:\n{cleaner.text()}"

    def _wait_for_the_end_or_for_life(self, cleaner):
        """It ends, or it reads on and on behind the change."""
        deadline = time.monotonic() + BOUND

        def is_over():
            return (cleaner.process.poll() is not None or time.monotonic() > deadline
                    or not self.accepted() and not self.staged.ended and (
                        len(self.behind(self.staged.checks())) >= LIVED_ON
                        or self.change in (held, suspended) and len(self.behind(
                            self.staged.requests(verb="get", name=JOB))) >= READ_ON))
        self.kube.wait_for(is_over, BOUND + 5)

    # ---- what must hold ----

    def check(self):
        uids = {o["metadata"]["uid"] for o in self.kube.jobs() + self.kube.services()}
        assert self.newcomers <= uids, "a newcomer or its Service was deleted"
        if self.staged.ended is None and self.was_there:
            for delete in self.accepted():
                self.check_delete(delete)
        if not self.newcomers:
            stays = self.may_stay()
            self.kube.wait_for(lambda: self.staged.left() in (stays, stays - {"pod"}), 3,
                               f"nothing left but {stays}")
        assert_only_ours_deleted(self.staged)
        assert_neighbour_lives(self.staged)

    def check_delete(self, delete):
        """Of a Job that had not ended."""
        if self.change in (held, suspended):
            assert not self.is_behind(delete), "deleted, though it was held or suspended"
        if self.change is busy:
            busy_readings = [r for r in self.behind(self.staged.checks())
                             if r.status == 200 and r.seq < delete.seq]
            assert not busy_readings, "deleted, though the last reading showed it busy"


# ---- All of them ----

# Here a handful; FAULTS=all: all of them, at each request. `make sim-all` does that, and in pairs,
# to the whole program but its sockets.
ALL = os.environ.get("FAULTS") == "all"
OF_A_LIVING_JOB = [completes, newcomer, held, busy, service_recreated]
OF_AN_ENDED_JOB = [deleted, newcomer]
if ALL:
    OF_A_LIVING_JOB += [fails, deleted, orphaned, suspended, service_deleted]
    OF_AN_ENDED_JOB += [orphaned, held, service_recreated, service_deleted]
RACES = [("idle", change) for change in OF_A_LIVING_JOB] + [
    ("ended", change) for change in OF_AN_ENDED_JOB]
MOMENTS = ["before", "lost"] if ALL else ["before"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("life,change", RACES, ids=lambda x: getattr(x, "__name__", x))
def test_a_change_between_any_two_requests(tmp_path, life, change, moment):
    def play(directory, k):
        with stage(directory) as staged:
            staged.begin(life)
            race = Race(staged, change, k, moment)
            race.run()
            race.check()
            return bool(race.at)
    for_each_request(tmp_path, life, play)


def test_a_newer_cleaner_is_left_alone_though_our_own_job_could_not_be_read_at_first(tmp_path):
    with stage(tmp_path) as staged:
        staged.begin("active")
        staged.kube.fault(faults.unavailable(), verb="get", resource="jobs", name=SELF)
        cleaner = staged.start(speed=table.SPEED)
        staged.wait_watched()
        staged.wait_checks(LIVED_ON)
        newer = staged.kube.recreate_job(SELF, containers=("cleanup",))
        staged.complete()
        assert cleaner.wait(BOUND) == 0
        assert staged.kube.job(SELF)["metadata"]["uid"] == newer["metadata"]["uid"]

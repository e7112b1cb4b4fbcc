"""The program may be killed or stopped at any request; the next process goes on from there.

A whole life makes some twenty requests. At every third of them, the program is killed (or
signalled) before it is handled, and after it was handled but before its answer is there. Then
Kubernetes starts the program again, until it exits 0. Everything of the job goes; nothing is
deleted twice, nor anything that is another's.

What is tried here is what a real process, a real signal and real sockets do: `make sim-all` kills,
stops and changes at each request of each of its stories. FAULTS=all does so here, too.
"""
import asyncio
import concurrent.futures
import functools
import os
import signal
import time
import zlib

import pytest

from conftest import JOB, SERVICE
from fakekube import faults
from test_faults import (ACTIVE, AT_ONCE, BOUND, assert_neighbour_lives,
                         assert_only_ours_deleted, patiently, stage)

RESTARTS = 4
MISSING = {"MISSING_JOB_TIMEOUT_SECONDS": "0.3"}    # where the job went before the restart
FAST = {"CHECK_INTERVAL_SECONDS": "0.05", "speed": None, **MISSING}
A_SECOND = 1.5              # on a busy machine
LIVES = ("idle", "ended")
EVERY = 1 if os.environ.get("FAULTS") == "all" else 3


# ---- What all of them do ----

def start(staged):
    return staged.start(**FAST)


def whole_life(directory, life):
    """How many requests an undisturbed life makes."""
    with stage(directory) as staged:
        staged.begin(life)
        assert start(staged).wait(BOUND) == 0
        return len(staged.kube.requests)


def for_each_request(directory, life, play):
    """play(directory, k) for each EVERY-th k, some of them at a time; a k that is not reached is
    fine. Tests of one life begin at different ones."""
    (directory / "whole").mkdir()
    count = whole_life(directory / "whole", life)
    assert count > 8, "that was no whole life"
    first = 1 + zlib.crc32(directory.name.encode()) % EVERY
    numbers = range(first, count + 1, EVERY)
    places = [directory / str(k) for k in numbers]
    for place in places:
        place.mkdir()
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        reached = list(pool.map(functools.partial(patiently, play), places, numbers))
    assert sum(reached) >= len(numbers) - (4 if EVERY == 1 else 2), "most were never reached"


def strike(staged, k, moment, act):
    """act(process) at the k-th request. Returns the trigger."""
    async def hook(kube, request):
        while not staged.cleaners:
            await asyncio.sleep(0.001)      # it asks before Popen() has returned
        act(staged.cleaners[0].process)
    return getattr(staged.kube, moment)(hook, nth=k)


def run_until_done(staged):
    """As Kubernetes does with restartPolicy: OnFailure."""
    for _ in range(RESTARTS):
        if start(staged).wait(BOUND) == 0:
            return
    raise AssertionError("it does not come to an end:\n" + staged.cleaners[-1].text())


def assert_nothing_deleted_twice(staged):
    done = [r.body["preconditions"]["uid"] for r in staged.requests()
            if r.method == "DELETE" and r.status == 200]
    assert len(done) == len(set(done)), "deleted twice"


def assert_clean(staged):
    staged.kube.wait_for(lambda: not staged.left(), what="everything gone")
    assert_nothing_deleted_twice(staged)
    assert_only_ours_deleted(staged)
    assert_neighbour_lives(staged)


# ---- SIGKILL ----

def kill_at(staged, k, moment, also=lambda kube: None):
    """The program dies at its k-th request, which is handled only if the moment is `after`."""
    def act(process):
        process.kill()
        also(staged.kube)
    struck = strike(staged, k, moment, act)
    if moment == "before":
        staged.kube.fault(faults.reset_before_answer(), nth=k)
    status = start(staged).wait(BOUND)
    assert status == (-signal.SIGKILL if struck.hits else 0)
    return bool(struck.hits)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("life", LIVES)
def test_killed_at_any_request_the_next_process_cleans_up(tmp_path, life, moment):
    def play(directory, k):
        with stage(directory) as staged:
            staged.begin(life)
            reached = kill_at(staged, k, moment)
            run_until_done(staged)
            assert_clean(staged)
            return reached
    for_each_request(tmp_path, life, play)


@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("life", LIVES)
def test_killed_while_a_newcomer_comes_the_next_process_leaves_it_alone(tmp_path, life, moment):
    """The newcomer is busy: for the next process it is the job to watch."""
    def play(directory, k):
        came = []

        def come(kube):
            came.append(kube.recreate_job(JOB, cpu=ACTIVE)["metadata"]["uid"])
            came.append(kube.recreate_service(SERVICE)["metadata"]["uid"])
        with stage(directory) as staged:
            staged.begin(life)
            if not kill_at(staged, k, moment, come):
                return False
            start(staged)
            staged.wait_watched()
            staged.wait_checks(3)
            now = [o["metadata"]["uid"] for o in (staged.kube.job(JOB),
                                                  staged.kube.service(SERVICE))]
            assert now == came
            assert_only_ours_deleted(staged)
            assert_neighbour_lives(staged)
            return True
    for_each_request(tmp_path, life, play)


# ---- SIGTERM ----

@pytest.mark.parametrize("moment", ["before", "after"])
@pytest.mark.parametrize("life", LIVES)
def test_stopped_at_any_request_it_touches_nothing_or_finishes(tmp_path, life, moment):
    """143 within a second, and no DELETE was sent; or 0, and all is gone."""
    def play(directory, k):
        at = []

        def stop(process):
            at.append(time.monotonic())
            process.terminate()
        with stage(directory) as staged:
            staged.begin(life)
            struck = strike(staged, k, moment, stop)
            cleaner = start(staged)
            status = cleaner.wait(BOUND)
            took = time.monotonic() - at[0] if at else 0
            if status == 143:
                assert took < A_SECOND, f"143 after {took:.1f} s"
                assert not staged.deletions() and not staged.kube.events()
                run_until_done(staged)
            assert status in (0, 143), cleaner.text()
            assert_clean(staged)
            return bool(struck.hits)
    for_each_request(tmp_path, life, play)

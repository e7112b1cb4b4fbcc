"""What watching costs, in memory, requests and connections: numbers that no slow machine changes.

Times are in `make bench`. The memory is the static binary's: without it (`make static`) that test
is skipped; `make static-test` makes it first.
"""
import os
import pathlib
import re

import pytest

from bench import memory
from cleaner import static_binary
from conftest import needs, reads_its_memory

# kB: as docs/footprint.md has them, for the trimmed OpenSSL 3.0 and 3.5, and the distribution's archive
TRIMMED, TRIMMED_3_5 = memory.Memory(3900, 700, 0), memory.Memory(4100, 800, 0)
ARCHIVE = memory.Memory(6000, 1056, 0)


NO_SANITIZER = pytest.mark.skipif("ASAN_OPTIONS" in os.environ,
                                  reason="the sanitizers' memory is another, and nothing may trace them")


@NO_SANITIZER
@reads_its_memory
def test_memory_while_watching():
    binary = static_binary()
    if not binary:
        pytest.skip("no static binary: make static")
    openssl = pathlib.Path(binary).parent / "openssl"
    trimmed = TRIMMED if (openssl / "source-version").read_text().startswith("3.0.") else TRIMMED_3_5
    limit = ARCHIVE if "archive" in (openssl / "origin").read_text() else trimmed
    found = [memory.measure(binary)[0] for _ in range(5)]
    assert min(m.rss for m in found) <= limit.rss
    assert min(m.private for m in found) <= limit.private


def test_a_check_is_one_request_and_the_job_is_read_again_at_every_sixth(world):
    """Two connections in all, kept; nothing else is asked while the job is busy."""
    world.pair(cpu="900m")
    world.watched(CHECK_INTERVAL_SECONDS=0.05)
    world.kube.wait_for(lambda: len(world.checks()) >= 10, what="a start")
    start, checks = len(world.kube.requests), len(world.checks())
    world.kube.wait_for(lambda: len(world.checks()) >= checks + 60, what="60 checks")
    verbs = {(r.verb, r.resource, r.group) for r in world.kube.requests[start:]}
    assert verbs == {("list", "pods", "metrics.k8s.io"), ("get", "jobs", "batch")}
    reads = len(world.requests(verb="get", resource="jobs", name="grpc-job-12-70788"))
    assert reads <= len(world.checks()) / 6 + 3
    assert world.kube.stats.accepted == 2


@NO_SANITIZER
def test_the_clock_wakes_it_once_a_check(world, tmp_path):
    """The Job's re-read comes with a check, not beside it."""
    trace = tmp_path / "trace"
    world.pair(cpu="900m")
    world.watched(CHECK_INTERVAL_SECONDS=0.2,
                  prefix=(*needs("strace", "-D", "-o", str(trace)), "-e", "trace=poll,ppoll"))

    def timeouts():     # of waits: with a time-out of 0 it only asks
        return sum("Timeout" in line and not re.search(r", 0\) += 0 ", line)
                   for line in trace.open())

    world.kube.wait_for(lambda: len(world.checks()) >= 10, what="a start")
    woken, checks = timeouts(), len(world.checks())
    world.kube.wait_for(lambda: len(world.checks()) >= checks + 60, 30, "60 checks")
    woken, checks = timeouts() - woken, len(world.checks()) - checks
    # 5: libcurl's timer for the watch's connect, a millisecond early; edges. Re-reads would be 10.
    assert checks / 2 <= woken <= checks + 5


@NO_SANITIZER
def test_the_token_is_read_anew_only_when_its_file_has_changed(world, tmp_path):
    """And the signals' descriptor only when there is one: no call for nothing at each check."""
    trace, token = tmp_path / "trace", world.kube.service_account_dir / "token"
    os.utime(token, (1e9, 1e9))     # a young file is read each time
    world.pair(cpu="900m")
    world.watched(CHECK_INTERVAL_SECONDS=0.05,
                  prefix=(*needs("strace", "-D", "-o", str(trace)), "-e", "trace=openat,read,signalfd4"))
    world.kube.wait_for(lambda: len(world.checks()) >= 10, what="a start")
    start, checks = len(trace.read_text().splitlines()), len(world.checks())
    world.kube.wait_for(lambda: len(world.checks()) >= checks + 20, what="20 checks")
    def calls():
        text = trace.read_text()
        signals = re.search(r"signalfd4\(.* = (\d+)", text)[1]
        return [line for line in text.splitlines()[start:] if '/token"' in line or f"read({signals}," in line]

    assert calls() == []
    world.kube.rotate_token()
    world.kube.wait_for(calls, what="a look at the new token")

"""`make demo`: both acts are told in order, and a program that fails them is not called good."""
import os
import re
import signal
import subprocess
import sys

import pytest

from cleaner import BINARY, ROOT

DEMO = [sys.executable, str(ROOT / "test" / "demo.py")]


def run(binary, interval=0.1):
    return subprocess.run([*DEMO, str(binary), "--interval", str(interval)], text=True,
                          env={**os.environ, "COLUMNS": "100"}, stdin=subprocess.DEVNULL,
                          capture_output=True, timeout=60)


@pytest.fixture(scope="module")
def told():
    done = run(BINARY)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def in_order(text, *patterns):
    """Each pattern occurs, behind the one before."""
    at = 0
    for pattern in patterns:
        found = re.compile(pattern, re.M).search(text, at)
        assert found, f"{pattern!r} is not where it should be:\n{text}"
        at = found.end()


def test_act_1_streams_idles_and_is_torn_down(told):
    in_order(told.partition("== Act 2")[0],
             "== Act 1", "cluster .*streams and uses 900m", "request  LIST jobs",
             "request  WATCH jobs", "log .*msg=active", "cluster .*CPU goes from 900m to 2m",
             *(f"request  LIST pod metrics .*cpu 2m\n.*log .*check={n}/5" for n in range(1, 6)),
             "log .*msg=teardown trigger=idle", "request  DELETE jobs grpc-.* uid=[0-9a-f]{8} ",
             "cluster  Job grpc-.* is gone", "log .*outcome=deleted", "request  DELETE services",
             "request  DELETE jobs cleanup-", 'log .*msg="torn down"', "^  ok .*status is 0",
             '^  ok .*"trigger":"idle"', "^  ok .*are gone", "^  ok .*exactly as they were")


def test_act_2_completes_and_is_torn_down(told):
    in_order(told.partition("== Act 2")[2],
             "log .*msg=active", "cluster .*is Complete", "log .*to=completed",
             "request  DELETE jobs grpc-", "cluster  Job grpc-.* is gone", 'msg="torn down"',
             "^  ok .*status is 0", '^  ok .*"trigger":"completed"', "^  ok .*are gone",
             "^  ok .*exactly as they were", "make test")


def test_fits_a_page_without_colours_in_a_pipe(told):
    assert "\033" not in told
    assert max(map(len, told.splitlines())) <= 100


def test_a_program_that_ends_at_once_fails():
    done = run("/bin/false")
    assert done.returncode == 1
    assert "demo: FAILED: the program ended while the job was streaming: exit status 1" in \
        done.stderr


def test_a_program_that_leaves_things_behind_fails(tmp_path):
    lazy = tmp_path / "lazy"
    lazy.write_text(f'#!/bin/sh\nexec "{BINARY}" --dry-run\n')
    lazy.chmod(0o755)
    done = run(lazy, interval=0.05)
    assert done.returncode == 1
    in_order(done.stdout, "^  ok .*status is 0", "^  FAIL .*termination log",
             "^  FAIL  still there: .*Job grpc-job-12-70788", "^  ok .*exactly as they were")
    assert "demo: FAILED" in done.stderr


def test_a_missing_program_is_named():
    done = run("build/no-such-program")
    assert (done.returncode, done.stdout) == (2, "")
    assert "build/no-such-program" in done.stderr and "make" in done.stderr


def test_an_interrupted_demo_takes_the_program_along(tmp_path):
    marked = tmp_path / "marked"
    marked.write_text(f'#!/bin/sh\necho "pid=$$"\nexec "{BINARY}"\n')
    marked.chmod(0o755)
    with subprocess.Popen([*DEMO, str(marked), "--interval", "0.1"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.PIPE) as demo:
        pid = next(int(m[1]) for m in (re.search(r"pid=(\d+)", l) for l in demo.stdout) if m)
        demo.send_signal(signal.SIGINT)
        _, errors = demo.communicate(timeout=10)
    assert (demo.returncode, errors) == (130, "\ndemo: interrupted\n")
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)

"""The Makefile on a newcomer's machine: what it does about packages that are missing.

`id` and `sudo` are stand-ins, so that nothing is installed and it does not matter who runs this.
"""
import os
import subprocess

import pytest

from cleaner import ROOT

MISSING = "no-such-package-of-cleanup-grpc"


@pytest.fixture
def machine(tmp_path):
    """make(): runs a target there, as an ordinary user without a terminal."""
    calls = tmp_path / "calls"
    calls.touch()
    tools = tmp_path / "tools"
    tools.mkdir()

    def tool(name, script):
        (tools / name).write_text("#!/bin/sh\n" + script)
        (tools / name).chmod(0o755)

    def make(*args, sudo):
        tool("id", "echo 1000")
        tool("sudo", f'echo "$*" >>"{calls}"; {sudo}')
        env = {k: v for k, v in os.environ.items() if not k.startswith(("MAKE", "MFLAGS"))}
        done = subprocess.run(["make", *args], cwd=ROOT, stdin=subprocess.DEVNULL, text=True,
                              env={**env, "PATH": f"{tools}:{env['PATH']}", "LC_ALL": "C"},
                              capture_output=True, timeout=60, start_new_session=True)
        return done, calls.read_text().splitlines()
    return make


def test_nothing_is_asked_of_root_when_all_is_there(machine):
    done, calls = machine("deps-demo", "DEMO_DEPS=base-files dpkg", sudo="exit 1")
    assert (done.returncode, done.stdout, calls) == (
        0, "deps-demo: all packages are there\n", []), done.stderr


@pytest.mark.parametrize("target, name", [("deps-demo", "DEMO_DEPS"), ("deps", "TEST_DEPS")])
def test_who_may_not_install_is_told_what_is_missing(machine, target, name):
    done, calls = machine(target, f"{name}=dpkg {MISSING} {MISSING}-2", sudo="exit 1")
    assert done.returncode != 0 and done.stdout == ""
    first, second, *rest = done.stderr.splitlines()
    assert first.startswith(f"{target}: packages are missing") and "root" in first
    assert second == f"    apt-get install --no-install-recommends {MISSING} {MISSING}-2"
    assert len(rest) == 1 and rest[0].startswith("make: ***")
    assert calls == ["-n true"]     # and is asked for no password, where there is no terminal


def test_who_may_install_gets_it(machine):
    done, calls = machine("deps-demo", f"DEMO_DEPS=dpkg {MISSING}", sudo="exit 0")
    assert (done.returncode, done.stdout) == (0, f"deps-demo: installing {MISSING}\n"), done.stderr
    assert calls[0] == "-n true" and calls[1].endswith("update")
    assert calls[2].startswith("env DEBIAN_FRONTEND=noninteractive apt-get ")
    assert calls[2].endswith(f"install -y --no-install-recommends {MISSING}")


def test_an_installation_that_fails_is_a_failure(machine):
    done, _ = machine("deps-demo", f"DEMO_DEPS={MISSING}",
                      sudo='case "$*" in *install*|*update*) exit 100 ;; esac')
    assert done.returncode != 0
    assert "going on with the package lists that are there" in done.stdout

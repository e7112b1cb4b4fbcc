"""A template of 1.1 whose `command` was left in place: sections 1 and 2 of the contract.

The binary stands under the names of a shell, as in the image; image-test.sh does the same there.
"""
import os
import subprocess

import pytest

from cleaner import BINARY
from conftest import JOB_ID, SELF, namespace
from old_script import NO_SHELL, SCRIPT, WARNING

PROBE = "test -f /tmp/ready"


def pid_1():
    """The prefix of what is to be a container's own process."""
    return namespace("--pid", "--fork", "--kill-child", "--mount-proc")


@pytest.fixture
def names(tmp_path):
    """A directory with the binary's other names: links, as in the image."""
    directory = tmp_path / "bin"
    directory.mkdir()
    for name in ("sh", "bash", "env"):
        (directory / name).symlink_to(BINARY)
    return directory


def one_warning(cleaner):
    """That the script was not run, and nothing of the script: there is a password in it."""
    warning, = cleaner.log(level="warn")
    assert warning["msg"] == WARNING and "command" in warning["fix"]
    assert "geheim" not in cleaner.text() and "kubectl" not in cleaner.text()


FORMS = {"sh -c": ("sh", "-c", SCRIPT), "bash -c": ("bash", "-c", SCRIPT),
         "bash -euo pipefail -c": ("bash", "-euo", "pipefail", "-c", SCRIPT),
         "env bash -c": ("env", "bash", "-c", SCRIPT), "env sh FILE": ("env", "sh", "cleanup.sh"),
         "sh FILE": ("sh", "/app/cleanup.sh")}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_as_the_containers_command_it_does_its_job(world, names, form):
    world.pair(cpu="2m")
    cleaner = world.run(*form[1:], program=names / form[0], prefix=pid_1(), PATH=os.defpath)
    assert cleaner.wait() == 0
    one_warning(cleaner)
    world.wait_gone()


def test_what_ends_it_is_seen_as_ever(world, names):
    world.pair(cpu="900m")
    cleaner = world.run("-c", SCRIPT, program=names / "sh", prefix=pid_1(), PATH=os.defpath)
    world.kube.wait_request(verb="watch", resource="jobs")
    world.kube.complete_job(f"grpc-job-{JOB_ID}")
    assert cleaner.wait() == 0
    world.wait_gone()


@pytest.mark.parametrize("file", [False, True], ids=["in the command", "in a file"])
def test_with_a_shared_pid_namespace_the_script_tells(world, names, tmp_path, file):
    """shareProcessNamespace: pid 1 is the sandbox's. The script names kubectl."""
    (tmp_path / "cleanup.sh").write_text(SCRIPT)
    world.pair(cpu="2m")
    cleaner = world.run(*([tmp_path / "cleanup.sh"] if file else ["-c", SCRIPT]),
                        program=names / "sh")
    assert cleaner.wait() == 0
    one_warning(cleaner)
    world.wait_gone()


ARGS = {"-c": ("-c", SCRIPT), "-ec": ("-ec", SCRIPT), "a path": ("/app/cleanup.sh",),
        "a shell's path": ("/bin/sh", "-c", SCRIPT), "a shell": ("sh", "-c", SCRIPT)}


@pytest.mark.parametrize("args", ARGS.values(), ids=ARGS)
def test_args_without_a_command(world, args):
    world.pair(cpu="2m")
    cleaner = world.run(*args)
    assert cleaner.wait() == 0
    one_warning(cleaner)
    world.wait_gone()


@pytest.mark.parametrize("program,args", [
    ("sh", ()), ("bash", ("-l",)), ("sh", ("-c", PROBE)), ("bash", ("-c", "exit 0")),
    ("sh", ("/app/ready.sh",)), ("env", ()), ("env", ("sh", "-c", PROBE)), ("sh", ("--version",))],
    ids=str)
def test_whoever_looks_for_a_shell_gets_none_and_no_second_cleaner(world, names, program, args):
    """kubectl exec, a probe, a preStop hook: not pid 1, and no kubectl."""
    world.pair(cpu="2m")
    done = subprocess.run([names / program, *args], capture_output=True, text=True, timeout=10,
                          env={k: str(v) for k, v in world.env().items()})
    assert (done.returncode, done.stdout, done.stderr) == (127, "", NO_SHELL)
    assert world.kube.requests == []


def test_as_a_login_shell_there_is_none_either(world):
    done = subprocess.run(["-sh"], executable=BINARY, capture_output=True, text=True, timeout=10,
                          env={k: str(v) for k, v in world.env().items()})
    assert (done.returncode, done.stderr) == (127, NO_SHELL)


def test_the_warning_comes_in_text_too_and_beside_what_is_wrong(world, names):
    cleaner = world.run("-c", SCRIPT, program=names / "sh", text=True, JOB_ID="$JOB_ID")
    assert cleaner.wait() == 2
    assert {f'msg="{WARNING}"' in line for line in cleaner.text().splitlines()} == {False, True}
    assert cleaner.text().count(WARNING) == 1 and "JOB_ID='$JOB_ID'" in cleaner.text()


def test_options_of_its_own_name_mean_what_they_meant(world):
    """As pid 1 as well: a Job with args: ["--check"]."""
    world.pair(cpu="2m")
    for args in (("--check",), ("--dry-run",), ("--help",), ("--version",)):
        cleaner = world.run(*args, prefix=pid_1(), PATH=os.defpath)
        assert cleaner.wait() == 0
        assert WARNING not in cleaner.text()
    assert [change for change in world.changes() if change[0] != "create"] == []
    assert SELF in world.left()

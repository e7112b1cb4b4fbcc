"""The command line, the environment, the exit statuses: what one sees before any cluster."""
import os
import pathlib
import subprocess

import pytest

from cleaner import BINARY, ROOT
from conftest import JOB, JOB_ID, namespace


def run(*args, **env):
    return subprocess.run([BINARY, *args], env=env, capture_output=True, text=True, timeout=10)


def test_version():
    done = run("--version")
    assert (done.returncode, done.stdout) == (0, "cleanup-grpc 2.0.0\n")


def test_verbose_says_what_it_runs_with():
    """Of this build; where a static one's libraries are from, image-test.sh and static-test look at."""
    first, libraries, *parts = run("--version", "--verbose").stdout.splitlines()
    assert (first, parts) == ("cleanup-grpc 2.0.0", ["shared libraries, of this machine's packages"])
    installed = {name: subprocess.run(["pkg-config", "--modversion", name], capture_output=True, text=True,
                                      check=True).stdout.strip() for name in ("libcurl", "openssl", "jansson")}
    assert libraries.startswith(f"with libcurl/{installed['libcurl']} OpenSSL/{installed['openssl']} ")
    glibc = os.confstr("CS_GNU_LIBC_VERSION").replace(" ", "/")
    assert libraries.endswith(f" jansson/{installed['jansson']} {glibc}")
    assert run("--verbose", "--version").stdout == run("--version", "--verbose").stdout


def test_help_names_every_variable_and_exits_0():
    done = run("--help")
    assert done.returncode == 0
    for name in ("CPU_USAGE_THRESHOLD (4)", "MAX_CPU_USAGE_COUNT (5)", "KUBE_API_URL",
                 "TERMINATION_LOG (/dev/termination-log)"):
        assert name in done.stdout


@pytest.mark.parametrize("args", [("--nonsense",), ("job",), ("--dry-run", "now"), ("--verbose",),
                                  ("--check", "--verbose"), ("--version", "job")])
def test_a_bad_command_line_is_2_and_says_where_help_is(args):
    done = run(*args)
    assert done.returncode == 2
    assert "--help" in done.stderr


def test_the_readme_has_the_table_of_the_binary():
    readme = (ROOT / "README.md").read_text()
    assert run("--help=markdown").stdout in readme, "run `make readme`"


def test_every_bad_value_is_named_in_one_run_and_no_request_is_made(world):
    world.pair()
    bad = {"CPU_USAGE_THRESHOLD": "four", "MAX_CPU_USAGE_COUNT": "0", "TARGET_JOB": "../x",
           "CHECK_INTERVAL_SECONDS": "0.01", "DRY_RUN": "perhaps"}
    cleaner = world.run(**bad)
    assert cleaner.wait() == 2
    for name, value in bad.items():
        assert f"{name}='{value}': " in cleaner.text()
    assert cleaner.text().count("bad configuration") == len(bad)
    assert world.kube.requests == []


def test_the_environment_of_1_1_is_enough(world):
    """Nothing but 1.1's three variables, Kubernetes' own, a service account and the host name."""
    world.pair(cpu="2m")
    host = f"cleanup-job-{JOB_ID}-x7k2p"
    cleaner = world.run(prefix=namespace("--uts", "sh", "-c", f'hostname {host}; exec "$0" "$@"'),
                        JOB_ID=None, CPU_USAGE_THRESHOLD="4", MAX_CPU_USAGE_COUNT="5",
                        ENABLE_CPU_USAGE_CHECK="true", PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    assert cleaner.wait() == 0
    world.wait_gone()
    assert {r.namespace for r in world.kube.requests} == {world.kube.namespace}


def test_a_host_name_of_another_form_is_refused(world):
    cleaner = world.run(prefix=namespace("--uts", "sh", "-c", 'hostname builder; exec "$0" "$@"'),
                        JOB_ID=None, PATH="/usr/sbin:/usr/bin:/sbin:/bin")
    assert cleaner.wait() == 2
    assert "JOB_ID=''" in cleaner.text()


def test_names_and_effective_settings_are_logged_at_the_start(world):
    world.pair()
    cleaner = world.watched(CPU_USAGE_THRESHOLD="0.5")
    line = cleaner.wait_log(msg="settings")
    assert line["threshold"] == "0.5m" and line["max_idle_count"] == 5
    assert cleaner.log(msg="cleanup-grpc 2.0.0")[0]["job"] == JOB


def test_text_lines_are_key_value_with_utc_times(world):
    world.pair()
    cleaner = world.run(text=True, LOG_LEVEL="info")
    assert cleaner.wait() == 0
    lines = cleaner.text().splitlines()
    assert lines and all(line.startswith("ts=20") and "Z level=" in line for line in lines)
    assert "check=3/5 cpu=2m threshold=4m" in cleaner.text()


def test_a_termination_log_that_cannot_be_written_changes_nothing(world):
    world.pair()
    assert world.run(TERMINATION_LOG=world.directory / "no" / "file").wait() == 0
    assert not pathlib.Path(world.directory / "no").exists()


def test_dry_run_logs_what_it_would_delete_and_changes_nothing(world):
    world.pair()
    cleaner = world.run("--dry-run")
    assert cleaner.wait() == 0
    would = cleaner.log(msg="dry run: would delete")
    assert [k for line in would for k in ("job", "service", "self") if k in line] == [
        "job", "service", "self"]
    assert world.changes() == []
    assert world.left() >= {JOB, "pod"}


def test_dry_run_by_variable(world):
    world.pair()
    assert world.run(DRY_RUN="yes").wait() == 0
    assert world.changes() == []

"""seccomp.json: the static binary does its work under it, and what it does not need is refused.

The profile is for Kubernetes (type: Localhost); here a few lines of libseccomp load it as runc
does, so it needs Debian's python3-seccomp, and `make static` first. Where it comes from:
seccomp_trace.py. As a program, `test_seccomp.py PROFILE COMMAND...` runs a command under it.
"""
import errno
import importlib.util
import json
import os
import pathlib
import signal
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
PROFILE = ROOT / "seccomp.json"
STATIC = pathlib.Path(os.environ.get("CLEANUP_STATIC", ROOT / "build/static/cleanup-grpc"))
LOADER = ("/usr/bin/python3", __file__, str(PROFILE))


def load(profile):
    """From here on this process is under the profile."""
    import seccomp      # pylint: disable=import-outside-toplevel

    def action(rule, name, number):
        return seccomp.ERRNO(rule.get(number, errno.EPERM)) if rule[name] == "SCMP_ACT_ERRNO" else {
            "SCMP_ACT_ALLOW": seccomp.ALLOW}[rule[name]]
    operators = {"SCMP_CMP_EQ": seccomp.EQ, "SCMP_CMP_MASKED_EQ": seccomp.MASKED_EQ}
    sieve = seccomp.SyscallFilter(action(profile, "defaultAction", "defaultErrnoRet"))
    for rule in profile["syscalls"]:
        args = [seccomp.Arg(a["index"], operators[a["op"]], a["value"], a.get("valueTwo", 0))
                for a in rule.get("args", ())]
        for name in rule["names"]:
            if seccomp.resolve_syscall(seccomp.Arch(), name) >= 0:     # of this architecture
                sieve.add_rule(action(rule, "action", "errnoRet"), name, *args)
    sieve.load()


# What a program tries under the profile: an expression, and whether it may.
TRIES = {
    "socket.socket(socket.AF_INET, socket.SOCK_STREAM)": True,
    "socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)": True,
    "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)": False,
    "socket.socket(socket.AF_UNIX)": False,
    "socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)": False,
    "socket.socket().bind(('127.0.0.1', 0))": False,
    "socket.socket().listen()": False,
    "os.fork()": False,
    "os.open('/etc/passwd', os.O_RDONLY)": True,
    "os.open('new', os.O_WRONLY | os.O_CREAT)": False,
    "os.open('.', os.O_WRONLY | os.O_TMPFILE)": False,
    "os.unlink('old')": False,
    "os.mkdir('new')": False,
    "os.chmod('old', 0o777)": False,
    "os.setuid(1)": False,
    "os.kill(1, 0)": False,
    "os.uname()": True,
    "os.chroot('.')": False,
    "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE)": True,
    "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)": False,
    "call(libc.ptrace, 0, 0, 0, 0)": False,
    "call(libc.unshare, 0x10000000)": False,
    "call(libc.prctl, 38, 1, 0, 0, 0)": False,      # PR_SET_NO_NEW_PRIVS
    "call(libc.prctl, 4, 0, 0, 0, 0)": True,        # PR_SET_DUMPABLE
}

def try_out(profile, expressions):
    """Loads the profile and says of each expression: "done", or the name of its error."""
    import ctypes   # pylint: disable=import-outside-toplevel
    import mmap     # pylint: disable=import-outside-toplevel
    import socket   # pylint: disable=import-outside-toplevel
    libc = ctypes.CDLL(None, use_errno=True)

    def call(function, *args):
        if function(*args) < 0:
            raise OSError(ctypes.get_errno(), function.__name__)

    def attempt(expression):
        try:
            eval(expression, {"os": os, "mmap": mmap, "socket": socket,     # pylint: disable=W0123
                              "libc": libc, "call": call})
            return "done"
        except OSError as e:
            return errno.errorcode[e.errno]
    load(profile)
    return {expression: attempt(expression) for expression in expressions}


if __name__ == "__main__":
    wanted = json.loads(pathlib.Path(sys.argv[1]).read_text())
    if sys.argv[2] == "--try":
        print(json.dumps(try_out(wanted, sys.argv[3:])))
        sys.exit()
    load(wanted)
    os.execve(sys.argv[2], sys.argv[2:], os.environ)

import pytest                                           # noqa: E402 pylint: disable=C0413
import cleaner as cleaner_module                        # noqa: E402 pylint: disable=C0413
from conftest import JOB, SERVICE                       # noqa: E402 pylint: disable=C0413
from fakekube import faults                             # noqa: E402 pylint: disable=C0413


@pytest.fixture(scope="module", autouse=True)
def needed():
    say = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    if not importlib.util.find_spec("seccomp"):
        say("apt-get install python3-seccomp")


@pytest.fixture
def confined(world, monkeypatch):
    """The world, whose programs are the static one under the profile."""
    if not os.access(STATIC, os.X_OK):
        pytest.skip(f"{STATIC} is missing: run `make static`")
    monkeypatch.setattr(cleaner_module, "BINARY", str(STATIC))
    plain = world.run
    world.run = lambda *args, **options: plain(*args, **{"prefix": LOADER, **options})
    return world


def test_what_is_not_needed_is_refused(tmp_path):
    """The filter itself, tried out by a program that is curious."""
    (tmp_path / "old").touch()
    done = subprocess.run([*LOADER, "--try", *TRIES], cwd=tmp_path, capture_output=True, text=True,
                          timeout=30, check=True)
    got = json.loads(done.stdout)
    assert {e: got[e] == "EPERM" for e in TRIES} == {e: not may for e, may in TRIES.items()}
    free = subprocess.run(["/usr/bin/python3", "-c", "import os; os.fork()"], timeout=30,
                          check=False)
    assert free.returncode == 0     # it is the profile that refused it


def test_no_program_that_needs_a_library_even_starts():
    """execve is allowed, since it comes last in runc; but no file can be mapped as code."""
    done = subprocess.run([*LOADER, "/bin/true"], capture_output=True, text=True, timeout=30,
                          check=False)
    assert done.returncode == 127 and "Operation not permitted" in done.stderr


def test_an_idle_teardown(confined):
    confined.pair()
    cleaner = confined.run(ADOPT_SERVICE="true")
    confined.kube.wait_request(verb="watch", resource="jobs")
    assert cleaner.wait() == 0
    confined.wait_gone()
    assert confined.summary()["trigger"] == "idle"      # so the termination log can be written


def test_the_filter_is_on(confined):
    confined.pair(cpu="900m")
    cleaner = confined.watched()
    status = pathlib.Path(f"/proc/{cleaner.process.pid}/status").read_text()
    assert "\nSeccomp:\t2\n" in status and "\nNoNewPrivs:\t1\n" in status


def test_a_completed_job_after_failures_and_watch_restarts(confined):
    confined.pair(cpu="900m")
    cleaner = confined.watched(ADOPT_SERVICE="false")
    confined.kube.reset_watches()
    confined.kube.wait_request(verb="watch", resource="jobs", count=2)
    confined.kube.reset_connections()
    confined.kube.fault(faults.unavailable(), verb="delete", resource="jobs", name=JOB)
    confined.kube.fault(faults.lose_answer(), verb="delete", resource="services", name=SERVICE)
    confined.kube.wait_request(verb="watch", resource="jobs", count=3)
    confined.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    confined.wait_gone()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal(confined, number):
    confined.pair(cpu="900m")
    cleaner = confined.watched()
    cleaner.signal(signal.SIGSTOP)      # poll is interrupted: restart_syscall
    stat = pathlib.Path(f"/proc/{cleaner.process.pid}/stat")
    confined.kube.wait_for(lambda: ") T " in stat.read_text(), what="a stopped program")
    cleaner.signal(signal.SIGCONT)
    seen = len(confined.checks())
    confined.kube.wait_request(verb="list", group="metrics.k8s.io", count=seen + 2)
    cleaner.signal(number)
    assert cleaner.wait(5) == 143


def test_check(confined):
    confined.pair()
    cleaner = confined.run("--check")
    assert cleaner.wait() == 0, cleaner.stdout
    assert b"may delete jobs" in cleaner.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has network namespaces")
@pytest.mark.parametrize("without", [None, "sendmmsg", "ioctl", "clone"])
def test_names(without, tmp_path):
    """A name, found by a thread under the profile; not without a call that it needs."""
    if not os.access(STATIC, os.X_OK):
        pytest.skip(f"{STATIC} is missing: run `make static`")
    profile = json.loads(PROFILE.read_text())
    profile["syscalls"] = [r for r in profile["syscalls"] if without not in r["names"]]
    (tmp_path / "profile.json").write_text(json.dumps(profile))
    done = subprocess.run([LOADER[0], ROOT / "test/dns_test.py", STATIC, tmp_path / "profile.json",
                           "servfail-step"],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == (1 if without else 0), done.stdout + done.stderr


def test_bad_configuration(confined):
    assert confined.run(CHECK_INTERVAL_SECONDS="x").wait() == 2


def test_without_one_call_that_it_needs_it_fails(confined, tmp_path):
    """The tests above can fail: the same, but connect is not allowed."""
    profile = json.loads(PROFILE.read_text())
    profile["syscalls"][0]["names"].remove("connect")
    (tmp_path / "tighter.json").write_text(json.dumps(profile))
    confined.pair()
    cleaner = confined.run(prefix=(*LOADER[:2], str(tmp_path / "tighter.json")))
    assert "connect" in cleaner.wait_log(msg="API server trouble")["error"].lower()
    assert confined.kube.requests == []

"""seccomp_trace.py BINARY [PROFILE]: the system calls of the static binary, in every kind of run.

Each scenario runs under strace, in a network namespace of its own with a DNS server that knows the
API server's name. Prints the calls with how often, and the arguments of those that PROFILE narrows
down. With a PROFILE (../seccomp.json) it also says what is traced and not allowed (exit status 1),
and what is allowed and was not traced, with the profile's reason.
"""
import collections
import ctypes
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

ARGUMENTS = {"socket", "socketpair", "openat", "prctl", "ioctl", "mprotect", "fcntl", "madvise",
             "clone", "clone3", "execve", "tgkill", "kill", "setsockopt"}
NAME = "kubernetes.default.svc"
# Where the profile refuses the socket, the C library does without: it only wants to know which of an
# interface's IPv6 addresses are about to go, to sort a name's addresses (`make dns-test` has such).
NETLINK = {"bind", "recvmsg"}
MS_REC_PRIVATE, MS_BIND = 0x44000, 0x1000

if __name__ == "__main__" and len(sys.argv) > 1:
    os.environ["CLEANUP_BIN"] = str(pathlib.Path(sys.argv[1]).resolve())

from cleaner import BINARY                              # noqa: E402 pylint: disable=C0413
from conftest import JOB, World                         # noqa: E402 pylint: disable=C0413
from fakekube import FakeKube, faults                   # noqa: E402 pylint: disable=C0413
from image_scenario import question, raise_loopback     # noqa: E402 pylint: disable=C0413
from test_torture import Broker                         # noqa: E402 pylint: disable=C0413


class Traced(World):
    """Each program in this world writes its calls to a file."""

    traces = pathlib.Path("/nonexistent")

    def run(self, *args, **options):
        out = self.traces / f"{len(list(self.traces.iterdir()))}"
        cleaner = super().run(*args, **{"text": True, **options, "prefix": (
            shutil.which("strace"), "-D", "-f", "-o", out)})
        cleaner.trace = out
        return cleaner

    def end(self, cleaner, *statuses):
        status = cleaner.wait(60)
        assert status in statuses, f"{status}; the log is:\n{cleaner.text()}"
        deadline = time.monotonic() + 20
        while "+++ " not in cleaner.trace.read_text():      # strace is a process of its own
            assert time.monotonic() < deadline, f"strace wrote no end to {cleaner.trace}"
            time.sleep(0.01)


# ---- The scenarios ----

def idle(world):
    world.pair()
    world.end(world.run(), 0)


def completed_with_queues(world):
    broker = Broker()
    world.pair()
    world.kube.complete_job(JOB)
    world.end(world.run(ADOPT_SERVICE="false", **broker.env()), 0)
    broker.close()


def watch_restarts_and_a_new_token(world):
    kube = world.pair(cpu="900m").kube
    cleaner = world.watched()
    for act in (kube.reset_watches, kube.end_watches, kube.reset_connections):
        watches = len(world.requests(verb="watch"))
        act()
        kube.rotate_token()
        kube.wait_request(verb="watch", resource="jobs", count=watches + 1)
    kube.refuse_connections(reset_open=True)
    kube.allow_connections()
    kube.complete_job(JOB)
    world.end(cleaner, 0)


def signals(world):
    world.pair(cpu="900m")
    for number in (signal.SIGTERM, signal.SIGINT):
        cleaner = world.watched()
        cleaner.signal(signal.SIGSTOP)      # poll is interrupted, and taken up: restart_syscall
        world.kube.wait_for(lambda: "stopped by SIGSTOP" in world.cleaners[-1].trace.read_text(),
                            what="a stopped program")
        cleaner.signal(signal.SIGCONT)
        world.kube.wait_request(verb="list", group="metrics.k8s.io", resource="pods",
                                count=len(world.checks()) + 1)
        cleaner.signal(number)
        world.end(cleaner, 143)
        world.kube.clear_requests()


def a_signal_in_a_teardown(world):
    world.pair(finalizers=["example.com/keep"])
    world.kube.complete_job(JOB)
    cleaner = world.run()
    world.kube.wait_request(verb="delete", resource="jobs", name=JOB)
    cleaner.signal()
    cleaner.signal()
    world.end(cleaner, 1)


def a_name(world):
    world.pair()
    world.end(world.run(KUBERNETES_SERVICE_HOST=NAME), 0)
    assert NAME + ".cluster.local" in world.asked


def a_name_that_does_not_exist(world):
    cleaner = world.run(KUBERNETES_SERVICE_HOST="no.such.name")
    deadline = time.monotonic() + 20
    while "trouble" not in cleaner.text():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    cleaner.signal()
    world.end(cleaner, 143)


def errors(world):
    """5xx, huge and broken answers; a server that is silent; a bad certificate; no token."""
    kube = world.pair().kube
    kube.fault(faults.huge_body(3 << 20), verb="list", resource="jobs")
    kube.fault(faults.unavailable(), verb="get", resource="services", times=2)
    kube.fault(faults.reset_before_answer(), verb="list", group="metrics.k8s.io")
    kube.complete_job(JOB)
    kube.fault(faults.throttled(1), verb="delete", resource="jobs", name=JOB)
    kube.fault(faults.lose_answer(), verb="delete", resource="jobs", name=JOB, nth=2)
    world.end(world.run(), 0)
    kube.connection_fault("blackhole")
    kube.connection_fault("garbage")
    world.end(world.run(MISSING_JOB_TIMEOUT_SECONDS="0.2"), 0, 1)
    kube.use_certificate(kube.pki.expired)
    kube.write_service_account(token=None)
    for changes in ({}, {"CHECK_INTERVAL_SECONDS": "x"}):
        cleaner = world.run(**changes)
        if not changes:
            deadline = time.monotonic() + 20
            while "trouble" not in cleaner.text():
                assert time.monotonic() < deadline
                time.sleep(0.05)
            cleaner.signal()
        world.end(cleaner, 143, 2)


def many_pods(world):
    """Answers large enough for malloc to map, move and give back memory."""
    world.pair(parallelism=60, cpu="0")
    world.end(world.run(), 0, 1)


def check(world):
    broker = Broker()
    world.pair()
    world.end(world.run("--check", **broker.env()), 0)
    world.end(world.run("--check", LOG_FORMAT="json", **broker.env()), 0)
    broker.close()


def command_line(world):
    for args in (("--version",), ("--help",), ("--dry-run",), ("--nonsense",)):
        world.pair() if args == ("--dry-run",) else None
        world.end(world.run(*args), 0, 2)


def check_on_a_terminal(world):
    world.pair()
    out = world.traces / "terminal"
    ours, theirs = pty.openpty()
    env = {k: str(v) for k, v in world.env().items()}
    with subprocess.Popen(["/usr/bin/strace", "-f", "-o", out, BINARY, "--check"], env=env,
                          stdin=theirs, stdout=theirs, stderr=theirs) as process:
        os.close(theirs)
        try:
            while os.read(ours, 4096):
                pass
        except OSError:     # the terminal's other side is closed
            pass
        assert process.wait(20) == 0


SCENARIOS = [idle, completed_with_queues, watch_restarts_and_a_new_token, signals,
             a_signal_in_a_teardown, a_name, a_name_that_does_not_exist, errors, many_pods, check,
             command_line, check_on_a_terminal]


# ---- The stage: name spaces, DNS ----

def serve_dns(asked):
    """NAME.cluster.local has two addresses, so that they are sorted, and is told by TCP only."""
    import socket       # pylint: disable=import-outside-toplevel
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", 53))
    tcp = socket.create_server(("127.0.0.1", 53))

    def answer(query, truncated):
        name, kind, end = question(query)
        asked.append(name)
        known = name == NAME + ".cluster.local"
        records = [struct.pack("!HHHIH4B", 0xC00C, 1, 1, 5, 4, 127, 0, 0, n) for n in (1, 2)]
        records = records if known and kind == 1 and not truncated else []
        flags = 0x8580 | (0 if known else 3) | (0x200 if known and truncated else 0)
        return (query[:2] + struct.pack("!HHHHH", flags, 1, len(records), 0, 0)
                + query[12:end] + b"".join(records))

    def serve_udp():
        while True:
            query, peer = udp.recvfrom(2048)
            udp.sendto(answer(query, True), peer)

    def serve_tcp():
        while True:
            peer, _ = tcp.accept()
            with peer, peer.makefile("rb") as stream:
                while head := stream.read(2):
                    reply = answer(stream.read(*struct.unpack("!H", head)), False)
                    peer.sendall(struct.pack("!H", len(reply)) + reply)
    for serve in (serve_udp, serve_tcp):
        threading.Thread(target=serve, daemon=True).start()


def isolate(directory):
    """In name spaces of our own: loopback, and a resolv.conf that names our DNS server."""
    raise_loopback()
    conf = directory / "resolv.conf"
    conf.write_text("search panda.svc.cluster.local svc.cluster.local cluster.local\n"
                    "nameserver 127.0.0.1\noptions ndots:5\n")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(None, b"/", None, MS_REC_PRIVATE, None) or libc.mount(
            bytes(conf), b"/etc/resolv.conf", None, MS_BIND, None):
        raise OSError(ctypes.get_errno(), "mount resolv.conf")


def trace_all(directory):
    """{call: {arguments: how often}}"""
    asked, calls = [], collections.defaultdict(collections.Counter)
    serve_dns(asked)
    Traced.traces = directory / "traces"
    Traced.traces.mkdir()
    Traced.asked = asked
    for scenario in SCENARIOS:
        print(f"{scenario.__name__}...", file=sys.stderr, flush=True)
        hosts = ["127.0.0.1", "::1"] if scenario is idle else ["127.0.0.1"]
        for host in hosts:
            place = pathlib.Path(tempfile.mkdtemp(dir=directory))
            with FakeKube(dir=place / "kube", host=host) as kube:
                world = Traced(kube, place)
                scenario(world)
                world.close()
    for file in Traced.traces.iterdir():
        lines = file.read_text(errors="replace").splitlines()
        at = next(i for i, line in enumerate(lines) if " execve(" in line)
        for line in lines[at + 1:]:     # the first one is strace's own
            found = re.match(r"\d+ +(\w+)\((.*)", line)
            if found:
                calls[found[1]][found[2]] += 1
    return calls


# ---- What the profile says ----

def compare(calls, profile):
    allowed = {name: rule for rule in profile["syscalls"] for name in rule["names"]}
    missing = sorted(set(calls) - set(allowed) - NETLINK)
    print("\nallowed, and not traced:")
    reasons = collections.defaultdict(list)
    for name in sorted(set(allowed) - set(calls)):
        reasons[allowed[name].get("comment", "")].append(name)
    for reason, names in reasons.items():
        print(f"  {reason}: {' '.join(names)}")
    print("traced, and NOT ALLOWED: " + (" ".join(missing) or "none"))
    return not missing


def main(args):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="seccomp-trace-"))
    try:
        isolate(directory)
        calls = trace_all(directory)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    for name, ways in sorted(calls.items()):
        print(f"{sum(ways.values()):7} {name}")
        if name in ARGUMENTS:
            shapes = collections.Counter()
            for text, count in ways.items():
                shapes[re.sub(r'"[^"]*"|0x[0-9a-f]+|\b\d+\b', "_", text.split(" = ")[0])] += count
            for shape, count in shapes.most_common(12):
                print(f"{'':8}{count:5} {shape[:88]}")
    if len(args) < 2:
        return 0
    return 0 if compare(calls, json.loads(pathlib.Path(args[1]).read_text())) else 1


if __name__ == "__main__":
    if "--inside" not in sys.argv:
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable, *sys.argv, "--inside"])
    sys.exit(main([a for a in sys.argv[1:] if a != "--inside"]))

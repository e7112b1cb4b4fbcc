"""image_scenario.py ROOT SCENARIO: the image's program, as uid 65532 in ROOT, tears a job down over TLS.

Run by image-test.sh in a network namespace of its own (unshare --net), so that the DNS server can
have port 53. SCENARIO:

* address: of the API server, as in a cluster
* name: which a static binary must find with nothing but /etc/resolv.conf and its search domains,
  and without these if it ends in a dot
* command: as a container of 1.1's template, pid 1, with the old script left in place, and nothing
  but 1.1's environment and a bound token
"""
import fcntl
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import threading

from fakekube import FakeKube
from old_script import SCRIPT, WARNING

JOB_ID = "12-70788"
NAME = "kubernetes.default.svc"
RESOLV_CONF = """search panda.svc.cluster.local svc.cluster.local cluster.local
nameserver 127.0.0.1
options ndots:5
"""


def raise_loopback():
    siocgifflags, siocsifflags, iff_up = 0x8913, 0x8914, 1
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        flags, = struct.unpack_from("16xH", fcntl.ioctl(s, siocgifflags, struct.pack("16sH14x", b"lo", 0)))
        fcntl.ioctl(s, siocsifflags, struct.pack("16sH14x", b"lo", flags | iff_up))


def question(query):
    """(name, type, end of the question) of a DNS query."""
    labels, at = [], 12
    while query[at]:
        labels.append(query[at + 1:at + 1 + query[at]].decode())
        at += 1 + query[at]
    return ".".join(labels), struct.unpack_from("!H", query, at + 1)[0], at + 5


def serve_dns(asked):
    """A for NAME.cluster.local and NAME is 127.0.0.1, they have no AAAA, and no other name exists."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 53))

    def serve():
        while True:
            query, peer = server.recvfrom(2048)
            name, kind, end = question(query)
            asked.append(name)
            known = name in (NAME + ".cluster.local", NAME)
            answer = struct.pack("!HHHIH4B", 0xC00C, 1, 1, 5, 4, 127, 0, 0, 1) if known and kind == 1 else b""
            head = query[:2] + struct.pack("!HHHHH", 0x8580 | (0 if known else 3), 1, bool(answer), 0, 0)
            server.sendto(head + query[12:end] + answer, peer)
    threading.Thread(target=serve, daemon=True).start()


def process(program):
    """The program's own: unshare starts it as its child."""
    children = pathlib.Path(f"/proc/{program.pid}/task/{program.pid}/children").read_text().split()
    return pathlib.Path(f"/proc/{children[0] if children else program.pid}")


def tear_down(root, command=("/cleanup-grpc",), prefix=(), **env):
    """Returns the log of a run of this command, of which these variables are changed (None: unset)."""
    mount = root / "var/run/secrets/kubernetes.io"      # where the program looks without being told
    with FakeKube(dir=mount) as kube:
        kube.create_job(f"grpc-job-{JOB_ID}")
        kube.create_service(f"grpc-service-{JOB_ID}")
        kube.create_job(f"cleanup-job-{JOB_ID}", containers=("cleanup",))
        kube.bind_token(f"cleanup-job-{JOB_ID}-x7k2p")
        env = {**kube.env(), "JOB_ID": JOB_ID, "SERVICE_ACCOUNT_DIR": None, **env}
        program = subprocess.Popen(
            [*prefix, shutil.which("chroot"), "--userspec=65532:65532", root, *command],
            env={k: v for k, v in env.items() if v is not None}, stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE, text=True)
        try:
            kube.wait_request(verb="watch", resource="jobs")
            status = (process(program) / "status").read_text()
            assert "Uid:\t65532\t65532\t65532\t65532\n" in status, status
            assert "Threads:\t1\n" in status, status
            kube.complete_job(f"grpc-job-{JOB_ID}")
            _, log = program.communicate(timeout=30)
        except BaseException:
            program.kill()
            print(program.communicate()[1], file=sys.stderr)
            raise
        assert program.returncode == 0, f"exit status {program.returncode}; the log is:\n{log}"
        left = [o["metadata"]["name"] for o in kube.jobs() + kube.services()]
        assert left == [], f"{left} left; the log is:\n{log}"
    shutil.rmtree(root / "var")
    return log


def by_name(root):
    asked = []
    serve_dns(asked)
    (root / "etc").mkdir()
    (root / "etc/resolv.conf").write_text(RESOLV_CONF)
    tear_down(root, KUBERNETES_SERVICE_HOST=NAME)
    assert f"{NAME}.cluster.local" in asked, asked
    asked.clear()
    tear_down(root, KUBERNETES_SERVICE_HOST=NAME + ".")
    assert set(asked) == {NAME}, asked
    shutil.rmtree(root / "etc")


def by_an_old_command(root):
    """A runtime looks a name up in PATH inside the root, as chroot does here."""
    container = ("unshare", "--pid", "--fork", "--kill-child")
    environment = {"JOB_ID": None, "CPU_USAGE_THRESHOLD": "4", "MAX_CPU_USAGE_COUNT": "5",
                   "ENABLE_CPU_USAGE_CHECK": "true",
                   "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    for command in (("/bin/sh", "-c", SCRIPT), ("/bin/bash", "-c", SCRIPT), ("sh", "-c", SCRIPT),
                    ("/usr/bin/env", "bash", "-c", SCRIPT), ("sh", "/app/cleanup.sh"),
                    ("/cleanup-grpc", "-c", SCRIPT)):
        log = tear_down(root, command, container, **environment)
        assert log.count(WARNING) == log.count("level=warn") == 1, log
        assert "geheim" not in log, log


SCENARIOS = {"address": tear_down, "name": by_name, "command": by_an_old_command}


def main(root, scenario):
    raise_loopback()
    SCENARIOS[scenario](root)


if __name__ == "__main__":
    os.umask(0o022)
    main(pathlib.Path(sys.argv[1]).resolve(), sys.argv[2])

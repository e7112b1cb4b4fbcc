"""Neither the token nor the broker's password leaves the program but in the header it belongs to.

In a run of every kind, all that it writes (its log in each format at each level, stdout, the
termination log, the bodies and paths of its requests, Events included) is searched for each piece
of a secret of PIECE characters, plain and as base64 or percent-encoded. No core file is left.
"""
import base64
import contextlib
import functools
import http.server
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import tempfile
import threading
import urllib.parse

import pytest

from cleaner import BINARY
from conftest import JOB, SELF, SERVICE
from fakekube import faults

PIECE = 12
USER, PASSWORD = "cleaner", "Tr0ub4dor&3 'battery/staple'+horse"


def spellings(secret):
    """What it may look like; base64 at each offset, as it stands behind other text."""
    raw = secret.encode()
    shifted = [base64.b64encode(b"x" * n + raw).decode()[4 if n else 0:] for n in range(3)]
    return [secret, urllib.parse.quote(secret, safe=""), json.dumps(secret)[1:-1],
            base64.b64encode(f"{USER}:{secret}".encode()).decode(), *shifted]


def pieces(secrets):
    return {text[i:i + PIECE].encode() for secret in secrets for text in spellings(secret)
            for i in range(max(1, len(text) - PIECE + 1))}


def leaks(written, secrets):
    """The pieces that stand in these bytes, each of them once."""
    wanted = pieces(secrets)
    return {written[i:i + PIECE] for i in range(len(written) - PIECE + 1)
            if written[i:i + PIECE] in wanted}


def test_the_search_finds_what_it_should():
    token = "eyJhbGciOiJSUzI1NiIsImtpZCI6IkE.payload-payload.signature"
    for written in (f"error=\"{token[20:32]}\"", "x " + base64.b64encode(token.encode()).decode(),
                    urllib.parse.quote(PASSWORD, safe="")[5:22], PASSWORD[:PIECE],
                    base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()[8:30],
                    json.dumps("why: " + PASSWORD)):
        assert leaks(written.encode(), [token, PASSWORD]), written
    assert not leaks(f"msg=settings rabbitmq=http://broker user={USER} {token[:11]}".encode(),
                     [token, PASSWORD])


class Broker:
    """A broker that gives these answers, the last one for ever, and notes who asked."""

    def __init__(self, *answers):
        answers = list(answers)
        self.authorizations = []
        broker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):       # pylint: disable=invalid-name
                broker.authorizations.append(self.headers["Authorization"])
                status = answers.pop(0) if len(answers) > 1 else answers[0]
                body = json.dumps({"items": [], "page": 1, "page_count": 1} if status == 200 else
                                  {"error": "x", "reason": "no queues for you"}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):   # pylint: disable=arguments-differ
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def env(self, **changes):
        return {"RABBITMQ_URL": f"http://127.0.0.1:{self.server.server_port}",
                "RABBITMQ_USER": USER, "RABBITMQ_PASSWORD": PASSWORD, **changes}

    def __enter__(self):
        return self

    def __exit__(self, *exc):
        self.server.shutdown()
        self.server.server_close()


class Searched:
    """The world, and a search of all that its programs have written."""

    def __init__(self, world):
        self.world = world
        self.tokens = set()

    def note(self):
        """Tokens that are given up are secrets, too."""
        self.tokens |= set(self.world.kube.rbac.tokens)
        return self.world

    def check(self, *more):
        world = self.note()
        written = b"".join(b"".join(c.raw) + c.stdout for c in world.cleaners)
        written += world.termination_log.read_bytes() + b"".join(more)
        for r in world.kube.requests:       # and no header but the one
            headers = {k: v for k, v in r.headers.items() if k != "authorization"}
            written += b"\n".join([r.target.encode(), r.raw_body, repr(headers).encode()])
        written += json.dumps(world.kube.events()).encode()
        assert self.tokens and len(written) > 200
        assert leaks(written, [*self.tokens, PASSWORD]) == set()


@pytest.fixture
def searched(world):
    return Searched(world)


# ---- A run of every kind ----

@pytest.mark.parametrize("form", ["text", "json"])
def test_idle_and_completed(searched, form):
    world = searched.note()
    world.pair()
    assert world.run(text=form == "text").wait() == 0
    world.wait_gone()
    world.pair()
    world.kube.complete_job(JOB)
    assert world.run(text=form == "text", ADOPT_SERVICE="false").wait() == 0
    searched.check()


def test_watch_restarts_rotation_and_a_signal(searched):
    world = searched.note().pair(cpu="900m") and searched.world
    cleaner = world.watched()
    for act in (world.kube.reset_watches, world.kube.reset_connections, world.kube.end_watches):
        watches = len(world.requests(verb="watch"))
        searched.note()
        world.kube.rotate_token()
        act()
        world.kube.wait_request(verb="watch", resource="jobs", count=watches + 1)
    cleaner.signal()
    assert cleaner.wait() == 143
    searched.check()


def test_what_the_api_server_says_of_the_token(searched):
    """401 and 403 for nobody; a token that is none; a plain error page."""
    world = searched.note().pair(cpu="900m") and searched.world
    kube = world.kube
    kube.fault(faults.page(), verb="get", resource="services", times=2)
    kube.fault(faults.unavailable(), verb="list", group="metrics.k8s.io", times=3)
    cleaner = world.watched()
    kube.revoke_token()
    cleaner.wait_log(msg="API server trouble")
    searched.note()
    secret = "not-a-token-but-a-secret all the same"
    kube.write_service_account(token=secret)
    kube.reset_connections()
    count = len(kube.requests)
    kube.wait_for(lambda: len(kube.requests) > count + 2)
    cleaner.signal()
    assert cleaner.wait() == 143
    searched.tokens.add(secret)
    searched.check()


def test_without_a_token_and_with_a_bad_certificate(searched):
    world = searched.note()
    world.kube.use_certificate(world.kube.pki.expired)
    cleaner = world.run()
    cleaner.wait_log(msg="API server trouble")
    world.kube.write_service_account(token=None)
    again = world.run()
    again.wait_log(msg="API server trouble")
    searched.check()


@pytest.mark.parametrize("answers", [(200,), (401,), (500, 200), (418, 200)], ids=str)
def test_the_brokers_password(searched, answers, tmp_path):
    world = searched.note()
    (tmp_path / "password").write_text(PASSWORD + "\n")
    with Broker(*answers) as broker:
        for source in ({}, {"RABBITMQ_PASSWORD": None,
                            "RABBITMQ_PASSWORD_FILE": tmp_path / "password"}):
            world.pair(self_job=not world.kube.job(SELF))
            world.kube.complete_job(JOB)
            assert world.run(ADOPT_SERVICE="false", **broker.env(**source)).wait(40) in (0, 1)
            world.kube.reset_connections()
        basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        assert set(broker.authorizations) == {f"Basic {basic}"}
    searched.check()


def test_check_and_dry_run(searched):
    world = searched.note()
    world.pair()
    with Broker(200) as broker:
        for args in (("--check",), ("--dry-run",)):
            for text in (False, True):
                assert world.run(*args, text=text, **broker.env()).wait() == 0
    with Broker(401) as broker:
        assert world.run("--check", **broker.env()).wait() == 1
    searched.check()


def test_bad_configuration(searched):
    """Complaints quote values, but not this one; nor a URL's that has the password in it."""
    world = searched.note()
    cleaner = world.run(RABBITMQ_URL=f"http://u:{urllib.parse.quote(PASSWORD)}@broker",
                        RABBITMQ_USER=USER, RABBITMQ_PASSWORD=PASSWORD + "\n" + PASSWORD * 200,
                        CHECK_INTERVAL_SECONDS="x")
    assert cleaner.wait() == 2
    searched.check()


def test_a_teardown_that_stays_incomplete(searched):
    world = searched.note()
    world.pair()
    world.kube.fault(faults.unavailable(), verb="delete", resource="services", times=None)
    world.kube.complete_job(JOB)
    with Broker(401) as broker:
        cleaner = world.run(ADOPT_SERVICE="false", TEARDOWN_TIMEOUT_SECONDS="1", **broker.env())
        assert cleaner.wait() == 1
    assert SERVICE in world.left()
    searched.check()


# ---- The process itself ----

def unprivileged(uid=65532, gid=65532):
    """Without rights, and with room for a core file."""
    resource.setrlimit(resource.RLIMIT_CORE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


def can_be_reached(directory):
    try:
        return subprocess.run([shutil.copy("/bin/true", directory)], preexec_fn=unprivileged,
                              check=False).returncode == 0
    except OSError:
        return False


@pytest.fixture
def outside():
    """A directory that everybody can reach. The checkout and TMPDIR may be where only root can enter,
    and that is the caller's business: nothing above it is changed."""
    for parent in (tempfile.gettempdir(), "/tmp", "/var/tmp", "/dev/shm"):
        with contextlib.suppress(OSError), tempfile.TemporaryDirectory(dir=parent) as directory:
            pathlib.Path(directory).chmod(0o755)
            if can_be_reached(directory):
                yield pathlib.Path(directory)
                return
    pytest.skip("no directory from which another uid could start a program")


def as_nobody(world, program, directory, who=unprivileged):
    """A program that runs as in its image, in a directory where a core file could be written.
    Itself and its service account are copied, as they may be out of its reach."""
    work, account = directory / "work", directory / "serviceaccount"
    if not work.exists():
        work.mkdir()
        work.chmod(0o777)
        shutil.copytree(world.env()["SERVICE_ACCOUNT_DIR"], account, symlinks=True)
        for path in (account, *account.rglob("*")):
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() else 0o644)
    copy = shutil.copy(program[0], directory)
    os.chmod(copy, 0o755)       # one that may not be read would be safe without further ado
    env = {k: str(v) for k, v in {**world.env(), "SERVICE_ACCOUNT_DIR": account}.items()}
    return subprocess.Popen([copy, *program[1:]], env=env, cwd=work, preexec_fn=who,
                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


as_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@as_root
def test_what_proc_shows_of_it_belongs_to_root(world, outside):
    """PR_SET_DUMPABLE 0: no process of the same uid may look at its memory."""
    world.pair(cpu="900m")
    process = as_nobody(world, [BINARY], outside)
    try:
        world.kube.wait_request(verb="watch", resource="jobs")
        proc = pathlib.Path(f"/proc/{process.pid}")
        assert "\nUid:\t65532\t65532\t65532\t65532\n" in (proc / "status").read_text()
        assert {(proc / name).stat().st_uid for name in ("environ", "mem", "maps")} == {0}
    finally:
        process.kill()
        process.wait()


@as_root
def test_any_user_will_do(world, outside):
    """OpenShift gives each namespace a range of its own, and group 0."""
    world.pair()
    world.kube.complete_job(JOB)
    process = as_nobody(world, [BINARY], outside,
                        functools.partial(unprivileged, uid=1000650000, gid=0))
    assert process.wait(20) == 0
    world.wait_gone()


def core_files(directory):
    """Where the kernel writes core files here; None if it gives them to a program."""
    pattern = pathlib.Path("/proc/sys/kernel/core_pattern").read_text().strip()
    return None if pattern.startswith("|") or "/" in pattern else list(directory.glob("*core*"))


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="ASan catches the signal and exits")
@as_root
@pytest.mark.parametrize("number", [signal.SIGSEGV, signal.SIGABRT])
def test_no_core_file(world, outside, number):
    if core_files(outside) is None:
        pytest.skip("the kernel writes core files elsewhere")
    other = as_nobody(world, ["/bin/sleep", "60"], outside)      # it would leave one
    other.send_signal(number)
    assert other.wait(10) == -number
    assert core_files(outside / "work") != []
    for core in core_files(outside / "work"):
        core.unlink()

    world.pair(cpu="900m")
    process = as_nobody(world, [BINARY], outside)
    try:
        world.kube.wait_request(verb="watch", resource="jobs")
        process.send_signal(number)
        assert process.wait(10) == -number
    finally:
        process.kill()
        process.wait()
    assert core_files(outside / "work") == []

"""Section 7 of the contract: how the program talks to the API server, over real TLS.

Rules that other files hold as well are left to them: what is logged of an outage, and bodies of
100 MB that are an error (test_watching.py, test_readings.py), a 401 in a teardown
(test_teardown.py), which URLs are refused (test_config.c). Every test here ends with a search for
any piece of a token in what the program wrote, and for anything but a token behind `Bearer`.
"""
import contextlib
import datetime
import os
import pathlib
import re
import select
import shlex
import socket
import subprocess
import time

import pytest

from cleaner import BINARY
from conftest import JOB, SELF, World, namespace
from fakekube import CLEANUP_RULES, FakeKube, faults
from fakekube.rbac import ANONYMOUS

ACTIVE = "900m"
TROUBLE = "API server trouble"
SPEED = 30
FAST = {"speed": SPEED, "CHECK_INTERVAL_SECONDS": "3"}  # ten checks a second, backoffs of ms
QUIET = {"CHECK_INTERVAL_SECONDS": "60"}  # what is seen now was not seen by a check
CHECK = {"verb": "list", "resource": "pods", "group": "metrics.k8s.io"}
READ = {"verb": "get", "resource": "jobs", "name": JOB}
LIST = {"verb": "list", "resource": "jobs"}
WATCH = {"verb": "watch", "resource": "jobs"}
DELETE = {"verb": "delete", "resource": "jobs", "name": JOB}


# ---- The stage ----

@contextlib.contextmanager
def stage(directory, **options):
    with FakeKube(dir=directory / "kube", **options) as kube:
        world = World(kube, directory)
        world.secrets = []
        try:
            yield world
            for cleaner in world.cleaners:
                cleaner.close()
            assert_no_secret_leaked(world)
        finally:
            world.close()


@contextlib.contextmanager
def plain_stage(directory):
    """An API server behind `kubectl proxy`, as it were: it asks for no token."""
    with stage(directory, tls=False) as world:
        world.kube.set_rules(CLEANUP_RULES, user=ANONYMOUS)
        yield world


@pytest.fixture
def world(tmp_path):
    with stage(tmp_path) as staged:
        yield staged


class Trap:
    """A listener that nobody may connect to. It never accepts: the connection would be seen."""

    def __init__(self):
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self.socket.getsockname()[1]}"

    def sprung(self):
        return bool(select.select([self.socket], [], [], 0)[0])


@pytest.fixture
def trap():
    listener = Trap()
    yield listener
    listener.socket.close()


def put_token(world, content):
    """As the kubelet would; None: no file."""
    world.kube.write_service_account(token=content)
    world.secrets.append(content or "")


def pieces(secret, size=12):
    return {secret[i:i + size] for i in range(max(1, len(secret) - size + 1))} - {""}


def assert_no_secret_leaked(world):
    sent = [r.headers["authorization"] for r in world.kube.requests if "authorization" in r.headers]
    for header in sent:
        assert re.fullmatch(r"Bearer [\w-]+\.[\w-]+\.[\w-]+", header), "not a token was sent"
    written = world.termination_log.read_text() + "".join(
        c.text() + c.stdout.decode() for c in world.cleaners)
    for secret in {h.partition(" ")[2] for h in sent} | {*world.kube.rbac.tokens, *world.secrets}:
        assert not any(p in written for p in pieces(secret)), "a piece of a token was written"


# ---- What the tests wait for and look at ----

def wait_answered(world, count, since=0, timeout=10, **match):
    """Waits for so many good answers behind the request numbered `since`."""
    def enough():
        asked = world.kube.find_requests(since=since, **match)
        return [r.status for r in asked].count(200) >= count
    world.kube.wait_for(enough, timeout, f"{count} answers to {match} behind #{since}")


def newest(world):
    return world.kube.requests[-1].seq


def token_of(request):
    return request.headers["authorization"].removeprefix("Bearer ")


def seconds(a, b):
    """Between two log lines, by the program's own clock, however fast that runs."""
    at = [datetime.datetime.fromisoformat(line["ts"]) for line in (a, b)]
    return (at[1] - at[0]).total_seconds()


def assert_at_most_a_line_a_minute(cleaner):
    cleaner.wait_log(msg=TROUBLE)
    lines = cleaner.log(msg=TROUBLE)
    assert all(seconds(a, b) >= 59.9 for a, b in zip(lines, lines[1:]))


def assert_goes_on(world, cleaner):
    """It watches, and tears down what finishes."""
    since = newest(world) if world.kube.requests else 0
    world.kube.wait_watch(timeout=15, **WATCH)
    wait_answered(world, 1, since, timeout=15, **CHECK)
    assert world.deletions() == []
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def a_whole_life(world, **changes):
    """Adoption, checks, a finish, every step of a teardown."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(**changes)
    cleaner.wait_log(msg="service adopted")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


# ---- Connections ----

def test_two_connections_serve_a_whole_life(world):
    """Many checks, two watches that end and are opened again, an idle teardown."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(speed=15, CHECK_INTERVAL_SECONDS="1.5")
    for watches in (2, 3):
        wait_answered(world, 8, newest(world), **CHECK)  # a watch of a moment is not resumed
        world.kube.end_watches()
        world.kube.wait_request(count=watches, **WATCH)
    world.kube.set_cpu(JOB, "1m")
    assert cleaner.wait() == 0
    world.wait_gone()
    assert len(world.kube.requests) > 25
    assert world.kube.stats.accepted == 2
    assert {r.connection for r in world.kube.requests} == {1, 2}


def test_every_request_says_who_asks_and_for_what(world):
    a_whole_life(world)
    named = subprocess.run([BINARY, "--version"], capture_output=True, text=True, check=True)
    agent = named.stdout.strip().replace(" ", "/")
    assert re.fullmatch(r"cleanup-grpc/\d+\.\d+\.\d+", agent)
    assert {r.verb for r in world.kube.requests} == {"list", "watch", "get", "patch", "create",
                                                     "delete"}
    for r in world.kube.requests:
        assert (r.headers["user-agent"], r.headers["accept"]) == (agent, "application/json"), r
        assert not {"accept-encoding", "te"} & r.headers.keys(), r


# ---- The token ----

def test_the_token_is_read_for_every_request(world):
    world.pair(cpu=ACTIVE)
    first = world.kube.token
    turn = world.kube.before(lambda kube, request: kube.rotate_token(keep_old=True), nth=3, **CHECK)
    cleaner = world.watched()
    world.kube.wait_for(lambda: turn.hits, what="the rotation")
    wait_answered(world, 3, turn.hits[0].seq, **CHECK)
    assert first != world.kube.token
    for r in world.kube.requests:
        assert token_of(r) == (first if r.seq <= turn.hits[0].seq else world.kube.token)
    assert_goes_on(world, cleaner)


NO_TOKENS = {
    "missing": None,
    "empty": "",
    "blank": " \n",
    "two lines": "first-half-of-it\nsecond-half-of-it",
    "a header": "good-until-here\r\nX-Evil: yes-indeed",
    "two words": "the-one-word and-the-other",
    "a control character": "before-the-bell\x07behind-the-bell",
    "a NUL": "before-the-zero\x00behind-the-zero",
    "not ASCII": "schl\u00fcssel-mit-umlaut",
    "1 MB": "0123456789abcdef" * (1 << 16),
}


def test_the_last_good_token_serves_while_the_file_is_none(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(CHECK_INTERVAL_SECONDS="0.05")
    good = world.kube.token
    for content in NO_TOKENS.values():
        put_token(world, content)
        wait_answered(world, 2, newest(world), **CHECK)
    assert {token_of(r) for r in world.kube.requests} == {good}
    assert cleaner.log(level="warn") == []
    fresh = world.kube.rotate_token(write=False)
    put_token(world, fresh + "\n")  # as in a file that a person wrote
    wait_answered(world, 2, newest(world), **CHECK)
    assert token_of(world.kube.requests[-1]) == fresh
    assert_goes_on(world, cleaner)


@pytest.mark.parametrize("content", NO_TOKENS.values(), ids=NO_TOKENS.keys())
def test_without_a_token_nothing_is_asked_until_there_is_one(world, content):
    world.pair(cpu=ACTIVE)
    put_token(world, content)
    cleaner = world.run(**FAST)
    line = cleaner.wait_log(msg=TROUBLE)
    assert str(world.kube.service_account_dir / "token") in line["error"]
    assert world.kube.requests == []
    world.kube.write_service_account()
    cleaner.wait_log(msg="recovered", **{"from": TROUBLE})
    assert_at_most_a_line_a_minute(cleaner)
    assert_goes_on(world, cleaner)


def test_a_missing_token_is_one_line_a_minute(world):
    world.pair(cpu=ACTIVE)
    put_token(world, None)
    cleaner = world.run(speed=120)
    cleaner.wait_log(msg=TROUBLE, count=3)
    assert_at_most_a_line_a_minute(cleaner)
    assert world.kube.stats.accepted == 0


def test_an_expired_token_is_read_again_until_it_is_a_new_one(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(**FAST)
    world.kube.revoke_token()
    cleaner.wait_log(msg="metrics API trouble", status=401)
    cleaner.wait_log(msg=TROUBLE, status=401)
    world.kube.rotate_token()
    cleaner.wait_log(msg="recovered", **{"from": "metrics API trouble"})
    cleaner.wait_log(msg="recovered", **{"from": TROUBLE})
    assert cleaner.log(msg="permission missing") == []
    assert_goes_on(world, cleaner)


UNAUTHORIZED = (
    faults.status(401, "Unauthorized", "Unauthorized"),
    faults.status(403, "Forbidden",
                  f'x is forbidden: User "{ANONYMOUS}" cannot list resource "x"'))


@pytest.mark.parametrize("match", [
    LIST, WATCH, READ, CHECK, {"verb": "get", "resource": "services"},
    {"verb": "patch", "resource": "services"}], ids=lambda m: f"{m['verb']} {m['resource']}")
def test_401_and_403_for_nobody_lead_to_the_new_token(world, match):
    """It is no missing permission: nothing is given up for it."""
    world.pair(cpu=ACTIVE)
    world.kube.before(lambda kube, request: kube.rotate_token(), times=2, **match)
    for failure in UNAUTHORIZED:
        world.kube.fault(failure, **match)
    cleaner = world.run(**FAST)
    wait_answered(world, 1, **match)
    asked = world.kube.find_requests(**match)[:3]
    assert [r.status for r in asked] == [401, 403, 200]
    assert len({token_of(r) for r in asked}) == 3
    assert_goes_on(world, cleaner)
    assert cleaner.log(msg="permission missing") == []


def test_the_token_rotates_during_a_teardown(world):
    world.pair()
    world.kube.complete_job(JOB)
    world.kube.before(lambda kube, request: kube.rotate_token(), **DELETE)
    cleaner = world.run(**FAST)
    assert cleaner.wait() == 0
    assert [r.status for r in world.kube.find_requests(**DELETE)][-1] == 200
    assert len({token_of(r) for r in world.kube.requests}) == 2
    world.wait_gone()


# ---- The server's certificate ----

NOT_OUR_SERVER = {
    "another CA": lambda kube: kube.use_certificate(kube.pki.new_ca().issue()),
    "expired": lambda kube: kube.use_certificate(kube.pki.expired),
    "not valid yet": lambda kube: kube.use_certificate(kube.pki.ca.issue(not_yet=True)),
    "another name": lambda kube: kube.use_certificate(kube.pki.other_name),
    "only the name, not the address": lambda kube: kube.use_certificate(
        kube.pki.ca.issue(names=("DNS:kubernetes.default.svc", "DNS:127.0.0.1"))),
    "no TLS": lambda kube: kube.connection_fault("garbage", times=None),
}


@pytest.mark.parametrize("spoil", NOT_OUR_SERVER.values(), ids=NOT_OUR_SERVER.keys())
def test_a_server_that_is_not_ours_is_told_nothing(world, spoil):
    world.pair(cpu=ACTIVE)
    spoil(world.kube)
    cleaner = world.run(**FAST)
    world.kube.wait_for(lambda: world.kube.stats.accepted >= 3, what="tries")
    assert world.kube.requests == []
    assert_at_most_a_line_a_minute(cleaner)
    world.kube.clear_faults()
    world.kube.use_certificate(world.kube.pki.server)
    cleaner.wait_log(msg="recovered")
    assert_goes_on(world, cleaner)


def test_the_ca_rotates_while_it_watches(world):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(**FAST)
    world.kube.rotate_ca()
    wait_answered(world, 2, newest(world), **CHECK)  # open connections live on
    assert world.kube.stats.accepted == 2
    world.kube.reset_connections()
    wait_answered(world, 2, newest(world), **CHECK)
    assert world.kube.requests[-1].connection > 2
    assert_goes_on(world, cleaner)


def test_the_ca_rotates_during_a_teardown(world):
    world.pair()
    world.kube.complete_job(JOB)
    world.kube.before(lambda kube, request: kube.rotate_ca(), **DELETE)
    world.kube.fault(faults.reset_before_answer(), **DELETE)
    assert world.run(**FAST).wait() == 0
    assert [r.status for r in world.kube.find_requests(**DELETE)] == [None, 200]
    world.wait_gone()


def test_the_ca_of_before_is_trusted_no_more(world):
    """libcurl keeps a CA for a day, and a TLS session could be resumed without any."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(**FAST)
    world.kube.write_service_account(ca=world.kube.pki.new_ca().pem)
    known = world.kube.stats.accepted
    world.kube.reset_connections()
    world.kube.wait_for(lambda: world.kube.stats.failed_handshakes >= 2, what="tries")
    assert max(r.connection for r in world.kube.requests) <= known
    world.kube.write_service_account()
    assert_goes_on(world, cleaner)


NO_CAS = {"missing": None, "empty": b"", "no PEM": b"this is no certificate\n"}


@pytest.mark.parametrize("ca", NO_CAS.values(), ids=NO_CAS.keys())
def test_without_a_ca_nothing_is_asked_until_there_is_one(world, ca):
    world.pair(cpu=ACTIVE)
    world.kube.write_service_account(ca=ca)
    cleaner = world.run(**FAST)
    line = cleaner.wait_log(msg=TROUBLE)
    assert str(world.kube.service_account_dir / "ca.crt") in line["error"]
    assert world.kube.stats.handshakes == 0
    world.kube.write_service_account()
    cleaner.wait_log(msg="recovered")
    assert_at_most_a_line_a_minute(cleaner)
    assert_goes_on(world, cleaner)


def cut_off_without_a_ca(world):
    """A cleaner that has lost its connections and may make no new ones; its first complaint."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(**FAST)
    world.kube.write_service_account(ca=None)
    world.kube.reset_connections()
    return cleaner, cleaner.wait_log(msg=TROUBLE)


def test_a_ca_that_is_missing_for_a_moment_is_waited_for(world):
    cleaner, _ = cut_off_without_a_ca(world)
    assert world.kube.stats.handshakes == 2
    world.kube.write_service_account()
    cleaner.wait_log(msg="recovered")
    assert_goes_on(world, cleaner)


def test_the_first_line_tells_what_failed_last(world):
    """The kept connection is broken, and the new one that libcurl tries then has no CA."""
    _, line = cut_off_without_a_ca(world)
    assert re.search(r"CA cert|ca\.crt", line["error"])


def trust_store(world):
    """A directory that would make OpenSSL trust the server, were it asked."""
    store = world.directory / "certs"
    store.mkdir()
    (store / "ca-certificates.crt").write_bytes(world.kube.ca.pem)
    (store / "ca.pem").write_bytes(world.kube.ca.pem)
    subprocess.run(["openssl", "rehash", str(store)], check=True, capture_output=True)
    return store


def assert_the_server_is_not_trusted(world, **run):
    world.pair()
    world.kube.write_service_account(ca=world.kube.pki.new_ca("another-ca").pem)
    cleaner = world.run(**FAST, **run)
    world.kube.wait_for(lambda: world.kube.stats.failed_handshakes >= 2, what="tries")
    assert world.kube.requests == []
    assert "certificate" in cleaner.wait_log(msg=TROUBLE)["error"]


def test_cas_of_the_environment_are_not_trusted(world):
    store = trust_store(world)
    file = store / "ca-certificates.crt"
    assert_the_server_is_not_trusted(world, SSL_CERT_FILE=file, CURL_CA_BUNDLE=file,
                                     SSL_CERT_DIR=store)


def test_cas_of_the_machine_are_not_trusted(world):
    store = trust_store(world)
    mount = namespace("--mount", "sh", "-c",
                      f'mount --bind {shlex.quote(str(store))} /etc/ssl/certs && exec "$0" "$@"')
    assert_the_server_is_not_trusted(world, prefix=mount,
                                     PATH="/usr/sbin:/usr/bin:/sbin:/bin")


# ---- Where requests go ----

PROXIES = ("https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY")


@pytest.mark.parametrize("tls", [True, False], ids=["https", "http"])
def test_proxies_of_the_environment_are_not_used(tmp_path, trap, tls):
    with (stage(tmp_path) if tls else plain_stage(tmp_path)) as world:
        a_whole_life(world, **dict.fromkeys(PROXIES, f"http://{trap.address}"),
                     KUBE_API_URL=world.kube.url)
        assert not trap.sprung()


@pytest.mark.parametrize("match", [LIST, WATCH, READ, CHECK, DELETE],
                         ids=lambda m: f"{m['verb']} {m['resource']}")
def test_redirects_are_trouble_and_not_followed(world, trap, match):
    elsewhere, here = f"https://{trap.address}", world.kube.url
    steps = [(301, elsewhere), (302, here), (307, elsewhere), (308, here), (302, elsewhere)]
    for status, where in steps:
        world.kube.fault(faults.answer(status, headers={"Location": f"{where}/elsewhere"}), **match)
    world.pair(cpu=ACTIVE)
    if match is DELETE:
        world.kube.complete_job(JOB)
    cleaner = world.run(**FAST)
    cleaner.wait_log(msg="metrics API trouble" if match is CHECK else TROUBLE)
    wait_answered(world, 1, **match)
    assert not trap.sprung()
    assert [r.status for r in world.kube.find_requests(**match)][:6] == [
        *(status for status, _ in steps), 200]
    assert "/elsewhere" not in {r.path for r in world.kube.requests}
    if match is DELETE:
        assert cleaner.wait() == 0
        world.wait_gone()
    else:
        assert_goes_on(world, cleaner)


@pytest.mark.parametrize("account", [True, False], ids=["beside a token", "without an account"])
def test_plain_http_to_loopback_carries_no_token(tmp_path, account):
    with plain_stage(tmp_path) as world:
        changes = {} if account else {"NAMESPACE": world.kube.namespace,
                                      "SERVICE_ACCOUNT_DIR": tmp_path / "none"}
        a_whole_life(world, KUBE_API_URL=world.kube.url, KUBERNETES_SERVICE_HOST="192.0.2.1",
                     **changes)
        assert all("authorization" not in r.headers for r in world.kube.requests)


def test_an_address_of_ipv6_gets_brackets(tmp_path):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("there is no IPv6 loopback")
    with stage(tmp_path, host="::1") as world:
        assert world.env()["KUBERNETES_SERVICE_HOST"] == "::1"
        a_whole_life(world)
        assert {r.headers["host"] for r in world.kube.requests} == {f"[::1]:{world.kube.port}"}


# ---- Time-outs, by the program's own clock ----

def assert_gives_up_after(cleaner, least, most):
    start = cleaner.wait_log(msg="settings")
    assert least <= seconds(start, cleaner.wait_log(msg=TROUBLE)) <= most


def test_connecting_takes_5_s_at_most(world):
    """To a listener whose queue is full the kernel sends no answer at all."""
    with contextlib.ExitStack() as sockets:
        full = sockets.enter_context(socket.socket())
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = sockets.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        cleaner = world.run(speed=10, KUBERNETES_SERVICE_PORT=full.getsockname()[1])
        assert_gives_up_after(cleaner, 4.9, 8)


def test_a_handshake_takes_5_s_at_most(world):
    world.pair(cpu=ACTIVE)
    world.kube.connection_fault("blackhole")
    cleaner = world.run(speed=10, CHECK_INTERVAL_SECONDS="1")
    assert_gives_up_after(cleaner, 4.9, 8)
    wait_answered(world, 1, verb="get", resource="jobs", name=SELF)    # it was that which hung
    assert_goes_on(world, cleaner)


SLOW_ANSWERS = {"none": faults.never_answer(), "a byte a second": faults.drip(rate=20)}


@pytest.mark.parametrize("answer", SLOW_ANSWERS.values(), ids=SLOW_ANSWERS.keys())
def test_an_answer_takes_10_s_at_most(world, answer):
    world.pair(cpu=ACTIVE)
    world.kube.fault(answer, **LIST)
    cleaner = world.run(speed=20, CHECK_INTERVAL_SECONDS="2")
    assert_gives_up_after(cleaner, 9.9, 15)
    assert_goes_on(world, cleaner)


SILENCES = {
    "no answer": lambda world: world.kube.fault(faults.never_answer(), **DELETE),
    "half-open": lambda world: world.kube.before(
        lambda kube, request: kube.freeze_connections(), **DELETE),
}


@pytest.mark.parametrize("silence", SILENCES.values(), ids=SILENCES.keys())
def test_a_teardown_goes_on_after_10_s_of_silence(world, silence):
    """Whether the Job was deleted (half-open) or not, nobody said."""
    silence(world)
    world.pair()
    world.kube.complete_job(JOB)
    cleaner = world.run(speed=20)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert 9.9 <= seconds(cleaner.log(msg="teardown")[0], cleaner.log(msg="job")[0]) <= 20


def test_a_watch_ends_by_its_own_deadline(world):
    """The server does not end it: ten seconds behind timeoutSeconds the program does."""
    world.pair(cpu=ACTIVE)
    cleaner = world.run(speed=150, ENABLE_CPU_USAGE_CHECK="false")
    world.kube.wait_watch(**WATCH)
    world.kube.silence_watches()
    lived = cleaner.wait_log(msg="watch ended")["lived_ms"] / 1000
    asked = int(world.kube.find_requests(**WATCH)[0].query["timeoutSeconds"][0])
    assert asked + 9.9 <= lived <= asked + 40
    world.kube.wait_request(count=2, **LIST)
    world.kube.wait_request(count=2, **WATCH)
    assert cleaner.log(msg=TROUBLE, verb="watch") == []


@pytest.mark.parametrize("how", ["half-open", "never answered"])
def test_a_silent_watch_does_not_hide_the_finish(world, how):
    """Half-open connections, that of the other requests too: nothing comes, not even an end."""
    world.pair(cpu=ACTIVE)
    if how == "never answered":
        world.kube.fault(faults.never_answer(), times=None, **WATCH)
    cleaner = world.watched(**FAST)
    if how == "half-open":
        world.kube.freeze_connections()
    world.kube.complete_job(JOB)
    at = time.monotonic()
    cleaner.wait_log(msg="teardown")
    assert (time.monotonic() - at) * SPEED < 200  # the watch itself ends after 250 s or more
    assert cleaner.wait() == 0
    world.wait_gone()


# ---- Limits ----

def annotated(world, size):
    """The Job, in an event of the watch: a line of `size` bytes and a little more."""
    world.kube.annotate(JOB, note="n" * size)


def test_a_job_of_nearly_2_mib_can_be_read_and_watched(world):
    """More than etcd takes."""
    world.pair(cpu=ACTIVE)
    annotated(world, 1_900_000)
    cleaner = world.watched(**QUIET)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert cleaner.log(msg=TROUBLE) == [] and len(world.kube.find_requests(**LIST)) == 1


def test_a_line_of_more_than_2_mib_is_an_error_and_what_it_told_is_read(world):
    """The Job's finish is in it, behind the note."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(**QUIET)

    def grow_and_finish(kube, request):
        annotated(world, 2_100_000)
        kube.complete_job(JOB)
        annotated(world, 1)
    world.kube.call(grow_and_finish, world.kube, None)
    assert cleaner.wait() == 0
    world.wait_gone()
    lines = cleaner.log(msg=TROUBLE)
    assert [(line["verb"], "2097152" in line["error"]) for line in lines] == [("watch", True)]


BODIES = {"the Job's LIST": (LIST, "2097152"), "the Job's GET": (READ, "2097152"),
          "the Service": ({"verb": "get", "resource": "services"}, "2097152"),
          "the pods": ({"verb": "list", "resource": "pods", "group": ""}, "2097152"),
          "metrics": (CHECK, "262144")}


def padded(size):
    """The true answer, with white space up to this size."""
    def change(response):
        response.body += b" " * (size - len(response.body))
    return faults.edit(change)


@pytest.mark.parametrize("match,limit", BODIES.values(), ids=BODIES.keys())
@pytest.mark.parametrize("over", [False, True], ids=["at", "over"])
def test_a_body_is_bounded(world, match, limit, over):
    """By what a Job can have: to the byte, and one more is an error that names the bound."""
    world.pair(cpu=ACTIVE)
    struck = world.kube.fault(padded(int(limit) + over), **match)
    cleaner = world.run(**FAST)
    world.kube.wait_for(lambda: struck.hits, what="the answer")
    wait_answered(world, 3, newest(world), **CHECK)
    wait_answered(world, 1, verb="get", resource="jobs", name=SELF)
    trouble = [line for line in cleaner.log(level="warn") if line["msg"].endswith("trouble")]
    assert [limit in line["error"] for line in trouble] == [True] * over
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def peak_kib(cleaner):
    status = pathlib.Path(f"/proc/{cleaner.process.pid}/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1])


JUNK = b"z" * 10_000_000
TOO_LARGE = {
    "lines": lambda world: world.kube.inject_watches(JUNK),
    "bodies": lambda world: [world.kube.fault(faults.huge_body(100_000_000), times=times, **match)
                             for match, times in ((READ, 1), (CHECK, 3))],
    "bodies of errors": lambda world: [world.kube.fault(faults.answer(500, JUNK), **match)
                                       for match in (READ, CHECK, CHECK)],
}


@pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="ASan keeps what is freed")
@pytest.mark.parametrize("kind", TOO_LARGE)
def test_what_is_too_large_takes_little_memory(world, kind):
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(speed=4, CHECK_INTERVAL_SECONDS="0.4")  # a body takes its time
    wait_answered(world, 5, **CHECK)
    before = peak_kib(cleaner)
    TOO_LARGE[kind](world)
    world.kube.wait_for(lambda: not world.kube.server.faults, what="the faults")
    wait_answered(world, 1, newest(world), **(LIST if kind == "lines" else READ))
    assert any(" of more than " in line["error"] for line in cleaner.log(msg=TROUBLE))
    grown = peak_kib(cleaner) - before
    assert grown < 6 * 1024, f"{grown} KiB"


# ---- Secrets ----

@pytest.mark.parametrize("text", [True, False], ids=["text", "json"])
def test_the_token_is_written_nowhere(world, text):
    """At debug level, with trouble of all kinds; see also assert_no_secret_leaked()."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched(**FAST, text=text)
    world.kube.wait_for(lambda: re.search("level.{1,3}debug", cleaner.text()), what="debug lines")
    world.kube.revoke_token()
    put_token(world, "first-half-of-it\nsecond-half-of-it")
    world.kube.reset_connections()
    world.kube.wait_for(lambda: "401" in cleaner.text(), what="trouble")
    world.kube.rotate_token()
    assert_goes_on(world, cleaner)
    assert world.summary()["trigger"] == "completed"
    assert_no_secret_leaked(world)

"""The queue step against a real RabbitMQ, through a proxy that notes requests and makes faults."""
import base64
import itertools
import os
import pathlib
import time
import urllib.parse

import pytest

from broker import PASSWORD, SECRET, USER, quote
from conftest import JOB, JOB_ID, SELF, SERVICE
from fakekube.pki import default_pki
from faultproxy import FaultProxy, answer, cut, huge, lose, never, reset, slow

pytestmark = pytest.mark.xdist_group("broker")  # one broker, whatever -n says

PREFIX = f"grpc-job-{JOB_ID}-"
LOGIN = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
FAST = 20       # the program's clock: its 60 s for a queue are 3 s,
BRISK = 5       # or only its first pause of 0.5 s is shorter
BROKER_SECONDS, ANSWER_SECONDS = 60, 10
TIMEOUT = {"TEARDOWN_TIMEOUT_SECONDS": str(BROKER_SECONDS)}     # a broker that is away gets all of it
HEADROOM = 25   # of the program's seconds, for a busy machine
MANY_REQUESTS = 200     # more in 60 s is a hot loop
ENDLESS_REQUESTS = 3000     # a walk has 200 pages at most, and there is a backoff between walks
PATIENCE = 120          # real seconds to wait for an end; only a failure takes them
TAKEN = {"deleted", "absent"}       # the collector may be faster with an adopted Service
MISSING = {"MISSING_JOB_TIMEOUT_SECONDS": "0.2"}    # the job went before the program came

# A slash, a space and everything that means something in a URL or a regular expression.
ODD = "a/b c%2F%#?+&=\"'\\<ä>;@:,[x]{y}|^~*$(.)!"


class Rabbit:
    """One virtual host of the broker, a user with the least rights on it, and the proxy."""

    numbers = itertools.count(os.getpid() * 1000)     # other processes have other ones

    def __init__(self, world, broker, proxy, vhost=None):
        self.world, self.broker, self.proxy = world, broker, proxy
        self.vhost = vhost or f"v{next(self.numbers)}"
        broker.add_vhost(self.vhost)
        broker.allow(USER, self.vhost, configure="^grpc-job-")

    def env(self, **changes):
        return {"RABBITMQ_URL": self.proxy.url, "RABBITMQ_USER": USER,
                "RABBITMQ_PASSWORD": PASSWORD, "RABBITMQ_VHOST": self.vhost, **changes}

    def ours(self, *ends):
        """Declares queues of our job: the prefix and these ends."""
        names = [PREFIX + end for end in ends or ("a", "b")]
        self.broker.declare(self.vhost, *names)
        return names

    def queues(self):
        return self.broker.queues(self.vhost)

    def run(self, *args, **changes):
        """The cleaner beside what there is in the world."""
        return self.world.run(*args, **self.env(**changes))

    def teardown(self, *args, **changes):
        """The cleaner, which finds its Job completed."""
        self.world.pair()
        self.world.kube.complete_job(JOB)
        return self.run(*args, **changes)

    def targets(self, method=None):
        return [r.path for r in self.proxy.requests if method in (None, r.method)]

    def deleted_by_name(self):
        """The queues that were asked to be deleted, as they are called."""
        start = f"/api/queues/{quote(self.vhost)}/"
        paths = self.targets("DELETE")
        assert all(path.startswith(start) for path in paths), paths
        return [urllib.parse.unquote(path[len(start):]) for path in paths]

    def assert_no_password_is_told(self):
        told = [c.text() for c in self.world.cleaners] + [self.world.termination_log.read_text()]
        assert not any(secret in text for secret in (SECRET, LOGIN) for text in told)


@pytest.fixture
def rabbit(world, broker, request):
    """Parametrized (indirect), the virtual host's name."""
    with FaultProxy(broker.port) as proxy:
        rabbit = Rabbit(world, broker, proxy, getattr(request, "param", None))
        yield rabbit
        rabbit.assert_no_password_is_told()


def assert_left(rabbit, cleaner, names=(), outcome="left", patterns=PREFIX + "*", within=None):
    """A queue holds no slot: all else is gone, our own Job too, exit 0. The patterns, and the names
    as far as they are known, are in the log, the summary, and the Event CleanupIncomplete."""
    assert cleaner.wait(PATIENCE) == 0
    summary = rabbit.world.summary()
    assert (summary["queues"], summary["queue_names"]) == (outcome, patterns)
    assert summary["queues_left"] == list(names)
    assert summary["service"] in TAKEN
    assert (summary["job"], summary["self"]) == ("deleted", "deleted")
    assert summary["seconds"] <= (within or BROKER_SECONDS) + 2 * HEADROOM
    step, last = cleaner.log(msg="queues")[-1], cleaner.lines[-1]
    assert (step["names"], step["outcome"], step["level"]) == (patterns, outcome, "warn")
    assert (last["msg"], last["queue_names"], last["queues"]) == ("torn down", patterns, outcome)
    assert last.get("queues_left", "") == ", ".join(names)
    assert left_event(rabbit) == "left behind: queues " + patterns + (
        f" ({outcome})" + (": " if names else "") + ", ".join(names))
    rabbit.world.wait_gone()


def left_event(rabbit):
    """The words of the one Warning."""
    event, = [e for e in rabbit.world.kube.events() if e["type"] == "Warning"]
    assert event["reason"] == "CleanupIncomplete"
    return event["message"]


def assert_done(rabbit, cleaner, outcome="deleted"):
    assert cleaner.wait(PATIENCE) == 0
    assert rabbit.world.summary()["queues"] == outcome
    assert "queue_names" not in rabbit.world.summary()
    assert not {name for name in rabbit.queues() if name.startswith(PREFIX)}
    rabbit.world.wait_gone()


# ---- Which queues ----

def test_the_jobs_queues_go_and_others_stay(rabbit):
    """Whatever holds them: messages, consumers, a quorum."""
    others = {f"grpc-job-{JOB_ID}0-a", f"grpc-job-{JOB_ID}", f"x-{PREFIX}a", PREFIX.upper() + "a",
              PREFIX[:-1] + "Xa", "unrelated"}
    rabbit.broker.declare(rabbit.vhost, *others)
    names = rabbit.ours("empty", "consumed", "", ODD)
    rabbit.broker.declare(rabbit.vhost, PREFIX + "quorum", queue_type="quorum")
    names.append(PREFIX + "quorum")
    for name in names:
        rabbit.broker.publish(rabbit.vhost, name)
    with rabbit.broker.channel(rabbit.vhost) as channel:
        channel.basic_consume(PREFIX + "consumed", lambda *message: None)
        cleaner = rabbit.teardown()
        assert cleaner.wait(PATIENCE) == 0
    assert rabbit.queues() == others
    assert {line["name"] for line in cleaner.log(msg="queue", outcome="deleted")} == set(names)
    assert [(e["names"], e["outcome"], e["count"]) for e in cleaner.log(msg="queues")] == [
        (PREFIX + "*", "deleted", len(names))]
    assert rabbit.world.summary()["queues"] == "deleted"
    rabbit.world.wait_gone()


@pytest.mark.parametrize("rabbit", [ODD, "/"], ids=["odd", "default"], indirect=True)
def test_virtual_hosts(rabbit):
    """Of any name; "/" is the default of RABBITMQ_VHOST."""
    rabbit.ours("a", ODD)
    vhost = None if rabbit.vhost == "/" else rabbit.vhost
    assert_done(rabbit, rabbit.teardown(RABBITMQ_VHOST=vhost))


def test_a_prefix_is_taken_literally(rabbit):
    prefix = f"a.b*c-{JOB_ID}-"
    others = {prefix.replace(".", "X") + "1", prefix.replace("*", "b") + "1", prefix[:-1],
              "x" + prefix + "1", prefix.upper() + "1", PREFIX + "a"}
    rabbit.broker.allow(USER, rabbit.vhost, configure=".*")
    rabbit.broker.declare(rabbit.vhost, prefix + "1", prefix + ".*", *others)
    assert rabbit.teardown(RABBITMQ_QUEUE_PREFIX=prefix).wait() == 0
    assert rabbit.queues() == others


def test_no_queues_at_all(rabbit):
    assert_done(rabbit, rabbit.teardown(), "absent")
    assert [r.method for r in rabbit.proxy.requests] == ["GET"]


def test_queues_of_a_job_that_went_before(rabbit):
    rabbit.ours()
    rabbit.world.pair()
    rabbit.world.kube.vanish("job", JOB)
    assert_done(rabbit, rabbit.run(**MISSING))
    assert rabbit.world.summary()["trigger"] == "missing"


def test_a_dry_run_names_the_queues_and_deletes_none(rabbit):
    names = rabbit.ours("a", ODD)
    rabbit.broker.declare(rabbit.vhost, "x-" + PREFIX)
    before = rabbit.queues()
    cleaner = rabbit.teardown("--dry-run")
    assert cleaner.wait(PATIENCE) == 0
    told = cleaner.log(msg="dry run: would delete")
    assert {line["queue"] for line in told if "queue" in line} == set(names)
    assert rabbit.queues() == before
    assert {r.method for r in rabbit.proxy.requests} == {"GET"}


# ---- What is asked of the broker, and when ----

def test_nothing_but_lists_of_names_and_deletions_is_asked(rabbit):
    names = rabbit.ours("a", ODD)
    assert rabbit.teardown().wait() == 0
    for request in rabbit.proxy.requests:
        assert request.headers["authorization"] == "Basic " + LOGIN
        assert request.headers["user-agent"].startswith("cleanup-grpc/")
        if request.method == "GET":
            path, _, query = request.path.partition("?")
            asked = dict(urllib.parse.parse_qsl(query, strict_parsing=True))
            assert path == f"/api/queues/{rabbit.vhost}"
            assert (asked["columns"], asked["name"]) == ("name", PREFIX)
            assert 1 <= int(asked["page"]) and 1 <= int(asked["page_size"]) <= 500
            assert "use_regex" not in asked
    assert sorted(rabbit.targets("DELETE")) == sorted(
        f"/api/queues/{rabbit.vhost}/{quote(name)}" for name in names)
    assert {r.method for r in rabbit.proxy.requests} == {"GET", "DELETE"}


def test_no_request_before_the_api_server_says_that_the_job_is_absent(rabbit):
    rabbit.ours()
    assert rabbit.teardown().wait() == 0
    absent = [r.finished for r in rabbit.world.requests(verb="get", resource="jobs", name=JOB)
              if r.status == 404]
    assert absent[0] < rabbit.proxy.requests[0].monotonic


def test_with_a_grace_the_queues_go_at_once_and_the_job_after_it(rabbit):
    rabbit.ours()
    cleaner = rabbit.teardown(COMPLETED_GRACE_SECONDS="30", speed=FAST)
    cleaner.wait_log(msg="queue", outcome="deleted", count=2)
    assert JOB in rabbit.world.left()
    assert_done(rabbit, cleaner)
    job = rabbit.world.requests(verb="delete", name=JOB)[0]
    *before, last = rabbit.proxy.requests
    assert job.monotonic > before[-1].monotonic
    assert last.method == "GET" and last.monotonic > job.finished   # behind the last pod


def test_a_signal_while_a_finished_job_is_kept_waits_for_the_queues_alone(rabbit):
    """And not for the last pod, which is there as long as the Job is."""
    rabbit.ours()
    cleaner = rabbit.teardown(COMPLETED_GRACE_SECONDS="600")
    cleaner.wait_log(msg="queue", outcome="deleted", count=2)
    cleaner.signal()
    assert cleaner.wait(5) == 143
    assert rabbit.world.left() - {"pod"} == {JOB, SELF} and rabbit.queues() == set()


# ---- Many ----

def memory_of(cleaner, key):
    """A line of /proc/PID/status, in bytes."""
    status = pathlib.Path(f"/proc/{cleaner.process.pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines()
                if line.startswith(key + ":")) * 1024


@pytest.mark.usefixtures("shipped")
def test_20_000_queues_of_others_cost_nothing(rabbit):
    """Of them, nothing is transferred and nothing is kept; ours are more than a page."""
    rabbit.broker.declare(rabbit.vhost, "foreign", "x-" + PREFIX)
    rabbit.broker.clone(rabbit.vhost, "foreign", 20_000)
    rabbit.ours(*(f"{'q' * 150}{i}" for i in range(300)))
    rabbit.world.pair(cpu="900m")
    cleaner = rabbit.run()
    memory = {}
    for name in (JOB, SELF):    # before the broker is asked, and after
        rabbit.world.kube.before(
            lambda kube, request: memory.update({request.name: {
                key: memory_of(cleaner, key) for key in ("VmRSS", "VmHWM")}}),
            verb="delete", resource="jobs", name=name)
    rabbit.world.kube.wait_request(verb="watch", resource="jobs")
    rabbit.world.kube.complete_job(JOB)
    assert cleaner.wait(PATIENCE) == 0
    assert rabbit.broker.api("GET", f"/api/queues/{rabbit.vhost}?page=1&page_size=1")[
        "total_count"] == 20_002
    assert rabbit.proxy.sent < 200_000
    assert len(rabbit.targets("GET")) <= 10     # each costs the broker a look at all of them
    assert memory[SELF]["VmHWM"] <= 6_000_000
    assert memory[SELF]["VmHWM"] - memory[JOB]["VmRSS"] < 1_000_000


# ---- Queues that the broker does not delete ----

def test_an_exclusive_queue_is_tried_for_60_s_and_named(rabbit):
    """RabbitMQ answers 400; the other queues go all the same, and first of all."""
    exclusive = PREFIX + "0 exclusive"
    rabbit.ours()
    with rabbit.broker.channel(rabbit.vhost) as channel:
        channel.queue_declare(exclusive, exclusive=True)
        cleaner = rabbit.teardown(speed=FAST)
        assert_left(rabbit, cleaner, [exclusive])
        assert rabbit.queues() == {exclusive}
    warned = cleaner.log(msg="queue", outcome="refused", level="warn")
    assert [line["name"] for line in warned] == [exclusive]
    assert "exclusive" in warned[0]["error"]
    assert rabbit.deleted_by_name()[:3] == [exclusive, PREFIX + "a", PREFIX + "b"]
    assert rabbit.deleted_by_name().count(exclusive) >= 4
    assert rabbit.world.summary()["seconds"] >= BROKER_SECONDS


def test_an_exclusive_queue_is_named_though_the_broker_fails_after_that(rabbit):
    with rabbit.broker.channel(rabbit.vhost) as channel:
        channel.queue_declare(PREFIX + "exclusive", exclusive=True)
        cleaner = rabbit.teardown(speed=FAST, **TIMEOUT)
        rabbit.proxy.wait_request(method="DELETE")
        rabbit.proxy.fault(answer(503), method="GET", times=None)
        assert_left(rabbit, cleaner, [PREFIX + "exclusive"])
    warned = cleaner.log(msg="queue", outcome="refused", level="warn")
    assert [line["name"] for line in warned] == [PREFIX + "exclusive"]


def test_one_queue_that_fails_does_not_hold_up_the_others(rabbit):
    """500 to one of twenty, for ever: the others go at once, and it is named."""
    names = rabbit.ours(*(f"{i:02}" for i in range(20)))
    bad = PREFIX + "07"
    rabbit.proxy.fault(answer(500), method="DELETE", part=quote(bad), times=None)
    cleaner = rabbit.teardown(speed=FAST, **TIMEOUT)
    assert_left(rabbit, cleaner, [bad])
    assert rabbit.queues() == {bad}
    assert rabbit.deleted_by_name()[:20] == names
    assert set(rabbit.deleted_by_name()[20:]) == {bad}
    assert cleaner.log(msg="recovered") == []
    assert 4 <= rabbit.deleted_by_name().count(bad) < 30


def test_names_that_do_not_fit_are_counted(rabbit):
    """What the kubelet keeps of the termination log is 4096 bytes: it stays a line of JSON."""
    ends = [f"{i:02}" + "\"" * 100 for i in range(60)]
    names = rabbit.ours(*ends)
    rabbit.proxy.fault(answer(500), method="DELETE", times=None)
    cleaner = rabbit.teardown(speed=FAST, TEARDOWN_TIMEOUT_SECONDS="30")
    assert cleaner.wait(PATIENCE) == 0
    assert len(rabbit.world.termination_log.read_bytes()) <= 4096
    summary = rabbit.world.summary()
    assert summary["queues_left"] == names[:len(summary["queues_left"])] != []
    assert len(summary["queues_left"]) + summary["queues_left_more"] == 60
    assert len(left_event(rabbit)) <= 1024
    assert {line["name"] for line in cleaner.log(msg="queue", level="warn")} == set(names)
    rabbit.world.wait_gone()


def test_an_exclusive_queue_whose_connection_closes(rabbit):
    with rabbit.broker.channel(rabbit.vhost) as channel:
        channel.queue_declare(PREFIX + "exclusive", exclusive=True)
        cleaner = rabbit.teardown()
        rabbit.proxy.wait_request(method="DELETE")
    assert cleaner.wait(PATIENCE) == 0
    assert rabbit.queues() == set()
    assert not cleaner.log(level="warn")


def test_a_name_that_no_request_can_carry_is_left_and_named(rabbit):
    """AMQP allows any bytes. RabbitMQ lists U+FFFD for what is no UTF-8, and then knows no queue
    of that name."""
    rabbit.ours("a", "z")
    rabbit.broker.declare(rabbit.vhost, PREFIX.encode() + b"no\xff")
    cleaner = rabbit.teardown(speed=FAST, **TIMEOUT)
    assert_left(rabbit, cleaner, [PREFIX + "no\ufffd"])
    assert rabbit.queues() == {PREFIX + "no\ufffd"}
    assert {line["name"] for line in cleaner.log(msg="queue", level="warn")} == rabbit.queues()
    assert len(rabbit.proxy.requests) < MANY_REQUESTS


def test_a_name_with_a_nul_in_it(rabbit):
    """It is no C string, but a queue of others must not keep ours."""
    rabbit.ours()
    rabbit.broker.declare(rabbit.vhost, f"x-{PREFIX}a\0b")
    assert_done(rabbit, rabbit.teardown())


# ---- Who may ----

REFUSED = "the broker refuses our user"
NO_VHOST = "the broker does not know our virtual host"


def test_least_rights(rabbit, world):
    """The tag "management", and "configure" for the names: no read, no write. Every other test
    runs with these; this one shows that neither can be left out."""
    names = rabbit.ours()
    rabbit.broker.allow(USER, rabbit.vhost, write=".*", read=".*")
    cleaner = rabbit.teardown(speed=BRISK)
    assert_left(rabbit, cleaner, names)
    assert rabbit.deleted_by_name() == names        # each has an answer of its own
    line, = cleaner.log(msg=REFUSED, level="warn")
    assert (line["user"], line["verb"]) == (USER, "delete")
    assert rabbit.queues() == set(names)

    rabbit.broker.add_user("untagged", PASSWORD, tags="")
    rabbit.broker.allow("untagged", rabbit.vhost, configure=".*", write=".*", read=".*")
    assert rabbit.run(RABBITMQ_USER="untagged", **MISSING).wait() == 0
    assert world.summary()["queues"] == "forbidden"

    rabbit.broker.allow(USER, rabbit.vhost, configure="^grpc-job-")
    assert_done(rabbit, rabbit.run(**MISSING))


def test_a_queue_that_the_user_may_not_delete_does_not_hold_up_the_others(rabbit):
    names = rabbit.ours("a", "b", "c")
    rabbit.broker.allow(USER, rabbit.vhost, configure="-[ac]$")
    cleaner = rabbit.teardown(speed=BRISK)
    assert_left(rabbit, cleaner, [names[1]])
    assert rabbit.queues() == {names[1]}


def assert_told_at_once(rabbit, cleaner, status):
    """One request, one answer, and the slot is free: nothing waits for a person."""
    assert_left(rabbit, cleaner, outcome="forbidden")
    assert [r.method for r in rabbit.proxy.requests] == ["GET"]
    assert [(line["msg"], line.get("status")) for line in cleaner.log(level="warn")] == [
        (NO_VHOST if status == 404 else REFUSED, status), ("queues", None)]
    assert rabbit.world.summary()["seconds"] < 5


def test_a_wrong_password_is_final_and_holds_no_slot(rabbit):
    """Trying again might lock the account; and 1.1's slot would be taken for days."""
    rabbit.ours()
    assert_told_at_once(rabbit, rabbit.teardown(RABBITMQ_PASSWORD=SECRET), 401)


def test_an_unknown_virtual_host_is_final_and_holds_no_slot(rabbit):
    rabbit.ours()
    assert_told_at_once(rabbit, rabbit.teardown(RABBITMQ_VHOST="none"), 404)


@pytest.mark.parametrize("end", ["", "\n", "\r\n"], ids=["bare", "newline", "crlf"])
def test_a_password_from_a_file(rabbit, tmp_path, end):
    rabbit.ours("a")
    file = tmp_path / "password"
    file.write_text(PASSWORD + end, newline="")
    assert_done(rabbit, rabbit.teardown(RABBITMQ_PASSWORD=None, RABBITMQ_PASSWORD_FILE=file))


def test_a_missing_password_file_is_named_and_nothing_is_asked(rabbit, tmp_path):
    rabbit.ours()
    file = tmp_path / "password"
    cleaner = rabbit.teardown(RABBITMQ_PASSWORD=None, RABBITMQ_PASSWORD_FILE=file, speed=FAST,
                              **TIMEOUT)
    assert_left(rabbit, cleaner)
    assert str(file) in cleaner.log(msg="broker trouble", level="warn")[0]["error"]
    assert rabbit.proxy.connections == 0


def test_a_password_file_that_is_empty_at_first(rabbit, tmp_path):
    rabbit.ours()
    file = tmp_path / "password"
    file.write_text("\n")
    cleaner = rabbit.teardown(RABBITMQ_PASSWORD=None, RABBITMQ_PASSWORD_FILE=file, speed=BRISK)
    assert str(file) in cleaner.wait_log(msg="broker trouble")["error"]
    assert rabbit.proxy.connections == 0
    file.write_text(PASSWORD)
    assert_done(rabbit, cleaner)


# ---- TLS ----

def test_https(rabbit):
    rabbit.ours()
    assert_done(rabbit, rabbit.teardown(
        RABBITMQ_URL=f"https://127.0.0.1:{rabbit.broker.https_port}",
        RABBITMQ_CA_FILE=rabbit.broker.ca_file))


@pytest.mark.parametrize("certificate", [
    lambda pki: pki.new_ca().issue(), lambda pki: pki.other_name],
    ids=["another CA", "another name"])
def test_a_stranger_gets_no_password(rabbit, certificate):
    rabbit.ours()
    pki = default_pki()
    with FaultProxy(rabbit.broker.port, certificate(pki)) as stranger:
        cleaner = rabbit.teardown(RABBITMQ_URL=stranger.url, RABBITMQ_CA_FILE=pki.ca.cert,
                                  speed=FAST, **TIMEOUT)
        assert_left(rabbit, cleaner)
        assert stranger.connections > 2 and stranger.requests == []
    assert len(cleaner.log(msg="broker trouble")) in (1, 2)


# ---- A broker in trouble ----

def assert_tried_to_the_end(requests, speed):
    """Of TEARDOWN_TIMEOUT_SECONDS, with pauses that grow, and not beyond."""
    at = [(r.monotonic - requests[0].monotonic) * speed for r in requests]
    assert 4 <= len(at) <= 20
    assert 20 <= at[-1] <= BROKER_SECONDS + HEADROOM
    assert at[-1] - at[-2] > at[1]


def assert_waited_for_10_s_at_a_time(requests, speed):
    at = [(r.monotonic - requests[0].monotonic) * speed for r in requests]
    assert 3 <= len(at) <= 6
    assert ANSWER_SECONDS / 2 <= at[1] <= ANSWER_SECONDS + HEADROOM    # half: it may be noted late
    assert at[-1] <= BROKER_SECONDS + HEADROOM


# those of a proxy before the broker: test_slot.py
DOWN = {"refused": None, "503": answer(503, {"error": "x"}), "silent": never(),
        "no JSON": answer(200, b'{"items":['), "a redirect": answer(302, b"", {"Location": "/"})}


@pytest.mark.parametrize("fault", DOWN.values(), ids=DOWN.keys())
def test_a_broker_that_stays_away_is_tried_until_the_timeout_and_holds_no_slot(rabbit, fault):
    """What is left waits for a run that finds the broker."""
    names = rabbit.ours()
    if fault:
        rabbit.proxy.fault(fault, times=None)
    else:
        rabbit.proxy.refuse()
    cleaner = rabbit.teardown(speed=FAST, **TIMEOUT)
    cleaner.wait_log(msg="broker trouble")
    assert rabbit.world.left() - {"pod"} == {SELF}      # long before
    assert_left(rabbit, cleaner)
    assert rabbit.world.summary()["seconds"] >= BROKER_SECONDS
    lines = cleaner.log(msg="broker trouble")
    assert len(lines) in (1, 2) and {line["level"] for line in lines} == {"warn"}
    assert not cleaner.log(msg="recovered", **{"from": "broker trouble"})
    assert rabbit.queues() == set(names)
    if fault is DOWN["silent"]:
        assert_waited_for_10_s_at_a_time(rabbit.proxy.requests, FAST)
    elif fault:
        assert_tried_to_the_end(rabbit.proxy.requests, FAST)

    if fault:
        rabbit.proxy.clear_faults()
    else:
        rabbit.proxy.listen()
    assert_done(rabbit, rabbit.run(**MISSING))
    assert rabbit.world.summary()["trigger"] == "missing"


PASSING = {"500": answer(500), "429": answer(429), "reset": reset(), "answer lost": lose(),
           "answer cut": cut(), "slow": slow(0.2)}


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("fault", PASSING.values(), ids=PASSING.keys())
def test_what_passes_is_tried_again(rabbit, method, fault):
    """An answer that was lost though the queue went: absent is success."""
    rabbit.ours()
    rabbit.proxy.fault(fault, method=method)
    cleaner = rabbit.teardown(speed=BRISK)
    assert_done(rabbit, cleaner)
    assert len(cleaner.log(level="warn")) <= 1


def test_a_broker_that_comes_back(rabbit):
    rabbit.ours()
    rabbit.proxy.refuse()
    cleaner = rabbit.teardown(speed=BRISK)
    cleaner.wait_log(msg="broker trouble")
    rabbit.proxy.listen()
    assert_done(rabbit, cleaner)


def assert_cut_short(rabbit, cleaner):
    """Exit 1, and our own Job stays: whoever is started next goes on with the queues."""
    assert cleaner.wait(PATIENCE) == 1
    assert rabbit.world.summary()["queues"] == "left"
    assert cleaner.lines[-1]["msg"] == "teardown incomplete"
    assert rabbit.world.left() == {SELF}


def test_a_signal_while_the_broker_hangs(rabbit):
    """25 s to finish, and one after a second signal."""
    rabbit.ours()
    rabbit.proxy.fault(never(), times=None)
    cleaner = rabbit.teardown(speed=FAST)
    rabbit.proxy.wait_request()
    at = time.monotonic()
    cleaner.signal()
    assert_cut_short(rabbit, cleaner)
    assert 15 < (time.monotonic() - at) * FAST < 25 + HEADROOM

    cleaner = rabbit.run(**MISSING)
    rabbit.proxy.wait_request(count=len(rabbit.proxy.requests) + 1)
    cleaner.signal()
    cleaner.wait_log(msg="signal")
    at = time.monotonic()
    cleaner.signal()
    assert_cut_short(rabbit, cleaner)
    assert time.monotonic() - at < 2

    rabbit.proxy.clear_faults()
    assert_done(rabbit, rabbit.run(**MISSING))


# ---- Answers that are rubbish ----

def page(*names, **more):
    return {"items": [{"name": name} for name in names], "page": 1, "page_count": 1, **more}


RUBBISH = {
    "a list": answer(200, [{"name": PREFIX + "stays"}]),
    "no items": answer(200, {"page": 1, "page_count": 1}),
    "null items": answer(200, {**page(), "items": None}),
    "names that are none": answer(200, {**page(), "items": [{"name": 7}, None, []]}),
    "a name of 1 MB": answer(200, page(PREFIX + "a" * 1_000_000)),
    "a name of 300 bytes": answer(200, page(PREFIX + "a" * 300)),
    "too many": answer(200, page(*(f"{PREFIX}{i}" for i in range(2000)))),
    "no UTF-8": answer(200, b'{"items":[{"name":"\xff"}],"page":1,"page_count":1}'),
    "100 MB": huge(),
    "nothing": answer(200),
    "204": answer(204),
    "deep": answer(200, b"[" * 100_000),
}


@pytest.mark.parametrize("fault", RUBBISH.values(), ids=RUBBISH.keys())
def test_rubbish_is_trouble_that_may_pass(rabbit, fault):
    rabbit.ours()
    rabbit.broker.declare(rabbit.vhost, "x", "stays")
    rabbit.proxy.fault(fault)
    cleaner = rabbit.teardown(speed=BRISK)
    assert_done(rabbit, cleaner)
    assert len(cleaner.log(msg="broker trouble")) == 1
    assert rabbit.proxy.sent < 50_000_000       # 100 MB are not read to their end
    assert rabbit.queues() == {"x", "stays"}
    assert rabbit.deleted_by_name() == [PREFIX + "a", PREFIX + "b"]


def test_only_names_with_the_prefix_are_believed(rabbit):
    """A broker, or what stands before it, that filters in another way, or not at all."""
    names = ["x", "", ".", "x-" + PREFIX, PREFIX.upper(), PREFIX[:-1], "/", "../" + PREFIX]
    rabbit.broker.declare(rabbit.vhost, "x", "x-" + PREFIX)
    rabbit.ours("a")
    rabbit.proxy.fault(answer(200, page(*names, PREFIX + "a")))
    assert_done(rabbit, rabbit.teardown())
    assert rabbit.deleted_by_name() == [PREFIX + "a"]


ENDLESS = {"pages": (page("x", page_count=10**9), "..."),
           "queues": (page(PREFIX + "ghost", page_count=10**9), PREFIX + "ghost")}


@pytest.mark.parametrize("body,named", ENDLESS.values(), ids=ENDLESS.keys())
def test_a_list_without_end_has_one(rabbit, body, named):
    """Pages that go on for ever; a queue that stays listed though it is absent."""
    rabbit.proxy.fault(answer(200, body), method="GET", times=None)
    cleaner = rabbit.teardown(speed=FAST, **TIMEOUT)
    assert cleaner.wait(PATIENCE) == 0
    summary = rabbit.world.summary()
    assert summary["queues"] == "left" and named in summary["queues_left"]
    assert len(rabbit.proxy.requests) < ENDLESS_REQUESTS


@pytest.mark.parametrize("method", ["GET", "DELETE"])
@pytest.mark.parametrize("status", [301, 307])
def test_a_redirect_is_not_followed(rabbit, method, status):
    rabbit.ours("a")
    with FaultProxy(rabbit.broker.port) as elsewhere:
        rabbit.proxy.fault(answer(status, b"", {"Location": elsewhere.url + "/api/queues"}),
                           method=method)
        assert_done(rabbit, rabbit.teardown(speed=BRISK))
        assert elsewhere.connections == 0


# ---- Newcomers ----

def newcomer(world):
    """A hook: somebody else's Job takes the name now."""
    return lambda kube, request: kube.create_job(JOB, cpu="900m")


def test_queues_of_a_newcomer_that_follows_at_once(rabbit):
    names = rabbit.ours()
    rabbit.world.kube.before(lambda kube, request: kube.recreate_job(JOB, cpu="900m"),
                             verb="delete", resource="jobs", name=JOB)
    assert rabbit.teardown().wait() == 0
    assert rabbit.queues() == set(names) and rabbit.proxy.connections == 0
    assert rabbit.world.left() >= {JOB, SERVICE}


def test_queues_of_a_newcomer_that_comes_after_the_job_went(rabbit):
    names = rabbit.ours()
    rabbit.world.kube.after(newcomer(rabbit.world), verb="delete", resource="services")
    cleaner = rabbit.teardown(ADOPT_SERVICE="false")
    assert cleaner.wait(PATIENCE) == 0
    assert rabbit.queues() == set(names) and rabbit.targets("DELETE") == []
    assert JOB in rabbit.world.left()


def test_queues_of_a_newcomer_that_comes_while_the_broker_is_down(rabbit):
    names = rabbit.ours()
    rabbit.proxy.fault(answer(503), times=None)
    cleaner = rabbit.teardown(speed=BRISK)
    cleaner.wait_log(msg="broker trouble")
    rabbit.world.kube.create_job(JOB, cpu="900m")
    rabbit.proxy.clear_faults()
    assert cleaner.wait(PATIENCE) == 0
    assert rabbit.queues() == set(names) and rabbit.targets("DELETE") == []
    assert JOB in rabbit.world.left()


@pytest.mark.parametrize("service", [True, False])
def test_queues_of_a_job_that_comes_late_after_all(rabbit, service):
    """It was missing, and comes while the rest is looked for: it is watched, and done later."""
    names = rabbit.ours()
    world = rabbit.world
    world.kube.create_job(SELF, containers=("cleanup",))
    if service:
        world.kube.create_service(SERVICE)
    world.kube.after(newcomer(world), verb="get", resource="services", nth=1)
    cleaner = rabbit.run(ADOPT_SERVICE="false", **MISSING)
    world.kube.wait_request(verb="list", resource="pods", group="metrics.k8s.io")
    assert rabbit.queues() == set(names) and rabbit.targets("DELETE") == []
    world.kube.complete_job(JOB)
    assert_done(rabbit, cleaner)

#!/usr/bin/python3
"""The fault matrix as data: requests, faults, and the rules for what must come of each pair.

    python3 test/faults_table.py [-n WORKERS]     plays all of it and prints the table

test_faults.py plays the cells. A cell is a request, a fault and how long the fault lasts: once, for
a minute of the program's clock, or for ever. What a cell must lead to is computed by expected().
"""
import argparse
import collections
import email.utils
import functools
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import faultproxy
from conftest import JOB, SELF, SERVICE
from fakekube import faults
from fakekube.faults import edit
from fakekube.store import rfc3339
from test_transport import Trap

SPEED = 20                  # the program's clock: a minute takes three seconds
MODES = ("once", "minute", "ever")
EVERYTHING = frozenset({JOB, SERVICE, SELF, "pod"})

Cell = collections.namedtuple("Cell", "row fault mode")


def name_of(cell):
    return f"{cell.row.name} / {cell.fault.name} / {cell.mode}"


# ---- Outcomes ----

class Outcome(collections.namedtuple("Outcome", "status left maybe runs", defaults=((), False))):
    """The exit status (None: it runs on and has deleted nothing, though the job completes), the
    names that are left, those that may be left, and whether the program goes on watching until
    the job completes."""


GONE = Outcome(0, frozenset())
RUNS = GONE._replace(runs=True)
BLIND = Outcome(None, EVERYTHING)
NEWCOMER = Outcome(0, EVERYTHING)
QUEUES_STAY = Outcome(0, frozenset({"queues"}))     # they hold no slot
SELF_STAYS = Outcome(0, frozenset({SELF}))      # best effort: its TTL is the backstop


def stays(*names):
    """These are left, and so our own Job: Kubernetes starts the program again."""
    return Outcome(1, frozenset({*names, SELF}))


# ---- Requests ----

class Row:
    """One request of the program's life.

    life    active, idle, ended (when the program comes), orphans (ended, and no controllers)
    phase   "watch", or "teardown": once the DELETE of the Job was accepted, or on the way there
    ever    effect of a fault -> what comes of it if it stays; GONE where nothing is said
    final   effects that one answer settles
    down    what is left if nothing is answered any more from this request on
    nth     the fault strikes this one, and those behind it
    minute  how long a minute is; a broker gets no more than that
    """

    def __init__(self, name, life, phase, match, ever=(), final="", down=(), env=(), minute=60,
                 nth=1):
        self.name, self.life, self.phase, self.match = name, life, phase, match
        self.ever, self.final = dict(ever), final.split()
        self.down = Outcome(1, frozenset(down))
        self.env, self.minute, self.nth = dict(env), minute, nth
        self.is_broker = name.startswith("broker")
        self.needs_broker = self.is_broker or "neighbour" in name

    @property
    def verb(self):
        return self.match.get("verb", self.match.get("method"))

    @property
    def changes(self):
        return self.verb not in ("get", "list", "watch", "GET")

    def matcher(self, kube):
        """Keywords for FakeKube.fault(): `before` and `after` are about the Job's DELETE."""
        match = dict(self.match)
        order = match.pop("order", None)

        def deleted():
            return any(r.method == "DELETE" and r.name == JOB and r.status == 200
                       for r in kube.server.requests)
        if order:
            match["when"] = lambda request: deleted() == (order == "after")
        return match


def settled(effects, outcome):
    return {effect: outcome for effect in effects.split()}


FAILS = "trouble denied conflict lost"      # what is no answer
NO_ADOPTION = {"ADOPT_SERVICE": "false"}
JOBS = {"resource": "jobs", "group": "batch"}
PODS = {"verb": "list", "resource": "pods", "group": ""}
METRICS = {"verb": "list", "resource": "pods", "group": "metrics.k8s.io"}
SERVICES = {"resource": "services", "name": SERVICE}

ROWS = [
    Row("LIST jobs", "active", "watch", {**JOBS, "verb": "list"},
        env=NO_ADOPTION),       # it is read instead
    Row("WATCH jobs", "active", "watch", {**JOBS, "verb": "watch"},
        {"newcomer": NEWCOMER}, final="newcomer", env=NO_ADOPTION),
    Row("GET job, watching", "active", "watch",
        {**JOBS, "verb": "get", "name": JOB, "order": "before"}, settled(FAILS, BLIND),
        env=NO_ADOPTION),
    Row("GET self", "active", "watch", {**JOBS, "verb": "get", "name": SELF},
        settled(FAILS, SELF_STAYS), env=NO_ADOPTION),
    Row("GET service, watching", "active", "watch",
        {**SERVICES, "verb": "get", "order": "before"}, env=NO_ADOPTION),
    Row("PATCH service", "active", "watch", {**SERVICES, "verb": "patch"}),
    Row("LIST metrics, busy", "active", "watch", METRICS,    # one idle reading would be enough
        env={**NO_ADOPTION, "MAX_CPU_USAGE_COUNT": 1}, nth=2),
    Row("LIST metrics, idle", "idle", "watch", METRICS, settled("trouble conflict lost", RUNS),
        env=NO_ADOPTION),       # one that is denied is read pod by pod
    Row("GET job, last look", "idle", "watch",
        {**JOBS, "verb": "get", "name": JOB, "order": "before"}, settled(FAILS, BLIND),
        env=NO_ADOPTION),
    Row("LIST pods, last look", "idle", "watch", {**PODS, "order": "before"},
        settled("trouble conflict", RUNS), env=NO_ADOPTION),
    Row("POST event", "active", "teardown", {"verb": "create", "resource": "events"},
        env=NO_ADOPTION),
    Row("DELETE job", "active", "teardown", {**JOBS, "verb": "delete", "name": JOB},
        settled("trouble denied conflict kept", stays(JOB, "pod")),    # it has ended: its Service goes
        down=EVERYTHING, env=NO_ADOPTION),
    Row("GET job, verification", "active", "teardown",
        {**JOBS, "verb": "get", "name": JOB, "order": "after"},
        settled("trouble denied conflict", stays()), down={SERVICE, SELF}, env=NO_ADOPTION),
    Row("LIST pods, verification", "active", "teardown", {**PODS, "order": "after"},
        settled("trouble conflict", stays()), down={SERVICE, SELF}, env=NO_ADOPTION),
    Row("DELETE pod", "orphans", "teardown", {"verb": "delete", "resource": "pods"},
        settled("trouble denied conflict", stays("pod")),
        down={"pod", SERVICE, SELF}, env=NO_ADOPTION),
    Row("GET service, teardown", "ended", "teardown", {**SERVICES, "verb": "get"},
        settled("trouble denied conflict", stays(SERVICE)), down=EVERYTHING),
    Row("DELETE service", "active", "teardown", {**SERVICES, "verb": "delete"},
        {**settled("trouble denied conflict", stays(SERVICE)),
         "recreated": Outcome(0, frozenset({SERVICE}))}, final="recreated",
        down={SERVICE, SELF}, env=NO_ADOPTION),
    Row("DELETE self", "active", "teardown", {**JOBS, "verb": "delete", "name": SELF},
        settled("trouble denied conflict", SELF_STAYS), final="conflict", down={SELF},
        env=NO_ADOPTION),
    Row("GET neighbour", "active", "teardown", {**JOBS, "verb": "get", "name": JOB + "-x"},
        settled("trouble denied conflict", QUEUES_STAY), down={SELF, "queues"}, env=NO_ADOPTION),
    Row("broker list", "active", "teardown", {"method": "GET"},
        settled("trouble denied", QUEUES_STAY), final="denied", env=NO_ADOPTION, minute=30),
    Row("broker delete", "active", "teardown", {"method": "DELETE"},
        settled("trouble denied", QUEUES_STAY), final="denied", env=NO_ADOPTION, minute=30),
]


# ---- Faults ----

class Armed:
    """A fault that waits for its request: `hits` (those in `struck`, if given), and end()."""

    def __init__(self, trigger, end=None, struck=None):
        self._trigger, self._end = trigger, end
        self._struck = trigger.hits if struck is None else struck

    @property
    def hits(self):
        return len(self._struck)

    def end(self):
        self._trigger.remove()
        if self._end:
            self._end()


class Fault:
    """One answer, or none.

    effect  what the program can know then: trouble; lost (done all the same, if it was a change);
            garbage (done, with a body that says nothing); denied; conflict; gone; fine; down
    make    fn(row) -> an action of fakekube.faults
    broker  an action of faultproxy, where the broker can answer so
    rows    None: all that go through the API server, else their names
    """

    def __init__(self, name, effect, make=None, broker=None, rows=None):
        self.name, self.effect, self.make, self.broker, self.rows = name, effect, make, broker, rows

    def concerns(self, row):
        if row.is_broker:
            return self.broker is not None
        return row.name in self.rows if self.rows else self.make is not None

    def arm(self, stage, row, times):
        if row.is_broker:
            return stage.broker.arm(self.broker, row.match["method"], times)
        return Armed(stage.kube.fault(self.make(row), times=times, nth=row.nth,
                                      **row.matcher(stage.kube)))


class Hook(Fault):
    """Something happens to the cluster once, and the request is then answered truly."""

    def __init__(self, name, effect, act, rows=None, end=None):
        super().__init__(name, effect, act, None, rows)
        self.act, self.undo = act, end

    def arm(self, stage, row, times):
        kube = stage.kube
        return Armed(kube.before(self.act, **row.matcher(kube)),
                     self.undo and (lambda: self.undo(kube)))


class Down(Fault):
    """From this request on nothing is answered: the listener is gone, or not to be trusted."""

    def __init__(self, name, start, end, rows=None):
        super().__init__(name, "down", start, None, rows)
        self.start, self.undo = start, end

    def arm(self, stage, row, times):
        kube, struck = stage.kube, []
        match = row.matcher(kube)

        async def start(kube, request):
            await self.start(kube)
            for connection in list(kube.server.connections.values()):
                if connection.number != request.connection and (
                        not connection.writer.transport.is_closing()):
                    connection.reset()
            struck.append(request)
        trigger = kube.before(start, **match)
        kube.fault(faults.reset_before_answer(), **match)
        return Armed(trigger, lambda: self.undo(kube), struck)


def of_stream(action, stream):
    """A watch has no end to cut: it has a fault of its own."""
    return lambda row: stream if row.verb == "watch" else action


def garbage(raw):
    """A read is answered with this; a change is made, and then answered with this."""
    def make(row):
        if row.changes:
            return faults.body(raw)
        return faults.answer(200, raw + (b"\n" if row.verb == "watch" else b""), faults.JSON)
    return make


def same(action):
    return lambda row: action


async def refuse(kube):
    await kube.server.refuse()


def show(pick):
    """New connections are shown another certificate."""
    async def start(kube):
        certificate = pick(kube.pki)
        kube.use_certificate(certificate)
    return start


def show_good(kube):
    kube.use_certificate(kube.pki.server)


OTHER_CA = []       # made once: it costs a few calls of openssl


def of_another_ca(pki):
    if not OTHER_CA:
        OTHER_CA.append(pki.new_ca("somebody-elses-ca").issue())
    return OTHER_CA[0]


def vanish(kube, request):
    """Somebody else was faster: the answer is the true 404."""
    kind = {"jobs": "job", "services": "service", "pods": "pod"}[request.resource]
    if kube.get(kind, request.name):
        kube.delete(kind, request.name, policy="Background", grace=0)
        if kube.get(kind, request.name):
            kube.vanish(kind, request.name)


def not_found(message, details):
    return same(faults.status(404, "NotFound", message, details))


def new_token(kube, request):
    kube.rotate_token()


def empty_token(kube, request):
    kube.write_service_account(token="")


@functools.lru_cache(maxsize=None)
def trap():
    """Where nobody may go, with a token or without."""
    return Trap()


def in_a_moment():
    return email.utils.formatdate(time.time() + 2, usegmt=True)


NAMED = [row.name for row in ROWS if row.match.get("name") or row.name == "DELETE pod"]
LISTS = [row.name for row in ROWS if row.verb in ("list", "watch")]
SHOWN = ["LIST jobs", "LIST metrics, busy", "DELETE job", "DELETE service"]
SECONDS = 1 / SPEED
ANONYMOUS = 'x is forbidden: User "system:anonymous" cannot get resource'
NEVER_ENDING = b'{"a":' * 100_000

CONNECTION = [
    Down("refused", refuse, lambda kube: kube.allow_connections()),
    Fault("reset-before", "trouble", same(faults.reset_before_answer()), faultproxy.reset()),
    Fault("closed-before", "trouble", same(faults.close_before_answer())),
    Fault("reset-mid-answer", "lost", of_stream(faults.reset_mid_body(20),
                                                faults.watch_after(0, "reset"))),
    Fault("reset-after-answer", "fine", of_stream(faults.reset_after_answer(),
                                                  faults.watch_after(1, "reset"))),
    Fault("never-answered", "trouble", same(faults.never_answer()), faultproxy.never()),
    Fault("60s-hang-then-close", "trouble", same(faults.hang_then_close(60 * SECONDS))),
    Fault("a-byte-a-second", "lost", of_stream(faults.drip(SPEED), faults.watch_split(1))),
    Fault("answer-lost", "lost", of_stream(faults.lose_answer(), faults.watch_after(0, "reset")),
          faultproxy.lose()),
    Fault("body-cut", "lost", of_stream(faults.cut_body(20), faults.watch_after(0, "end")),
          faultproxy.cut()),
    Fault("body-100MB", "trouble", same(faults.huge_body())),
]

STATUS = [
    Fault("401", "trouble", same(faults.status(401, "Unauthorized", "Unauthorized"))),
    Hook("401-then-new-token-file", "fine", new_token),
    Hook("empty-token-file", "fine", empty_token),
    Fault("403", "denied", same(faults.status(403, "Forbidden", "x is forbidden: no rule", {})),
          faultproxy.answer(403)),
    Fault("403-anonymous", "trouble", same(faults.status(403, "Forbidden", ANONYMOUS, {}))),
    Hook("404a", "gone", vanish, NAMED),
    Fault("404a-for-a-list", "trouble", not_found(f'jobs.batch "{JOB}" not found', {
        "name": JOB, "group": "batch", "kind": "jobs"}), rows=LISTS),
    Fault("404b", "trouble", not_found("the server could not find the requested resource", {})),
    Fault("404c", "trouble", same(faults.text(404, "404 page not found\n")),
          faultproxy.answer(404)),
    Fault("404d", "trouble", not_found('namespaces "gone" not found',
                                       {"name": "gone", "kind": "namespaces"})),
    Fault("404e", "trouble", same(faults.answer(404, b""))),
    Fault("404f", "trouble", same(faults.page(404))),
    Fault("409", "conflict", same(faults.status(409, "Conflict", "Operation cannot be fulfilled"))),
    Fault("410", "trouble", same(faults.status(410, "Expired", "too old resource version"))),
    Fault("429-none", "trouble", same(faults.throttled(None)), faultproxy.answer(429)),
    Fault("429-1", "trouble", same(faults.throttled(1))),
    Fault("429-32", "trouble", same(faults.throttled(32))),
    Fault("429-date", "trouble", lambda row: faults.throttled(in_a_moment())),
    Fault("500", "trouble", same(faults.status(500, "InternalError", "no")),
          faultproxy.answer(500)),
    Fault("503-text", "trouble", same(faults.unavailable()), faultproxy.answer(503)),
    Fault("504", "trouble", same(faults.etcd_timeout())),
    Fault("504-without-kind", "trouble", same(faults.timeout_text())),
    Fault("307-elsewhere", "trouble", lambda row: faults.answer(
        307, b"", headers={"Location": f"http://{trap().address}/"})),
]

BODY = [
    Fault("body-empty", "garbage", garbage(b"")),
    Fault("body-not-json", "garbage", garbage(b'{"kind":"Job","metadata":{"name":'),
          faultproxy.answer(200, b"rubbish")),
    Fault("body-of-wrong-shape", "garbage", garbage(b'{"kind":["Job"],"items":7,"metadata":[]}'),
          faultproxy.answer(200, {"items": 7})),
    Fault("body-null", "garbage", garbage(b"null")),
    Fault("body-not-utf8", "garbage", garbage(b'{"kind":"\xff\xfe\x00"}')),
    Fault("body-100000-deep", "garbage", garbage(NEVER_ENDING)),
    Fault("200-page", "trouble", same(faults.page(200))),
]

TLS = [
    Down("cert-expired", show(lambda pki: pki.expired), show_good, SHOWN),
    Down("cert-of-another-ca", show(of_another_ca), show_good, SHOWN),
    Down("cert-of-another-name", show(lambda pki: pki.other_name), show_good, SHOWN),
]


# ---- What concerns one request: the rest of the test list at the end of KUBERNETES.md ----

def changed(fn):
    """The true answer, changed: fn gets the decoded body, if there is anything in the list."""
    def change(response):
        body = json.loads(response.body)
        if body["items"]:
            fn(body)
        response.body = json.dumps(body).encode()
    return lambda row: edit(change)


def reading(**fields):
    """An answer of the metrics API whose first item says this."""
    return changed(lambda body: body["items"][0].update(fields))


def cpu(quantity):
    def change(body):
        for container in body["items"][0]["containers"]:
            container["usage"]["cpu"] = "0"
        body["items"][0]["containers"][0]["usage"]["cpu"] = quantity
    return changed(change)


def without_first_container(body):
    """The busy one, if one of them is."""
    del body["items"][0]["containers"][0]


def pending_beside(body):
    pod = json.loads(json.dumps(body["items"][0]))
    pod["metadata"].update(name=pod["metadata"]["name"] + "x", uid="another")
    pod["status"] = {"phase": "Pending"}
    body["items"].append(pod)


def with_condition(type_, status):
    def change(body):
        for item in body["items"]:
            item["status"].setdefault("conditions", []).append({"type": type_, "status": status})
    return changed(change)


def keep(kube, request):
    """A finalizer: the DELETE is answered with the Job and its deletionTimestamp."""
    kube.edit("job", JOB, lambda job: job["metadata"].update(finalizers=["example.com/keep"]))


def let_go(kube):
    if kube.job(JOB):
        kube.remove_finalizers("job", JOB)


def recreate_service(kube, request):
    kube.recreate_service(SERVICE)


def newcomer(kube, request):
    kube.later(0.2, lambda: kube.recreate_job(JOB, cpu="0"))


def finish_backwards(kube, request):
    """Complete comes first in the list, behind it what came earlier."""
    kube.complete_job(JOB)
    kube.edit("job", JOB, lambda job: job["status"]["conditions"].reverse())


def late(kube, request):
    """There is no Job at first, and then there is."""
    job = kube.job(JOB)
    kube.vanish("job", JOB)
    kube.later(0.1, kube.update, job)


WATCHED = ["WATCH jobs"]
MEASURED = ["LIST metrics, busy", "LIST metrics, idle"]
EXPIRED = b'{"type":"ERROR","object":{"kind":"Status","apiVersion":"v1","metadata":{},' \
          b'"status":"Failure","message":"too old resource version: 1 (418)",' \
          b'"reason":"Expired","code":410}}\n'
BOOKMARK = b'{"type":"BOOKMARK","object":{"kind":"Job","apiVersion":"batch/v1",' \
           b'"metadata":{"resourceVersion":"1"}}}\n'

LISTED = [
    Hook("200-with-deletionTimestamp", "kept", keep, ["DELETE job"], let_go),
    Fault("watch-EOF-at-0s", "trouble", same(faults.watch_after(0, "end")), rows=WATCHED),
    Fault("watch-silence", "trouble", same(faults.watch_after(0, "silence")), rows=WATCHED),
    Fault("watch-ERROR-410", "trouble", same(faults.watch_after(0, EXPIRED)), rows=WATCHED),
    Fault("watch-BOOKMARK", "fine", same(faults.watch_after(0, BOOKMARK)), rows=WATCHED),
    Hook("watch-uid-change-in-stream", "newcomer", newcomer, WATCHED),
    Fault("watch-event-split-at-every-byte", "fine", same(faults.watch_split(1)), rows=WATCHED),
    Fault("watch-two-events-in-one-chunk", "fine", same(faults.watch_joined()), rows=WATCHED),
    Fault("watch-5MiB-line", "trouble", same(faults.watch_after(0, b"x" * (5 << 20) + b"\n")),
          rows=WATCHED),
    Fault("metrics-empty", "trouble", changed(lambda body: body.update(items=[])), rows=MEASURED),
    Fault("metrics-partial-containers", "trouble", changed(without_first_container),
          rows=MEASURED),
    Fault("metrics-containers-[]", "trouble", reading(containers=[]), rows=MEASURED),
    Fault("metrics-null-timestamp", "trouble", reading(timestamp=None), rows=MEASURED),
    Fault("metrics-frozen-timestamp", "trouble",
          lambda row: reading(timestamp=rfc3339(time.time() - 20))(row), rows=MEASURED),
    Fault("metrics-negative", "trouble", cpu("-5m"), rows=MEASURED),
    Fault("metrics-1e-3", "fine", cpu("1e-3"), rows=MEASURED[1:]),
    Fault("metrics-2500u", "fine", cpu("2500u"), rows=MEASURED[1:]),
    Fault("metrics-0.004", "fine", cpu("0.004"), rows=MEASURED[1:]),
    Fault("metrics-overflow", "trouble", cpu("99999999999999999999"), rows=MEASURED),
    Fault("pod-pending-beside-an-idle-one", "trouble", changed(pending_beside),
          rows=["LIST pods, last look"]),
    Fault("suspended-false", "fine", with_condition("Suspended", "False"), rows=["LIST jobs"]),
    Fault("SuccessCriteriaMet-only", "fine", with_condition("SuccessCriteriaMet", "True"),
          rows=["LIST jobs"]),
    Hook("conditions-reversed", "ends", finish_backwards, ["GET job, last look"]),
    Hook("job-404-at-start-then-appears", "late", late, ["LIST jobs"]),
    Hook("service-recreated-before-its-delete", "recreated", recreate_service,
         ["DELETE service"]),
]

FAMILIES = {"connection": CONNECTION, "status": STATUS, "body": BODY, "tls": TLS, "listed": LISTED}
TRANSPORT = ("connection", "tls")   # how an answer comes, or not: make test plays these once


# ---- Rules ----

def effect_of(row, fault):
    """What the program can know of this request then."""
    if fault.effect == "lost":
        return "lost" if row.changes else "trouble"
    if fault.effect == "garbage":
        return "fine" if row.changes and not row.is_broker else "trouble"
    return fault.effect


def expected(row, fault, mode):
    effect = effect_of(row, fault)
    if effect == "down" and mode == "ever":
        if row.phase == "watch":
            return BLIND
        return row.down._replace(status=0 if row.down.left <= {SELF, "queues"} else 1)
    if mode == "ever" or effect in row.final:
        return row.ever.get(effect, GONE)
    if row.name == "DELETE self" and mode == "minute":
        return GONE._replace(maybe=(SELF,))     # three tries, and no more
    if row.name in ("GET self", "LIST jobs") and effect == "down" and mode == "minute":
        # whose Job that is tells the server's clock, which goes at a twentieth of ours
        return GONE._replace(maybe=(SELF,))
    return GONE


def is_told(row, fault, mode):
    """What happens once happens once; and an Event hurries nobody: if nothing is answered any more
    from it on, the Service may have gone by then, or not. (DELETE service, DELETE self say both.)"""
    if mode == "ever" and fault.effect == "down" and row.verb == "create":
        return False
    return mode == "once" or fault.effect not in ("newcomer", "ends", "late")


def cells(rows=None, families=FAMILIES, modes=MODES):
    return [Cell(row, fault, mode) for row in rows or ROWS for family in families
            for fault in FAMILIES[family] if fault.concerns(row) for mode in modes
            if is_told(row, fault, mode)]


def judge(results):
    """What is wrong with {name of a cell: why it does not hold, or ""}."""
    return [f"FAIL {name}: {why}" for name, why in results.items() if why]


def record(results):
    """For the table: a file for each test, in the directory that main() has made."""
    directory = os.environ.get("FAULTS_RESULTS")
    if directory:
        path = pathlib.Path(directory) / f"{os.getpid()}-{time.monotonic_ns()}.json"
        path.write_text(json.dumps(results))


# ---- The table ----

def letter(results, row, fault, mode):
    """o: it holds, F: it fails, -: there is no such cell."""
    name = name_of(Cell(row, fault, mode))
    if name not in results:
        return "-"
    return "F" if results[name] else "o"


def print_family(results, faults_of_it):
    rows = [row for row in ROWS if any(f.concerns(row) for f in faults_of_it)]
    print("\n" + " " * 24 + "".join(f"{n:<4}" for n in range(1, len(faults_of_it) + 1)))
    for row in rows:
        print(f"{row.name:<24}" + "".join(
            "".join(letter(results, row, fault, mode) for mode in MODES) + " "
            for fault in faults_of_it))
    for number, fault in enumerate(faults_of_it, 1):
        print(f"    {number:>2} {fault.name}")


def print_table(results):
    """A block for each family of faults: once, for a minute, for ever."""
    for faults_of_it in FAMILIES.values():
        print_family(results, faults_of_it)
    for name, why in sorted(results.items()):
        if why:
            print(f"\nFAIL: {name}: {why}")
    failed = sum(bool(why) for why in results.values())
    print(f"\n{len(results) - failed} passed, {failed} failed")


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("-n", default="8", help="pytest workers")
    parser.add_argument("-k", default="", help="as for pytest: only these requests or families")
    options = parser.parse_args()
    here = pathlib.Path(__file__).resolve().parent
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-n", options.n, "-k", options.k,
             "-p", "no:cacheprovider", here / "test_faults.py"], cwd=here.parent, check=False,
            env={**os.environ, "FAULTS": "all", "FAULTS_RESULTS": directory})
        results = {}
        for path in pathlib.Path(directory).glob("*.json"):
            results |= json.loads(path.read_text())
    print_table(results)
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())

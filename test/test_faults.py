"""Plays the cells of the fault matrix (faults_table.py): each request, each fault.

A cell holds when the program ends as expected(), and whatever it was told on the way
(P1) has not torn down a job before it ended, (P2) has deleted nothing but by the uids of our
objects, (P3) has left what it had to leave and nothing else, and (P4) has neither crashed nor grown
nor sent anything elsewhere. Its log has the lines that the contract allows.

`make test` plays what is about the transport, once: libcurl, TLS, sockets. What answers say is the
simulator's part there (`make sim`). FAULTS=all (`make faults`) plays all of the table, also for a
minute and for ever.
"""
import concurrent.futures
import contextlib
import http.server
import json
import os
import re
import threading
import time
import traceback
import urllib.parse

import pytest

import faults_table as table
from conftest import JOB, JOB_ID, SELF, SERVICE, World
from faults_table import SPEED, expected
from faultproxy import FaultProxy
from fakekube import FakeKube
from test_transport import assert_no_secret_leaked, seconds

ACTIVE = "900m"
INTERVAL = 2                # of the program's seconds
BOUND = 15                  # real seconds for what should be a matter of one or two
GROWTH_KB = 40_000          # far below the 100 MB of an answer
NEIGHBOUR = "grpc-job-12-7078"
BROKER_PASSWORD = "not-to-be-logged"
TROUBLES = ("API server trouble", "metrics API trouble", "broker trouble")
EVERY_SECONDS = 59.5        # a line a minute, by clocks that are rounded
AT_ONCE = 6                 # cells that wait beside each other in one process
BEAT = 0.02                 # how often the server's thread is to turn,
STARVED = 0.12              # and how late, at most: two seconds and more of the program's
REPLAYS = 3


# ---- The stage ----

class FakeBroker:
    """Three queues of ours and one of the neighbour's behind a management API, and its faults."""

    def __init__(self):
        self.names = {f"grpc-job-{JOB_ID}-{end}" for end in ("a", "b", "x-c")} | {
            NEIGHBOUR + "-a"}
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.proxy = FaultProxy(self._server.server_address[1])
        self.proxy.listen()

    def _handler(broker):       # pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def answer(self, status, body=None):
                body = b"" if body is None else json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def absent(self):
                self.answer(404, {"error": "Object Not Found", "reason": "Not Found"})

            def do_GET(self):
                path, _, query = self.path.partition("?")
                asked = urllib.parse.parse_qs(query)
                name = urllib.parse.unquote(path.rpartition("/")[2])
                if "page" in asked:
                    self.answer(200, {"items": [{"name": n} for n in sorted(broker.names)
                                                if asked["name"][0].lower() in n.lower()],
                                      "page": 1, "page_count": 1})
                elif name in broker.names:
                    self.answer(200, {"name": name})
                else:
                    self.absent()

            def do_DELETE(self):
                name = urllib.parse.unquote(self.path.rpartition("/")[2])
                if name in broker.names:
                    self.answer(204)
                else:
                    self.absent()
                broker.names.discard(name)

            def log_message(self, *args):
                pass
        return Handler

    def ours(self):
        return {name for name in self.names if name.startswith(f"grpc-job-{JOB_ID}-")}

    def env(self):
        return {"RABBITMQ_URL": self.proxy.url, "RABBITMQ_USER": "u",
                "RABBITMQ_PASSWORD": BROKER_PASSWORD}

    def arm(self, action, method, times):
        self.proxy.fault(action, method, times=times)
        return BrokerFault(self.proxy, method)

    def close(self):
        self.proxy.stopping.set()
        self.proxy.refuse()
        self._server.shutdown()
        self._server.server_close()


class BrokerFault:
    def __init__(self, proxy, method):
        self.proxy, self.method = proxy, method

    @property
    def hits(self):
        return sum(r.method == self.method for r in self.proxy.requests)

    def end(self):
        self.proxy.clear_faults()


class Stage(World):
    """A world with a neighbour that must not be touched, and with an eye on the program's size."""

    def __init__(self, kube, directory, broker=None):
        super().__init__(kube, directory)
        self.broker = broker
        self.neighbour = kube.create_job(NEIGHBOUR, cpu="0")
        self.neighbours_service = kube.create_service(NEIGHBOUR.replace("job", "service"))
        self.secrets = [BROKER_PASSWORD] if broker else []
        self.peak_kb = 0
        self.uids = set()
        self.ended = None           # seq of the last request before the job may go
        self.late = 0.0
        kube.before(self._look_at_size, times=None)
        self._beat(time.monotonic())

    def _beat(self, due):
        """How late the server's thread is: what a starved machine shows proves nothing."""
        self.late = max(self.late, time.monotonic() - due)
        self.kube.later(BEAT, self._beat, time.monotonic() + BEAT)

    def _look_at_size(self, kube, request):
        """The program waits for an answer now, so that it can be looked at."""
        for cleaner in self.cleaners:
            with contextlib.suppress(OSError):
                with open(f"/proc/{cleaner.process.pid}/status", encoding="ascii") as status:
                    size = re.search(r"VmHWM:\s*(\d+)", status.read())
                if size:            # it may have been killed
                    self.peak_kb = max(self.peak_kb, int(size[1]))

    def begin(self, life):
        self.pair(cpu=ACTIVE if life == "active" else "2m", containers=("grpc-server", "sidecar"))
        self.uids = {o["metadata"]["uid"] for o in (
            self.job, self.kube.service(SERVICE), self.kube.job(SELF), *self.kube.pods(JOB))}
        if life == "orphans":
            self.kube.controllers = False
        if life in ("ended", "orphans"):
            self.complete()

    def start(self, **changes):
        """The program, on a fast clock; five checks are two."""
        settings = {"CHECK_INTERVAL_SECONDS": INTERVAL, "MAX_CPU_USAGE_COUNT": 2,
                    "speed": SPEED, **(self.broker.env() if self.broker else {}), **changes}
        return self.run(**settings)

    def complete(self):
        self.ended = self.kube.requests[-1].seq if self.kube.requests else 0
        self.kube.complete_job(JOB)

    def left(self):
        """Names of what is left of the pair; a pod that is terminating counts as gone."""
        names = {name for name in (JOB, SELF) if self.kube.job(name)}
        names |= {SERVICE} & {s["metadata"]["name"] for s in self.kube.services()}
        names |= {"pod" for pod in self.kube.pods(JOB)
                  if "deletionTimestamp" not in pod["metadata"]}
        return names | ({"queues"} if self.broker and self.broker.ours() else set())

    def wait_watched(self):
        """Its Service is noted, and a check was made."""
        for match in ({"verb": "get", "resource": "services"},
                      {"verb": "watch", "resource": "jobs"}, table.METRICS):
            self.kube.wait_request(timeout=BOUND, **match)

    def wait_checks(self, count):
        """So many more; or the program has ended."""
        enough = len(self.checks()) + count
        self.kube.wait_for(lambda: len(self.checks()) >= enough or
                           self.cleaners[-1].process.poll() is not None, BOUND, "more checks")

    def assert_untouched(self, cleaner):
        """It watches on: alive, and nothing was deleted."""
        assert cleaner.process.poll() is None, "it has ended:\n" + cleaner.text()
        assert not self.deletions(), "a job that had not ended was torn down"

    def wait_left(self, want):
        """What is to go has gone; controllers may need a moment."""
        def as_wanted():
            left = self.left()
            return want.left <= left <= want.left | set(want.maybe)
        deadline = time.monotonic() + 3
        while not as_wanted() and time.monotonic() < deadline:
            with contextlib.suppress(AssertionError):
                self.kube.wait_for(as_wanted, timeout=0.2)
        assert as_wanted(), f"left is {sorted(self.left())}, not {sorted(want.left)}"


@contextlib.contextmanager
def stage(directory, broker=False):
    with contextlib.ExitStack() as stack:
        kube = stack.enter_context(FakeKube(dir=directory / "kube"))
        fake = FakeBroker() if broker else None
        if fake:
            stack.callback(fake.close)
        staged = Stage(kube, directory, fake)
        stack.callback(staged.close)
        try:
            yield staged
        except Exception as e:
            e.starved = staged.late > STARVED
            raise


def patiently(play, directory, *args):
    """play(directory, *args), again where it failed on a machine that stood still meanwhile."""
    for number in range(REPLAYS + 1):
        place = directory / str(number)
        place.mkdir()
        try:
            return play(place, *args)
        except Exception as e:      # pylint: disable=broad-except
            if number == REPLAYS or not getattr(e, "starved", False):
                raise
    raise AssertionError("not reached")


# ---- What must hold of every run ----

def assert_promises(staged, cleaner):
    """Whatever the answers were."""
    assert cleaner.process.returncode in (None, 0, 1, 143), (
        f"crashed: {cleaner.process.returncode}\n{cleaner.text()}")
    assert_only_ours_deleted(staged)
    assert_neighbour_lives(staged)
    assert_modest_log(cleaner)
    assert_no_secret_leaked(staged)
    assert not table.trap().sprung(), "something was sent elsewhere"
    if not os.environ.get("ASAN_OPTIONS"):
        assert 0 < staged.peak_kb < GROWTH_KB, f"it grew to {staged.peak_kb} kB"


def assert_only_ours_deleted(staged):
    for r in staged.requests():
        if r.method == "DELETE":
            uid = (r.body or {}).get("preconditions", {}).get("uid")
            assert r.verb == "delete" and uid in staged.uids, f"a DELETE of what is not ours: {r}"


def assert_neighbour_lives(staged):
    kube, uid = staged.kube, lambda o: o and o["metadata"]["uid"]
    for now, before in ((kube.job(NEIGHBOUR), staged.neighbour),
                        (kube.service(NEIGHBOUR.replace("job", "service")),
                         staged.neighbours_service)):
        assert uid(now) == uid(before), "the neighbour was touched"
    assert kube.pods(NEIGHBOUR), "the neighbour's pod was touched"
    assert not staged.broker or NEIGHBOUR + "-a" in staged.broker.names


def assert_modest_log(cleaner):
    """The first failure, a line a minute, the recovery; one line for a missing permission."""
    for msg in TROUBLES:
        lines = cleaner.log(msg=msg)
        recovered = cleaner.log(msg="recovered", **{"from": msg})
        assert len(recovered) <= len(lines), f"recovered more often than failed: {msg}"
        for a, b in zip(lines, lines[1:]):
            assert seconds(a, b) >= EVERY_SECONDS, f"more than a line a minute: {msg}"
    denied = [(line["verb"], line["resource"]) for line in cleaner.log(msg="permission missing")]
    assert len(set(denied)) == len(denied), f"a missing permission was told twice: {denied}"
    warnings = cleaner.log(level="warn")
    assert len(warnings) <= 12, "too many warnings:\n" + cleaner.text()


def assert_no_hot_loop(cleaner, hits):
    """Not more than two tries a second, by the program's clock."""
    lived = seconds(cleaner.lines[0], cleaner.lines[-1]) if cleaner.lines else 0
    assert hits <= 10 + 2 * lived, f"{hits} tries in {lived:.0f} s"


# ---- One cell ----

def wait_for_a_while(staged, armed):
    """Three tries, or forty of the program's seconds where it does not try again."""
    until = time.monotonic() + 40 / SPEED
    staged.kube.wait_for(lambda: armed.hits >= 3 or time.monotonic() > until, BOUND)


def wait_for_a_minute(staged, row):
    until = time.monotonic() + row.minute / SPEED
    staged.kube.wait_for(lambda: time.monotonic() > until, BOUND)


def let_it_last(staged, cell, armed):
    """Waits until the fault has struck, and for as long as it is to last; then ends it."""
    staged.kube.wait_for(lambda: armed.hits, BOUND, "the request of " + table.name_of(cell))
    if cell.mode == "ever":
        wait_for_a_while(staged, armed)
        return
    if cell.mode == "minute":
        wait_for_a_minute(staged, cell.row)
    armed.end()


def is_torn_down_as_it_is(cell, want):
    """The job idles, ends or is another one: there is nothing to wait for."""
    if cell.fault.effect in ("newcomer", "ends"):
        return True
    if cell.fault.effect == "gone" and cell.row.match.get("name") == JOB:
        return True
    return cell.row.life == "idle" and not want.runs and want is not table.BLIND


def watch_phase(staged, cleaner, want):
    """The job is busy, or nobody can tell that it idles: until it completes, nothing is done."""
    if want is not table.BLIND:
        staged.wait_checks(2)
    staged.assert_untouched(cleaner)
    staged.complete()
    if want is table.BLIND:
        with contextlib.suppress(AssertionError):
            staged.kube.wait_for(staged.deletions, timeout=0.5)
        staged.assert_untouched(cleaner)


def play(directory, cell):
    """Raises AssertionError where the cell does not hold."""
    row, fault, mode = cell
    want = expected(*cell)
    with stage(directory, broker=row.needs_broker) as staged:
        staged.begin(row.life)
        armed = fault.arm(staged, row, 1 if mode == "once" else None)
        cleaner = staged.start(TEARDOWN_TIMEOUT_SECONDS=100 if mode == "ever" else 160, **row.env)
        if row.phase == "teardown" and row.life == "active":
            staged.wait_watched()
            staged.complete()
        let_it_last(staged, cell, armed)
        if row.phase == "watch" and not is_torn_down_as_it_is(cell, want):
            watch_phase(staged, cleaner, want)
        if want.status is not None:
            status = cleaner.wait(BOUND)
            assert status == want.status, f"exit status {status}, not {want.status}"
        staged.wait_left(want)
        assert_promises(staged, cleaner)
        assert_no_hot_loop(cleaner, armed.hits)


def verdict(cell, directory):
    """"" if the cell holds, else why it does not."""
    slug = re.sub(r"[^\w]+", "-", table.name_of(cell))
    (directory / slug).mkdir()
    try:
        patiently(play, directory / slug, cell)
    except Exception as e:      # pylint: disable=broad-except
        where = traceback.extract_tb(e.__traceback__)[-1]
        return f"{e} ({where.name}, line {where.lineno})"
    return ""


# ---- The matrix ----

ALL = os.environ.get("FAULTS") == "all"
MODES = (os.environ.get("MODES", "").split() or table.MODES) if ALL else table.MODES[:1]
ITEMS = [(row, family) for row in table.ROWS for family in (table.FAMILIES if ALL else
                                                            table.TRANSPORT)
         if table.cells([row], [family])]


@pytest.mark.parametrize("row,family", ITEMS, ids=lambda x: getattr(x, "name", x))
def test_every_request_and_every_fault(row, family, tmp_path):
    cells = table.cells([row], [family], MODES)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        found = list(pool.map(lambda cell: verdict(cell, tmp_path), cells))
    results = {table.name_of(cell): why for cell, why in zip(cells, found)}
    table.record(results)
    wrong = table.judge(results)
    assert not wrong, "\n\n".join(wrong)

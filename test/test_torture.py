"""Memory that runs out: each allocation is made to fail in turn, in a run of every kind.

failmalloc.c counts the allocations of a run, then the same run is repeated with the n-th of them
failing (alone, three in a row, or all from there on; or OpenSSL's, too). The rule, whichever fails:

* the program ends by itself, by no signal (but OpenSSL may crash at its start), with 0 or 1; where
  nothing works any more, it goes on without a hot loop and ends on SIGTERM;
* 2: a file could not be read, and no request was made;
* 0: everything is gone (or named as left: our own Job, for which there is a TTL, and queues,
  which must not hold a slot);
* 1: an error is logged, and what is left is named;
* each DELETE is for one of ours, by its uid; neighbours, newcomers and active jobs live on;
* neither the token nor the broker's password is written.

Here a sample of each; TORTURE=all: every n (alone), every 23rd (in the other ways).
"""
import collections
import concurrent.futures
import http.server
import json
import os
import pathlib
import re
import signal
import subprocess
import threading
import time
import urllib.parse

import pytest

from cleaner import BINARY, ROOT
from conftest import JOB, JOB_ID, SELF, SERVICE, World, reads_its_memory
from fakekube import FakeKube
from longlife import growth, live

ALL = os.environ.get("TORTURE") == "all"
SHARDS = 16 if ALL else 1       # of the numbers of one case and way, so that xdist can share them
SAMPLE = 8                      # numbers of a case and way otherwise
AT_ONCE = 3
DEADLINE = 60                   # of one run, which takes 0.3 s, or 2 s with a pause in it
NEIGHBOUR = "grpc-job-12-7078"  # our id is longer by one figure
PASSWORD = "correct-horse-battery"
PREFIX = f"grpc-job-{JOB_ID}-"

pytestmark = pytest.mark.skipif("libasan" in os.environ.get("LD_PRELOAD", "") or "asan" in
                                os.environ.get("CLEANUP_BIN", ""), reason="ASan has its own malloc")


# ---- The stage ----

class Broker:
    """The management API in short: a set of queues, LIST and DELETE."""

    def __init__(self):
        self.queues = {PREFIX + "a", PREFIX + "b", NEIGHBOUR + "-a", PREFIX[:-1] + "0-a"}
        self.foreign = self.queues - self.ours()
        broker = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):       # pylint: disable=invalid-name
                items = [{"name": name} for name in sorted(broker.queues)]
                self.answer(200, json.dumps({"items": items, "page": 1, "page_count": 1}))

            def do_DELETE(self):    # pylint: disable=invalid-name
                broker.queues.discard(urllib.parse.unquote(self.path.rpartition("/")[2]))
                self.answer(204, "")

            def answer(self, status, body):
                self.send_response(status)
                if body:
                    self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body.encode())

            def log_message(self, *args):   # pylint: disable=arguments-differ
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def ours(self):
        return {q for q in self.queues if q.startswith(PREFIX)}

    def env(self):
        return {"RABBITMQ_URL": f"http://127.0.0.1:{self.server.server_port}",
                "RABBITMQ_USER": "u", "RABBITMQ_PASSWORD": PASSWORD}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Stage(World):
    """The pair, a neighbour whose names begin like ours, and what must be true afterwards."""

    def __init__(self, kube, directory):
        super().__init__(kube, directory)
        self.broker = Broker()
        kube.create_job(NEIGHBOUR)
        kube.create_service(NEIGHBOUR.replace("job", "service"))
        self.spared = self.uids()       # nobody may delete these
        self.ours = {}                  # uid -> name: what may be deleted

    def uids(self):
        kube = self.kube
        return {o["metadata"]["uid"]: o["metadata"]["name"]
                for o in kube.jobs() + kube.services() + kube.pods()}

    def pair(self, **options):
        super().pair(**options)
        self.ours = {u: n for u, n in self.uids().items() if u not in self.spared}
        return self

    def left(self):
        return super().left() - {NEIGHBOUR.replace("job", "service")}

    def newcomer(self, kube, _request):
        """Another pair, as idle as can be, has our names by now; hook."""
        for new in (kube.recreate_job(JOB, cpu="0"), kube.recreate_service(SERVICE)):
            self.spared[new["metadata"]["uid"]] = new["metadata"]["name"]

    def close(self):
        self.broker.close()
        super().close()


def idle(stage):
    """Adopts the Service, checks, looks a last time, tears down."""
    stage.pair(cpu="2m")
    return {}


def completed(stage):
    """Everything by DELETEs of its own, with queues."""
    stage.pair()
    stage.kube.complete_job(JOB)
    return {"ADOPT_SERVICE": "false", **stage.broker.env()}


def active(stage):
    """Only one of two containers is active. Then a newcomer has the name: nothing is touched."""
    stage.pair(containers=("a", "b"), cpu={"a": "0", "b": "900m"})
    stage.kube.after(stage.newcomer, verb="list", group="metrics.k8s.io", nth=4)
    return {}


def replaced(stage):
    """Idle, but at the moment of the DELETE it is another Job."""
    stage.pair(cpu="2m")
    stage.kube.before(stage.newcomer, verb="delete", resource="jobs", name=JOB)
    return {"ADOPT_SERVICE": "false"}


CASES = [idle, completed, active, replaced]

# how many fail; whose count; every which one is taken with TORTURE=all; for how long it may go on:
# OpenSSL remembers a failure of what it does once only, so no connection may ever come about
Way = collections.namedtuple("Way", "name row everybody stride patience")
WAYS = [Way("one", 1, False, 1, None), Way("three", 3, False, 23, None),
        Way("all on", 10 ** 9, False, 23, 1.5), Way("openssl too", 1, True, 23, 6)]


# ---- One run ----

@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    out = tmp_path_factory.mktemp("failmalloc") / "failmalloc.so"
    subprocess.run(["cc", "-std=gnu17", "-D_GNU_SOURCE", "-shared", "-fPIC", "-O2", "-Wall",
                    "-Werror", "-o", out, ROOT / "test" / "failmalloc.c"], check=True, timeout=60)
    return out


class Run:
    """The case with the n-th allocation failing (0: none)."""

    def __init__(self, case, way, n, shim, directory):
        self.case, self.n = case, n
        self.report_file = directory / "report"
        directory.mkdir()
        self.findings = []
        with FakeKube(dir=directory / "kube") as kube:
            stage = Stage(kube, directory)
            try:
                env = case(stage)
                # "./": LD_PRELOAD is a list, that spaces and colons end the names of
                cleaner = stage.run(
                    prefix=("env", "-C", str(shim.parent), f"LD_PRELOAD=./{shim.name}"),
                    FAILMALLOC_REPORT=self.report_file, FAILMALLOC_AT=n,
                    FAILMALLOC_FOR=way.row, FAILMALLOC_ALL=int(way.everybody),
                    CHECK_INTERVAL_SECONDS="0.05", MAX_CPU_USAGE_COUNT="2",
                    MIN_DISTINCT_SAMPLES="1", TEARDOWN_TIMEOUT_SECONDS="3", **env)
                self.went_on = self.status = None
                self.wait(cleaner, way)
                self.judge(stage, cleaner, way)
            finally:
                stage.close()

    def wait(self, cleaner, way):
        try:
            self.status = cleaner.process.wait(way.patience or DEADLINE)
        except subprocess.TimeoutExpired:
            self.expect(way.patience, "hangs")
            self.end(cleaner)
        for reader in cleaner._readers:     # pylint: disable=protected-access
            reader.join(5)

    def end(self, cleaner):
        """It goes on: is that all that it does, and does it end when it should?"""
        lived = time.monotonic() - cleaner.started
        stat = pathlib.Path(f"/proc/{cleaner.process.pid}/stat").read_text().split()
        cpu = sum(map(int, stat[13:15])) / os.sysconf("SC_CLK_TCK")
        self.expect(cpu < lived / 2, f"a hot loop: {cpu} s of CPU in {lived} s")
        cleaner.signal()
        at = time.monotonic()
        self.status = cleaner.wait(DEADLINE)
        self.expect(time.monotonic() - at < 10, "slow to end on SIGTERM")
        self.went_on = True

    def expect(self, true, words):
        if not true:
            self.findings.append(words)

    @property
    def report(self):
        return self.report_file.read_text() if self.report_file.exists() else ""

    def judge(self, stage, cleaner, way):
        self.log = cleaner.text()
        ends = {0, 1, 143} if self.went_on else {0, 1} if stage.kube.requests else {1, 2}
        if way.everybody and not stage.kube.requests:
            ends.add(-signal.SIGSEGV)   # OpenSSL 3.0 itself, where its own start failed
        self.expect(self.status in ends, f"exit status {self.status}")
        living = stage.uids()
        self.expect(set(stage.spared) <= set(living),
                    f"deleted: {set(stage.spared.items()) - set(living.items())}")
        for r in stage.requests(verb="delete"):
            uid = ((r.body or {}).get("preconditions") or {}).get("uid")
            self.expect(uid in stage.ours, f"DELETE {r.name} with uid {uid}")
        self.expect(not stage.requests(verb="deletecollection"), "deletecollection")
        self.expect(stage.broker.foreign <= stage.broker.queues, "a foreign queue is gone")
        written = self.log.encode() + cleaner.stdout + stage.termination_log.read_bytes()
        for secret in (*stage.kube.rbac.tokens, PASSWORD):
            self.expect(secret[-12:].encode() not in written
                        and secret[:12].encode() not in written, "a secret is written")
        lines = [line for line in cleaner.lines if "raw" not in line]
        last = lines[-1] if lines else {}
        torn = last.get("msg") in ("torn down", "teardown incomplete")
        if self.status == 0 and self.case in (idle, completed):
            self.gone(stage, last)
        elif self.status == 0:
            self.expect(JOB in stage.left() and SERVICE in stage.left(), "the newcomer is gone")
        elif self.status == 1:
            self.expect(any(line.get("level") == "error" for line in lines), "exit 1, no error")
            for field, name in (("job", JOB), ("service", SERVICE)):
                self.expect(not torn or name not in stage.left()
                            or last[field] not in ("deleted", "absent"),
                            f"{name} is there, and said to be {last.get(field)}")

    def gone(self, stage, last):
        allowed = {SELF} if last.get("self") == "left" else set()
        try:
            stage.kube.wait_for(lambda: stage.left() <= allowed, 5)
        except AssertionError:
            self.findings.append(f"exit 0, and {stage.left()} left")
        self.expect(self.case is not completed or not stage.broker.ours()
                    or last.get("queues") == "left", "exit 0, queues left and not named")


def count(case, way, shim, directory):
    """How many allocations the undisturbed run makes; it has to do its job."""
    run = Run(case, way, 0, shim, directory / "count")
    assert run.findings == [] and run.status == 0, (run.findings, run.log)
    return int(re.search(r"counted (\d+)", run.report)[1])


# ---- The test ----

def repeat(case, way, numbers, shim, tmp_path):
    """The case once for each number; fails with what was found."""
    def one(n):
        run = Run(case, way, n, shim, tmp_path / str(n))
        return run if run.findings else None
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        bad = [run for run in pool.map(one, numbers) if run]
    assert not bad, f"{len(bad)} of {len(numbers)} runs:\n" + "\n".join(
        f"n={run.n}: {run.findings}\n{run.report}{run.log[-3000:]}" for run in bad[:5])


@pytest.mark.parametrize("shard", range(SHARDS))
@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.name)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_an_allocation_fails(case, way, shard, shim, tmp_path):
    total = count(case, way, shim, tmp_path)
    stride = way.stride if ALL else max(1, total // SAMPLE)
    repeat(case, way, range(1, total + 1, stride)[shard::SHARDS], shim, tmp_path)


def test_the_shim_fails_what_it_should(shim, tmp_path):
    """Otherwise all of the above would pass. (libjansson's may come by way of the program.)"""
    way = WAYS[0]
    total = count(completed, way, shim, tmp_path)
    assert total > 1000
    numbers = (2, 10, 50, total // 4, total // 3, total // 2)
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        runs = list(pool.map(lambda n: Run(completed, way, n, shim, tmp_path / str(n)), numbers))
    failed = [re.search(r"failed (\d+) (.+)\+0x", run.report) for run in runs]
    assert tuple(int(f[1]) for f in failed) == numbers
    assert {"libcurl", pathlib.Path(BINARY).name} <= {
        pathlib.Path(f[2]).name.partition(".so")[0] for f in failed}


# ---- A long life, in short; `make longlife` for the long one ----

@reads_its_memory
def test_a_short_life_does_not_grow():
    rows = live(3000, 30)
    assert growth(rows, kilobytes=512) == []        # what is not warm yet after 300 checks
    assert rows[-1][1] >= 3000 and rows[-1][2] >= 30, "checks, watches"


def test_growth_is_seen():
    flat = (1, 100, 10, 9000, 2000, 11, 2, 1, 5)
    assert growth([flat, flat, flat]) == []
    for column, value in ((3, 9300), (4, 2300), (5, 14), (6, 5), (7, 2)):
        assert growth([flat, flat, (*flat[:column], value, *flat[column + 1:])]), column

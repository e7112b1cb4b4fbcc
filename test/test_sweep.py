"""`--sweep`: what no cleaner is left to remove goes, and nothing else. Section 11 of the contract."""
import contextlib
import json
import time

import pytest

from conftest import JOB, JOB_ID, SELF, SERVICE
from fakekube import faults
from fakekube.store import PODS, rfc3339
from manifests import SWEEP, required_rules

OLD, YOUNG = 3600, 300
TWO = "13-70789"


def names(job_id):
    return f"grpc-job-{job_id}", f"grpc-service-{job_id}", f"cleanup-job-{job_id}"


@contextlib.contextmanager
def ago(world, seconds=OLD):
    """What is made within was made so long ago, by the server's clock."""
    world.kube.clock_offset = -seconds
    yield world.kube
    world.kube.clock_offset = 0


@pytest.fixture(name="swept")
def swept_fixture(world):
    """A namespace, and sweep.yml's account; TWO is a job that lives in it."""
    world.kube.set_rules(required_rules(SWEEP))
    with ago(world):
        job, service, self_job = names(TWO)
        world.kube.create_job(job)
        world.kube.create_service(service)
        world.kube.create_job(self_job, containers=("cleanup",))
    return world


def start(world, *args, **changes):
    return world.run("--sweep", *args, JOB_ID=None, **changes)


def sweep(world, *args, timeout=60, **changes):
    """(exit status, the rows that it printed, the process)"""
    cleaner = start(world, *args, **changes)
    status = cleaner.wait(timeout)
    assert {n for n in names(TWO) if there(world, n)} == set(names(TWO)), "a live job was touched"
    return status, [json.loads(line) for line in cleaner.stdout.splitlines()], cleaner


def there(world, name):
    return world.kube.job(name) or world.kube.service(name)


def idle_self(world, name=SELF):
    """A cleaner's Job whose pod is no longer at work, as with backoffLimit: 0."""
    world.kube.create_job(name, containers=("cleanup",), ttl=None)
    world.kube.fail_job(name)


def touched(world):
    return [(r.method, r.name) for r in world.kube.requests if r.method not in ("GET", "HEAD")]


# ---- what goes ----

def service_alone(kube):
    kube.create_service(SERVICE)


def cleaner_alone(kube):
    kube.create_job(SELF, containers=("cleanup",), ttl=None)
    kube.fail_job(SELF)


def service_and_cleaner(kube):
    service_alone(kube)
    cleaner_alone(kube)


def finished_job(kube):
    kube.ttl_controller = False
    kube.create_job(JOB, ttl=120)
    kube.complete_job(JOB)


def failed_job_and_service(kube):
    kube.ttl_controller = False
    kube.create_job(JOB, ttl=None)
    kube.create_service(SERVICE)
    kube.fail_job(JOB)


def all_three(kube):
    failed_job_and_service(kube)
    cleaner_alone(kube)


@pytest.mark.versions
@pytest.mark.parametrize("leave", [service_alone, cleaner_alone, service_and_cleaner, finished_job,
                                   failed_job_and_service, all_three], ids=lambda f: f.__name__)
def test_what_is_left_goes(swept, leave):
    with ago(swept) as kube:
        leave(kube)
    status, rows, cleaner = sweep(swept)
    assert status == 0, cleaner.text()
    assert [row["id"] for row in rows] == [JOB_ID]
    assert not any(there(swept, n) for n in names(JOB_ID))
    assert {r.method for r in swept.kube.requests} <= {"GET", "DELETE", "POST"}
    assert not swept.requests(verb="watch") and not swept.requests(group="metrics.k8s.io")
    deletions = [r for r in swept.kube.requests if r.method == "DELETE"]
    assert deletions and all(r.body["preconditions"]["uid"] for r in deletions)
    assert {n for _, n in swept.deletions()} <= set(names(JOB_ID))
    # a GET of its Job, right before the first DELETE (of a Job: and of its Service)
    reads = [r for r in swept.kube.requests if r.seq < deletions[0].seq and r.name]
    assert JOB in [r.name for r in reads[-2:] if r.verb == "get"]
    assert sweep(swept)[:2] == (0, []), "nothing is left for the next one"


def test_a_dry_run_prints_what_would_go_and_why(swept):
    with ago(swept) as kube:
        all_three(kube)
    status, rows, _ = sweep(swept, "--dry-run")
    assert (status, touched(swept)) == (1, [])
    (row,) = rows
    assert row["id"] == JOB_ID and row["job"] == "ended" and row["service"] and row["cleaner"]
    assert row["why"] == "its Job ended long ago" and abs(row["age_seconds"] - OLD) < 30
    assert there(swept, SERVICE)


def test_the_table_for_people(swept):
    with ago(swept) as kube:
        service_alone(kube)
    cleaner = start(swept, "--dry-run", LOG_FORMAT="text")
    assert cleaner.wait() == 1
    head, columns, row = cleaner.stdout.decode().splitlines()
    assert "of 2 ids 1 are leftovers" in head and columns.split()[:3] == ["ID", "JOB", "SERVICE"]
    assert row.split()[:6] == [JOB_ID, "-", "yes", "-", "0", "-"] and "its Job does not exist" in row


def test_orphaned_pods_go_when_their_job_is_gone(swept):
    with ago(swept) as kube:
        kube.create_job(JOB)
        orphan(swept)
    status, rows, cleaner = sweep(swept, speed=10, TEARDOWN_TIMEOUT_SECONDS=60)
    assert status == 0, cleaner.text()
    assert rows[0]["pods"] == 1
    swept.kube.wait_for(lambda: not swept.kube.pods(JOB), what="the pods gone")


def orphan(world, name=JOB):
    """kubectl delete --cascade=orphan."""
    for pod in world.kube.pods(name):
        world.kube.edit("pod", pod["metadata"]["name"],
                        lambda p: p["metadata"].pop("ownerReferences"))
    world.kube.vanish("job", name)


def test_orphans_beside_another_job_of_their_name_go_and_it_stays(swept):
    with ago(swept) as kube:
        kube.create_job(JOB)
        ours = [p["metadata"]["name"] for p in kube.pods(JOB)]
        orphan(swept)
    with ago(swept, YOUNG) as kube:
        kube.create_job(JOB)
        kube.create_service(SERVICE)
        kube.create_job(SELF, containers=("cleanup",))
    theirs = {p["metadata"]["name"] for p in swept.kube.pods(JOB)} - set(ours)
    status, rows, cleaner = sweep(swept, speed=10, TEARDOWN_TIMEOUT_SECONDS=60)
    assert status == 0, cleaner.text()
    assert [row["job"] for row in rows] == ["another"]
    swept.kube.wait_for(lambda: {p["metadata"]["name"] for p in swept.kube.pods(JOB)} == theirs,
                        what="the orphans gone, and no other pod")
    assert all(there(swept, n) for n in (JOB, SERVICE, SELF))
    assert {r for r, _ in swept.deletions()} == {"pods"}


def test_a_cleaner_that_may_be_at_work_gets_a_minute(swept):
    """It has seen the job go, and is with the queues: nothing but its own Job is left."""
    with ago(swept) as kube:
        kube.create_job(SELF, containers=("cleanup",))
    cleaner = start(swept, speed=20)
    assert cleaner.wait() == 0 and not there(swept, SELF)
    (deletion,) = [r for r in swept.kube.requests if r.method == "DELETE"]
    assert deletion.time - swept.requests(verb="list", resource="jobs")[0].time > 55 / 20


# ---- what stays ----

def live(kube):
    kube.create_job(JOB)


def suspended(kube):
    kube.create_job(JOB)
    kube.suspend_job(JOB)


def pending(kube):
    kube.create_job(JOB, phase="Pending")


def held_though_finished(kube):
    finished_job(kube)
    kube.annotate(JOB, values={"cleanup-grpc/hold": "true"})


def finished_with_a_long_ttl(kube):
    kube.create_job(JOB, ttl=OLD)
    kube.complete_job(JOB)


@pytest.mark.parametrize("make", [live, suspended, pending, held_though_finished,
                                  finished_with_a_long_ttl], ids=lambda f: f.__name__)
def test_a_job_that_is_somebodys_stays_and_all_of_its_id(swept, make):
    with ago(swept) as kube:
        make(kube)
        kube.create_service(SERVICE)
        idle_self(swept)
    status, rows, _ = sweep(swept)
    assert (status, rows, touched(swept)) == (0, [], [])


@pytest.mark.parametrize("young", ["service", "cleaner", "finished"])
def test_what_is_young_stays_and_all_of_its_id(swept, young):
    """Service first, Job minutes later, as Helm sorts."""
    for what in ("service", "cleaner"):
        with ago(swept, YOUNG if what == young else OLD) as kube:
            {"service": service_alone, "cleaner": cleaner_alone}[what](kube)
    if young == "finished":
        swept.kube.ttl_controller = False
        with ago(swept) as kube:
            kube.create_job(JOB, ttl=120)
        with ago(swept, 600) as kube:
            kube.complete_job(JOB)
    assert sweep(swept)[:2] == (0, []) and touched(swept) == []


def test_age_is_by_the_servers_clock(swept):
    """Ours is a day ahead: what was made just now is no older for that."""
    service_alone(swept.kube)
    swept.kube.clock_offset = -86400
    swept.kube.edit("service", SERVICE, lambda s: s["metadata"].update(
        creationTimestamp=rfc3339(swept.kube.now() - YOUNG)))
    assert sweep(swept)[:2] == (0, [])
    swept.kube.edit("service", SERVICE, lambda s: s["metadata"].update(
        creationTimestamp=rfc3339(swept.kube.now() - 700)))
    for name in names(TWO):
        with contextlib.suppress(KeyError):
            swept.kube.edit("job", name, lambda j: j["metadata"].update(
                creationTimestamp=rfc3339(swept.kube.now() - 700)))
    assert [r["id"] for r in sweep(swept)[1]] == [JOB_ID]


@pytest.mark.parametrize("name", ["grpc-service-", "grpc-servicex-1", "grpc-service", "my-grpc-service-1",
                                  "grpc-service--1"])
def test_a_service_that_only_looks_alike_stays(swept, name):
    name = name if name != "grpc-service-" else "grpc-service-."
    with ago(swept) as kube:
        kube.create_service(name, app="other")
    assert sweep(swept)[:2] == (0, []) and touched(swept) == []


def test_pods_that_only_look_alike_stay(swept):
    with ago(swept) as kube:
        for label in ("grpc-job-A_B", "grpc-job", "grpc-job-", "other-grpc-job-1"):
            kube.create_job("donor")
            pod = kube.pods("donor")[0]
            pod["metadata"] |= {"name": f"p{abs(hash(label))}", "labels": {"job-name": label}}
            pod["metadata"].pop("ownerReferences")
            pod["metadata"].pop("uid")
            kube.call(kube.store.create, PODS, pod)
            kube.vanish("job", "donor")
    assert sweep(swept)[:2] == (0, []) and touched(swept) == []


# ---- what happens between the lists and the deletion ----

@pytest.mark.parametrize("comes", ["job", "held", "running"])
def test_a_job_that_comes_behind_the_lists_stays_with_its_service(swept, comes):
    with ago(swept) as kube:
        service_and_cleaner(kube)
        if comes != "job":
            finished_job(kube)

    def before_the_read(kube, _):
        if comes == "job":
            kube.create_job(JOB)
        elif comes == "held":
            kube.annotate(JOB, values={"cleanup-grpc/hold": "true"})
        else:
            kube.recreate_job(JOB)
    swept.kube.before(before_the_read, verb="get", name=JOB)
    status, rows, cleaner = sweep(swept)
    assert status == 0 and len(rows) == 1
    assert cleaner.log(msg="no leftover, left alone")
    assert [r for r in touched(swept) if r[0] == "DELETE"] == []


def test_a_hold_between_the_read_and_the_delete_wins(swept):
    with ago(swept) as kube:
        finished_job(kube)
    swept.kube.before(lambda k, _: k.annotate(JOB, values={"cleanup-grpc/hold": "true"}),
                      verb="delete", name=JOB)
    assert sweep(swept)[0] == 0
    assert there(swept, JOB)


@pytest.mark.parametrize("was_there", [True, False])
def test_a_service_that_comes_behind_the_lists_stays_with_its_cleaner(swept, was_there):
    with ago(swept) as kube:
        cleaner_alone(kube)
        if was_there:
            service_alone(kube)
    swept.kube.before(lambda k, _: k.recreate_service(SERVICE), verb="get", name=SERVICE)
    status, rows, cleaner = sweep(swept)
    assert (status, len(rows), touched(swept)) == (0, 1, [])
    assert cleaner.log(msg="no leftover, left alone", why="something of it is young")


def test_a_cleaner_that_comes_behind_the_lists_stays(swept):
    with ago(swept) as kube:
        service_alone(kube)
    swept.kube.before(lambda k, _: k.create_job(SELF, containers=("cleanup",)), verb="get", name=SELF)
    assert sweep(swept)[0] == 0 and touched(swept) == []


# ---- lists that are cut, stale, or none ----

EMPTY = {"kind": "JobList", "apiVersion": "batch/v1", "metadata": {"resourceVersion": "1"}, "items": []}


def reply(obj, status=200):
    return faults.answer(status, json.dumps(obj).encode(), "application/json")


@pytest.mark.parametrize("body", [
    {}, {"kind": "Status", "status": "Success"}, {**EMPTY, "kind": "ServiceList"}, {**EMPTY, "items": None},
    {k: v for k, v in EMPTY.items() if k != "items"}, {**EMPTY, "metadata": {}}, [],
    {**EMPTY, "items": [{"metadata": {}}]}, {**EMPTY, "metadata": {"resourceVersion": "1", "continue": 1}}])
def test_a_200_that_is_no_list_of_jobs_ends_it(swept, body):
    with ago(swept) as kube:
        service_alone(kube)
    swept.kube.fault(reply(body), times=None, verb="list", resource="jobs")
    status, rows, _ = sweep(swept)
    assert (status, rows, touched(swept)) == (1, [], [])


def test_an_empty_list_of_jobs_is_not_believed(swept):
    """A list that is well formed, and not true: each id is confirmed by a GET of its Job."""
    with ago(swept) as kube:
        live(kube)
        kube.create_service(SERVICE)
    swept.kube.fault(reply(EMPTY), times=None, verb="list", resource="jobs")
    status, rows, _ = sweep(swept, "--yes")
    assert {row["id"] for row in rows} == {JOB_ID, TWO} and status == 0
    assert touched(swept) == []


@pytest.mark.parametrize("resource_", ["jobs", "services", "pods"])
def test_a_list_that_fails_ends_it(swept, resource_):
    with ago(swept) as kube:
        service_alone(kube)
    swept.kube.fault(faults.text(500, "boom"), times=None, verb="list", resource=resource_)
    status, rows, _ = sweep(swept, speed=20)
    assert (status, rows, touched(swept)) == (1, [], [])


def many(world, count, make):
    """@count ids, of one request each would take long: straight into the store."""
    def run():
        for i in range(count):
            make(world.kube, f"{i}-{70000 + i}")
    world.kube.call(run)


def test_it_lists_page_by_page_and_starts_over_when_a_token_expires(swept):
    with ago(swept) as kube:
        many(swept, 120, lambda k, i: k.create_job(f"grpc-job-{i}", phase=None))
        service_alone(kube)
    pages = []

    def on_page(kube, request):
        pages.append(request.query.get("continue", [""])[0])
        if len(pages) == 2:
            kube.store.compact()
    swept.kube.before(on_page, times=None, verb="list", resource="jobs")
    status, rows, cleaner = sweep(swept)
    assert status == 0 and [r["id"] for r in rows] == [JOB_ID], cleaner.text()
    assert [bool(p) for p in pages] == [False, True, False, True, True]
    assert not there(swept, SERVICE)
    whole = [r for r in swept.requests(verb="list") if "=" not in r.query.get("labelSelector", [""])[0]]
    assert len(whole) == 5 + 1 + 1 and all(r.query["limit"] == ["50"] for r in whole)


def test_a_token_that_expires_each_time_ends_it(swept):
    with ago(swept) as kube:
        many(swept, 60, lambda k, i: k.create_job(f"grpc-job-{i}", phase=None))
        service_alone(kube)
    swept.kube.before(lambda k, r: k.store.compact(), times=None, verb="list", resource="jobs")
    status, rows, _ = sweep(swept)
    assert (status, rows, touched(swept)) == (1, [], [])


# ---- a limit on damage ----

def test_too_many_are_only_listed_until_somebody_says_yes(swept):
    swept.kube.bind_token("cleanup-sweep-29999999-bcdfg")
    with ago(swept):
        many(swept, 4, lambda k, i: k.create_service(f"grpc-service-{i}"))
    status, rows, cleaner = sweep(swept, SWEEP_MAX=3)
    assert (status, len(rows), len(swept.kube.services())) == (1, 4, 5)
    (line,) = cleaner.log(msg="too many leftovers")
    assert "--sweep --yes" in line["error"]
    (event,) = swept.kube.events()
    assert event["involvedObject"]["name"] == "cleanup-sweep-29999999" and event["type"] == "Warning"
    assert event["reason"] == "SweepRefused"
    assert sweep(swept, "--yes", SWEEP_MAX=3)[0] == 0
    assert len(swept.kube.services()) == 1


@pytest.mark.parametrize("lives,refused", [(4, True), (5, False)])
def test_more_than_half_of_more_than_ten_is_too_much(swept, lives, refused):
    with ago(swept):
        many(swept, 6, lambda k, i: k.create_service(f"grpc-service-{i}"))
        for i in range(lives):
            swept.kube.create_job(f"grpc-job-live-{i}", phase=None)
    status, rows, _ = sweep(swept)
    assert len(rows) == 6 and (status, bool(touched(swept))) == ((1, False) if refused else (0, True))


# ---- what it may not do ----

@pytest.mark.parametrize("rule", sorted(required_rules(SWEEP)), ids="-".join)
def test_without_a_right_it_does_the_rest_and_says_so(swept, rule):
    """Two ids: a Service; a cleaner's Job. Without events all goes; else what may not is named."""
    with ago(swept) as kube:
        service_alone(kube)
        idle_self(swept, "cleanup-job-14-1")
        finished = names("15-1")[0]
        kube.ttl_controller = False
        kube.create_job(finished)
        kube.complete_job(finished)
    swept.kube.deny(*rule)
    status, _, cleaner = sweep(swept, speed=20, timeout=100)
    harmless = rule[1] == "events" or rule == ("", "pods", "delete")
    assert status == (0 if harmless else 1), cleaner.text()
    gone = {n for n in (SERVICE, "cleanup-job-14-1", finished) if not there(swept, n)}
    want = {("batch", "jobs"): {"get": set(), "list": set(), "delete": {SERVICE}},
            ("", "services"): {"get": {finished}, "list": {"cleanup-job-14-1", finished},
                               "delete": {"cleanup-job-14-1", finished}}}
    everything = {SERVICE, "cleanup-job-14-1", finished}
    assert gone == want.get(rule[:2], {}).get(rule[2], everything)
    if not harmless:
        assert any(rule[2] in str(line.get("rule", "")) + str(line.get("error", ""))
                   for line in cleaner.lines), cleaner.text()


def test_an_id_too_long_for_a_services_name_is_named_and_left(swept):
    with ago(swept):
        idle_self(swept, "cleanup-job-" + "a" * 51)
        idle_self(swept, "cleanup-job-" + "b" * 50)
    status, rows, cleaner = sweep(swept)
    assert status == 1 and len(rows) == 2
    assert there(swept, "cleanup-job-" + "a" * 51) and not there(swept, "cleanup-job-" + "b" * 50)
    assert cleaner.log(id="a" * 51)


def test_a_signal_ends_it(swept):
    with ago(swept):
        idle_self(swept)
    swept.kube.fault(faults.never_answer(), times=None, verb="list", resource="services")
    cleaner = start(swept)
    swept.kube.wait_request(verb="list", resource="services")
    cleaner.signal()
    assert cleaner.wait() == 143 and touched(swept) == []


# ---- settings ----

def test_settings_of_one_job_and_bad_values(swept):
    cleaner = start(swept, RABBITMQ_URL="http://127.0.0.1:1", RABBITMQ_USER="u", RABBITMQ_PASSWORD="p",
                    RABBITMQ_QUEUE_PREFIX="grpc-job-1-", SWEEP_AFTER_SECONDS="59", SWEEP_MAX="0")
    assert cleaner.wait() == 2
    assert {w for w in ("RABBITMQ_QUEUE_PREFIX", "SWEEP_AFTER_SECONDS", "SWEEP_MAX")
            if f"{w}=" in cleaner.text()} == {"RABBITMQ_QUEUE_PREFIX", "SWEEP_AFTER_SECONDS", "SWEEP_MAX"}


# ---- what it costs ----

@pytest.mark.usefixtures("shipped")
def test_ten_thousand_jobs_services_and_pods(swept):
    """16 MB resident; and within a minute, of which most is the fake's, but that is printed only."""
    def make(kube, job_id):
        kube.create_job(f"grpc-job-{job_id}")
        kube.create_service(f"grpc-service-{job_id}")
    with ago(swept):
        for first in range(0, 10000, 500):
            swept.kube.call(lambda f=first: [make(swept.kube, f"{i}-1") for i in range(f, f + 500)])
        service_alone(swept.kube)
    began, peak = time.monotonic(), 0
    cleaner = start(swept)
    while cleaner.process.poll() is None:
        with contextlib.suppress(OSError), open(f"/proc/{cleaner.process.pid}/status") as f:
            peak = max([peak] + [int(line.split()[1]) for line in f if line.startswith("VmHWM")])
        time.sleep(0.02)
    took = time.monotonic() - began
    assert cleaner.wait() == 0 and len(cleaner.stdout.splitlines()) == 1
    print(f"{took:.1f} s, {peak} kB at most")
    assert not there(swept, SERVICE) and len(swept.kube.jobs()) == 10002
    assert peak < 16 * 1024

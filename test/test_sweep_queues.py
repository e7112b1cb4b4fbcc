"""The sweep and a real RabbitMQ: queues of nobody go, and those of jobs that live stay."""
import pytest

from conftest import JOB_ID
from manifests import SWEEP, required_rules
from test_rabbitmq import rabbit    # pylint: disable=unused-import
from test_sweep import TWO, ago, service_alone, sweep

pytestmark = pytest.mark.xdist_group("broker")  # one broker, whatever -n says
ALIVE = f"grpc-job-{TWO}"
HOUR = 3600


@pytest.fixture(name="swept")
def swept_fixture(rabbit):
    """The API server's clock is an hour ahead: what the broker has got now is old."""
    world = rabbit.world
    world.kube.set_rules(required_rules(SWEEP))
    world.kube.create_job(ALIVE)
    world.kube.create_service(f"grpc-service-{TWO}")
    world.kube.create_job(f"cleanup-job-{TWO}", containers=("cleanup",))
    world.kube.clock_offset = HOUR
    return rabbit


def idle(swept):
    """Waits for the broker's first figures of our queues: it takes some every 5 s."""
    def known():
        found = swept.broker.api("GET", f"/api/queues/{swept.vhost}?columns=name,idle_since")
        return all("idle_since" in q for q in found if JOB_ID in q["name"])
    swept.world.kube.wait_for(known, 60, "queues with idle_since")


def test_queues_of_nobody_go(swept):
    swept.ours("in", "out")
    stay = {f"{ALIVE}-in", "grpc-job-x-in", "other", "grpc-jobs-1-1-in"}
    swept.broker.declare(swept.vhost, *stay)
    idle(swept)
    status, rows, cleaner = sweep(swept.world, **swept.env())
    assert status == 0, cleaner.text()
    assert [(r["id"], r["queues"]) for r in rows] == [(JOB_ID, True)]
    assert swept.queues() == stay


def test_queues_of_nobody_by_other_names_go(swept):
    """The id is every one's, by each pattern; what may be a living job's stays."""
    swept.broker.allow("cleaner", swept.vhost, configure="^(grpc-job-|[0-9]|x)")
    swept.ours("in")
    swept.broker.declare(swept.vhost, f"{JOB_ID}.in", f"x{JOB_ID}+{JOB_ID}/out")
    stay = {f"{ALIVE}-in", f"{TWO}.in", f"{JOB_ID}.out", f"x{TWO}+{TWO}/out", f"x{JOB_ID}+{TWO}/out"}
    swept.broker.declare(swept.vhost, *stay)
    idle(swept)
    status, rows, cleaner = sweep(
        swept.world, **swept.env(RABBITMQ_QUEUES="grpc-job-$JOB_ID-*,$JOB_ID.in,x$JOB_ID+$JOB_ID/*"))
    assert status == 0, cleaner.text()
    assert [(r["id"], r["queues"]) for r in rows] == [(JOB_ID, True)]
    assert swept.queues() == stay


def test_the_one_prefix_stands_for_every_id_too(swept):
    swept.ours("in")
    swept.broker.declare(swept.vhost, f"{ALIVE}-in")
    idle(swept)
    env = swept.env(RABBITMQ_QUEUE_PREFIX="grpc-job-$JOB_ID-")
    assert sweep(swept.world, **env)[0] == 0
    assert swept.queues() == {f"{ALIVE}-in"}


def test_queues_that_were_used_of_late_stay(swept):
    swept.ours("in")
    idle(swept)
    swept.world.kube.clock_offset = 0
    assert sweep(swept.world, **swept.env())[:2] == (0, [])
    assert len(swept.queues()) == 1


def test_queues_go_with_what_else_is_left(swept):
    swept.ours("in")
    with ago(swept.world, 0) as kube:
        service_alone(kube)
    swept.world.kube.clock_offset = HOUR
    status, (row,), _ = sweep(swept.world, **swept.env())
    assert (status, row["service"], row["queues"]) == (0, True, True)
    assert swept.queues() == set() and len(swept.world.kube.services()) == 1


def test_a_broker_that_is_away_costs_its_queues_and_exit_1(swept):
    with ago(swept.world, 0) as kube:
        service_alone(kube)
    swept.world.kube.clock_offset = HOUR
    env = {**swept.env(), "RABBITMQ_URL": "http://127.0.0.1:1"}
    status, rows, _ = sweep(swept.world, speed=20, timeout=100, **env)
    assert status == 1 and len(rows) == 1 and len(swept.world.kube.services()) == 1


@pytest.mark.usefixtures("shipped")
def test_twenty_thousand_queues_of_jobs_that_live(swept):
    swept.ours(*(f"q{i}" for i in range(10)))
    swept.broker.declare(swept.vhost, ALIVE)
    swept.broker.clone(swept.vhost, ALIVE, 19_990)
    idle(swept)
    before = swept.queues()
    status, (row,), cleaner = sweep(swept.world, timeout=120, **swept.env())
    assert status == 0, cleaner.text()
    assert row["id"] == JOB_ID
    assert before - swept.queues() == {f"grpc-job-{JOB_ID}-q{i}" for i in range(10)}

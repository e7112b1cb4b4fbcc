"""RABBITMQ_QUEUES: names and prefixes, of us and of our neighbours, against a real RabbitMQ."""
import urllib.parse

import pytest

from conftest import JOB, JOB_ID, SELF, SERVICE
from test_rabbitmq import (FAST, NO_VHOST, ODD, PATIENCE, PREFIX, REFUSED, assert_done, assert_left,
                           quote, rabbit)     # pylint: disable=unused-import

pytestmark = pytest.mark.xdist_group("broker")  # one broker, whatever -n says

BABY = f"focus_baby.{JOB_ID}"
BOTH = f"{PREFIX}*,{BABY}"


@pytest.fixture(autouse=True)
def rights(rabbit):
    """What README has, for these names as well."""
    rabbit.broker.allow("cleaner", rabbit.vhost, configure="^(grpc-job-|focus_baby|x-)")


def lists(rabbit):
    """How the broker was asked for queues: `NAME`, or `PAGE of FILTER`."""
    found = []
    for path in rabbit.targets("GET"):
        path, _, query = path.partition("?")
        asked = dict(urllib.parse.parse_qsl(query))
        name = urllib.parse.unquote(path.removeprefix(f"/api/queues/{quote(rabbit.vhost)}"))
        found.append(name[1:] if name else f"{asked['page']} of {asked['name']}")
    return found


# ---- Which queues ----

@pytest.mark.parametrize("setting", ["grpc-job-$JOB_ID-*, focus_baby.$JOB_ID", BOTH])
def test_names_and_prefixes(rabbit, setting):
    """With the id as a variable, or as the job server has written it."""
    others = {BABY + "0", BABY + "-x", "x" + BABY, BABY.upper(), "focus_baby.12", "focus_baby.",
              "unrelated"}
    rabbit.broker.declare(rabbit.vhost, BABY, *others)
    rabbit.ours("a", ODD)
    cleaner = rabbit.teardown(RABBITMQ_QUEUES=setting)
    assert_done(rabbit, cleaner)
    assert rabbit.queues() == others
    step, = cleaner.log(msg="queues")
    assert (step["names"], step["outcome"], step["count"]) == (BOTH, "deleted", 3)


def test_a_name_needs_no_walk_over_all_queues(rabbit):
    rabbit.broker.declare(rabbit.vhost, BABY, "x" + BABY)
    assert_done(rabbit, rabbit.teardown(RABBITMQ_QUEUES="focus_baby.$JOB_ID"))
    assert set(lists(rabbit)) == {BABY}
    assert rabbit.deleted_by_name() == [BABY]
    assert rabbit.queues() == {"x" + BABY}


def test_a_name_that_is_not_there_is_absent(rabbit):
    """A list tells that the virtual host is there, once."""
    assert_done(rabbit, rabbit.teardown(RABBITMQ_QUEUES="focus_baby.$JOB_ID"), "absent")
    assert lists(rabbit)[:2] == [BABY, "1 of " + BABY]
    assert set(lists(rabbit)[2:]) <= {BABY}
    assert rabbit.deleted_by_name() == []


def test_a_name_in_an_unknown_virtual_host(rabbit):
    """RabbitMQ has the same words for both: "Object Not Found"."""
    cleaner = rabbit.teardown(RABBITMQ_QUEUES="focus_baby.$JOB_ID", RABBITMQ_VHOST="none")
    assert_left(rabbit, cleaner, outcome="forbidden", patterns=BABY)
    assert len(cleaner.log(msg=NO_VHOST, status=404)) == 1
    assert rabbit.world.summary()["seconds"] < 5


def test_each_queue_that_stays_is_named_of_whichever_pattern(rabbit):
    rabbit.ours("a", "b")
    rabbit.broker.declare(rabbit.vhost, BABY)
    rabbit.broker.allow("cleaner", rabbit.vhost, configure="-b$")
    cleaner = rabbit.teardown(RABBITMQ_QUEUES=BOTH)
    assert_left(rabbit, cleaner, [PREFIX + "a", BABY], patterns=BOTH)
    assert rabbit.queues() == {PREFIX + "a", BABY}


def test_a_dry_run_names_each_and_deletes_none(rabbit):
    names = {*rabbit.ours("a"), BABY}
    rabbit.broker.declare(rabbit.vhost, BABY, "unrelated")
    cleaner = rabbit.teardown("--dry-run", RABBITMQ_QUEUES=BOTH)
    assert cleaner.wait(PATIENCE) == 0
    told = cleaner.log(msg="dry run: would delete")
    assert {line["queue"] for line in told if "queue" in line} == names
    assert rabbit.queues() == names | {"unrelated"}
    assert {r.method for r in rabbit.proxy.requests} == {"GET"}


# ---- Whose is it? Job 12 has ended, and 12-70788 is there ----

def short(rabbit, *args, **changes):
    kube = rabbit.world.pair(cpu="900m").kube
    kube.create_job("grpc-job-12")
    kube.create_job("cleanup-job-12", containers=("cleanup",))
    kube.complete_job("grpc-job-12")
    return rabbit.run(*args, JOB_ID="12", **changes)


NEIGHBOURS = {
    "a prefix with a dash": ("grpc-job-$JOB_ID-*", {"grpc-job-12-a", "grpc-job-12-7078-a"},
                             {PREFIX + "a", "grpc-job-120-a"}),
    "a prefix without": ("x-$JOB_ID*", {"x-12", "x-12-70", "x-12a"},
                         {"x-12-70788", "x-12-70788-a", "x-12-707889", "x-1"}),
    "a name": ("focus_baby.$JOB_ID", {"focus_baby.12"}, {BABY, "focus_baby.1"}),
    "another id, written out": (BABY, set(), {BABY, "focus_baby.12"}),
    "... and a prefix of it": (f"x-{JOB_ID}*", set(), {"x-12-70788", "x-12-70788a", "x-12"}),
    "several": ("x-$JOB_ID.*,focus_baby.$JOB_ID,grpc-job-$JOB_ID-*",
                {"x-12.70788", "focus_baby.12", "grpc-job-12-a"},
                {BABY, PREFIX + "a", "x-12-70788.a"}),
}


@pytest.mark.parametrize("setting,mine,others", NEIGHBOURS.values(), ids=NEIGHBOURS)
def test_a_live_neighbours_queues_stay(rabbit, setting, mine, others):
    rabbit.broker.declare(rabbit.vhost, *mine, *others)
    cleaner = short(rabbit, RABBITMQ_QUEUES=setting)
    assert cleaner.wait(PATIENCE) == 0
    assert rabbit.queues() == others
    assert not rabbit.world.kube.job("cleanup-job-12")
    assert rabbit.world.left() == {JOB, SERVICE, SELF, "pod"}


@pytest.mark.parametrize("setting", ["grpc-job-$JOB_ID-*", "x-$JOB_ID*"])
def test_a_neighbour_that_has_gone_leaves_them_to_us(rabbit, setting):
    mine = {PREFIX + "a", "x-12-70788"}
    rabbit.broker.declare(rabbit.vhost, *mine)
    cleaner = short(rabbit, "--dry-run", RABBITMQ_QUEUES=setting)     # while it is there
    assert cleaner.wait(PATIENCE) == 0
    left, = cleaner.log(msg="dry run: would leave")
    assert left["job"] == JOB and left["queue"] in mine
    assert not [line for line in cleaner.log(msg="dry run: would delete") if "queue" in line]
    rabbit.world.kube.vanish("job", JOB)
    assert rabbit.run(JOB_ID="12", RABBITMQ_QUEUES=setting).wait(PATIENCE) == 0
    assert rabbit.queues() == mine - {left["queue"]}


# ---- RabbitMQ's own settings ----

@pytest.fixture
def disabled(rabbit):
    """management.disable_basic_auth = true, as the management plugin has it at run time."""
    set_env = "application:set_env(rabbitmq_management, disable_basic_auth, {})."
    rabbit.broker.eval(set_env.format("true"))
    yield rabbit
    rabbit.broker.eval(set_env.format("false"))


def test_a_broker_that_takes_no_passwords_is_final_and_says_so(rabbit, request):
    """The password may be right: it is not the Secret that is to be looked at."""
    names = rabbit.ours()
    request.getfixturevalue("disabled")
    cleaner = rabbit.teardown()
    assert cleaner.wait(PATIENCE) == 0
    assert rabbit.world.summary()["queues"] == "forbidden"
    assert rabbit.world.summary()["seconds"] < 5
    line, = cleaner.log(msg=REFUSED)
    assert line["status"] == 401 and "basic auth disabled" in line["error"]
    assert "management.disable_basic_auth" in line["error"]
    assert [r.method for r in rabbit.proxy.requests] == ["GET"]
    rabbit.broker.eval("application:set_env(rabbitmq_management, disable_basic_auth, false).")
    assert rabbit.queues() == set(names)


@pytest.fixture
def prefixed(rabbit):
    """management.path_prefix = /mq/x, likewise."""
    set_env = ('application:set_env(rabbitmq_management, path_prefix, "{}"), '
               "rabbit_mgmt_app:reset_dispatcher([]).")
    rabbit.broker.eval(set_env.format("/mq/x"))
    yield rabbit
    rabbit.broker.eval(set_env.format(""))


def test_a_path_before_the_api(rabbit, request):
    rabbit.ours("a", ODD)
    request.getfixturevalue("prefixed")
    assert rabbit.teardown(RABBITMQ_URL=rabbit.proxy.url + "/mq/x/").wait(PATIENCE) == 0
    assert rabbit.world.summary()["queues"] == "deleted"
    assert {r.path.partition("?")[0].partition("/api/")[0] for r in rabbit.proxy.requests} == {
        "/mq/x"}


def test_without_its_path_it_is_no_api(rabbit, request):
    """RabbitMQ says that in the words of an unknown virtual host; no queue is called absent."""
    rabbit.ours("a")
    request.getfixturevalue("prefixed")
    cleaner = rabbit.teardown(speed=FAST, TEARDOWN_TIMEOUT_SECONDS="30")
    assert cleaner.wait(PATIENCE) == 0
    assert rabbit.world.summary()["queues"] == "forbidden"
    line, = cleaner.log(msg=NO_VHOST)
    assert (line["vhost"], line["url"]) == (rabbit.vhost, rabbit.proxy.url)

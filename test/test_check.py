"""`--check`: right about each permission, about the metrics API and the broker; changes nothing."""
import contextlib
import json
import os
import pty
import subprocess

import pytest

from cleaner import BINARY
from conftest import JOB, JOB_ID, SELF, SERVICE
from fakekube import faults
from faultproxy import answer
from manifests import required_rules
from test_faults import FakeBroker

REQUIRED = {("batch", "jobs", "get"), ("batch", "jobs", "delete"),
            ("", "services", "get"), ("", "services", "delete")}


POD = f"{SELF}-x7k2p"


def check(world, *, form="json", pod=POD, **changes):
    """(exit status, rows by what they are about, stdout)."""
    world.kube.bind_token(pod)
    env = {k: str(v) for k, v in world.env(LOG_FORMAT=form, **changes).items()}
    done = subprocess.run([BINARY, "--check"], env=env, capture_output=True, text=True, timeout=60)
    rows = [json.loads(line) for line in done.stdout.splitlines()] if form == "json" else []
    assert [r.method for r in world.kube.requests if r.method != "GET"] == [
        "POST"] * len(world.requests(resource="selfsubjectaccessreviews"))
    return done.returncode, {row["check"]: row for row in rows}, done.stdout


def question(rule):
    """How a row about this rule begins."""
    group, resource, verb = rule
    return f"may {verb} {resource}" + (f".{group}" if group else "")


def states(rows):
    return {what: row["state"] for what, row in rows.items()}


def test_all_is_there(world):
    status, rows, _ = check(world.pair())
    assert status == 0
    assert set(states(rows).values()) == {"ok"}
    asked = {(r.body["spec"]["resourceAttributes"]["group"],
              r.body["spec"]["resourceAttributes"]["resource"],
              r.body["spec"]["resourceAttributes"]["verb"])
             for r in world.requests(resource="selfsubjectaccessreviews")}
    # a metrics rule stands beside the pods rule of the core group
    assert asked == required_rules()
    assert {"API server answers", "metrics API answers", f"token is bound to pod {POD}"} < set(rows)
    assert world.left() >= {JOB, SERVICE, SELF}


@pytest.mark.parametrize("rule", sorted(required_rules()), ids="-".join)
def test_each_permission_taken_away_alone(world, rule):
    world.pair()
    world.kube.deny(*rule)
    status, rows, _ = check(world)
    missing = {what: row for what, row in rows.items()
               if row["state"] != "ok" and what.startswith(question(rule))}
    assert missing, states(rows)
    assert {what for what, row in rows.items() if row["state"] != "ok"} == set(missing)
    want = "missing" if rule in REQUIRED else "optional"
    first = next(iter(missing.values()))
    assert first["state"] == want
    assert status == (1 if rule in REQUIRED else 0)
    assert first["without_it"]
    assert first["rule"] == (f'{{apiGroups: ["{rule[0]}"], resources: ["{rule[1]}"], '
                             f'verbs: ["{rule[2]}"]}}')


@pytest.mark.parametrize("pod,shown,words", [
    (None, "(none)", "nothing may be deleted"), ("web-0", "web-0", "another id"),
    ("cleanup-job-12-x7k2p", "cleanup-job-12-x7k2p", "another id")])
def test_a_token_that_the_guard_would_not_take_is_said(world, pod, shown, words):
    status, rows, _ = check(world.pair(), pod=pod)
    row = rows[f"token is bound to pod {shown}"]
    assert (status, row["state"]) == (0, "optional") and words in row["without_it"]


def test_a_role_that_allows_nothing_gives_a_rule_for_each_thing_missing(world):
    world.kube.set_rules([])
    status, rows, _ = check(world)
    assert status == 1
    rules = {row["rule"] for row in rows.values() if row["rule"]}
    assert len(rules) == len(required_rules())


def test_it_asks_by_name_so_that_a_role_with_resource_names_is_enough(world):
    world.kube.set_rules([])
    for verb in ("get", "list", "watch", "delete"):
        world.kube.allow("batch", "jobs", verb, [JOB, SELF])
    for verb in ("get", "delete", "patch"):
        world.kube.allow("", "services", verb, [SERVICE])
    status, rows, _ = check(world)
    assert status == 0
    assert states(rows)[f"may delete jobs.batch {JOB}"] == "ok"


@pytest.mark.parametrize("setting,gone", [
    ({"ENABLE_CPU_USAGE_CHECK": "false"}, "may list pods.metrics.k8s.io"),
    ({"ADOPT_SERVICE": "false"}, f"may patch services {SERVICE}"),
    ({"DELETE_SELF": "false"}, f"may delete jobs.batch {SELF}")])
def test_what_these_settings_never_ask_for_is_not_checked(world, setting, gone):
    assert gone in check(world)[1]
    assert gone not in check(world, **setting)[1]


@pytest.mark.parametrize("lost", ["get", "list", "list, get", "list, pods list"])
def test_the_idle_trigger_needs_the_list_of_metrics_or_each_by_name(world, lost):
    """And then the list of the pods. Whether the API answers is asked in the way that is left."""
    world.pair()
    for verb in lost.replace("pods list", "").replace(" ", "").split(","):
        if verb:
            world.kube.deny("metrics.k8s.io", "pods", verb)
    if "pods list" in lost:
        world.kube.deny("", "pods", "list")
    status, rows, _ = check(world)
    row = rows["metrics API answers"]
    assert status == 0
    assert row["state"] == ("ok" if lost in ("get", "list") else "optional")
    assert ("no idle trigger" in row["without_it"]) == (lost not in ("get", "list"))
    asked = {r.verb for r in world.requests(resource="pods", group="metrics.k8s.io")}
    assert asked == {"get" if lost == "list" else "list"}


@pytest.mark.parametrize("how", ["down", "absent"])
def test_a_metrics_api_that_is_asked_by_name_and_does_not_answer(world, how):
    world.kube.deny("metrics.k8s.io", "pods", "list")
    setattr(world.kube.metrics, *{"down": ("up", False), "absent": ("absent", True)}[how])
    row = check(world)[1]["metrics API answers"]
    assert row["state"] == "optional"
    assert ("503" if how == "down" else "404") in row["without_it"]


@pytest.mark.parametrize("how", ["down", "absent"])
def test_a_metrics_api_that_does_not_answer_is_optional_and_said(world, how):
    if how == "down":
        world.kube.metrics.up = False
    else:
        world.kube.metrics.absent = True
    status, rows, _ = check(world)
    row = rows["metrics API answers"]
    assert (status, row["state"]) == (0, "optional")
    assert ("503" if how == "down" else "404") in row["without_it"]


def test_an_api_server_that_cannot_be_reached(world):
    world.kube.refuse_connections()
    status, rows, _ = check(world)
    assert status == 1
    assert states(rows) == {"API server answers": "missing"}
    assert rows["API server answers"]["without_it"]


@pytest.mark.parametrize("failure", [
    faults.status(401, "Unauthorized", "Unauthorized"), faults.unavailable(), faults.not_json(),
    faults.body({"kind": "SelfSubjectAccessReview", "status": {"allowed": "yes"}})],
    ids=["401", "503", "not JSON", "another shape"])
def test_a_review_that_is_not_answered_allows_nothing(world, failure):
    world.kube.fault(failure, resource="selfsubjectaccessreviews", times=None)
    status, rows, _ = check(world)
    assert status == 1
    assert states(rows) == {"API server answers": "missing"}


def test_a_broker_that_cannot_be_reached_is_missing(world):
    status, rows, out = check(world, RABBITMQ_URL="http://127.0.0.1:1", RABBITMQ_USER="u",
                              RABBITMQ_PASSWORD="geheim")
    assert status == 1
    assert states(rows)["broker answers http://127.0.0.1:1"] == "missing"
    assert "geheim" not in out


@pytest.fixture
def broker():
    fake = FakeBroker()
    yield fake
    fake.close()


def test_the_queues_that_each_pattern_finds_now(world, broker):
    """With those of a neighbour that is there, which stay; and nothing is deleted."""
    world.kube.create_job("grpc-job-12-70788-x")
    broker.names |= {f"focus_baby.{JOB_ID}", "focus_baby.12"}
    before = set(broker.names)
    status, rows, _ = check(world.pair(), **broker.env(), RABBITMQ_QUEUES=(
        "grpc-job-$JOB_ID-*,focus_baby.$JOB_ID,none-$JOB_ID,no-$JOB_ID*"))
    assert status == 0 and broker.names == before
    assert {what: row["without_it"] for what, row in rows.items() if what.startswith("queues")} == {
        f"queues grpc-job-{JOB_ID}-*": f"3 now: grpc-job-{JOB_ID}-a, grpc-job-{JOB_ID}-b, "
                                       f"grpc-job-{JOB_ID}-x-c (of grpc-job-{JOB_ID}-x)",
        f"queues focus_baby.{JOB_ID}": f"1 now: focus_baby.{JOB_ID}",
        f"queues none-{JOB_ID}": "0 now",
        f"queues no-{JOB_ID}*": "0 now"}
    assert {r.method for r in broker.proxy.requests} == {"GET"}


def test_many_queues_are_counted(world, broker):
    broker.names = {f"grpc-job-{JOB_ID}-{i:03}" for i in range(99)}
    row = check(world, **broker.env())[1][f"queues grpc-job-{JOB_ID}-*"]
    assert row["without_it"].startswith(f"99 now: grpc-job-{JOB_ID}-000, ")
    assert row["without_it"].count(",") == 20 and row["without_it"].endswith(", ...")


def test_a_broker_with_another_virtual_host_or_path(world, broker):
    broker.proxy.fault(answer(404, {"error": "Object Not Found", "reason": "Not Found"}))
    status, rows, _ = check(world, **broker.env())
    row = rows["broker answers " + broker.proxy.url]
    assert (status, row["state"]) == (1, "missing")
    assert row["without_it"] == (
        "Not Found (status 404): no such virtual host, or the API has another path")
    assert not [what for what in rows if what.startswith("queues")]


def test_the_table(world):
    world.kube.deny("", "services", "patch")
    world.kube.deny("batch", "jobs", "delete")
    status, _, out = check(world, form="text")
    assert status == 1
    assert f"missing   may delete jobs.batch {JOB}: nothing can be torn down without it\n" in out
    assert '          to allow it, add to the Role: {apiGroups: ["batch"], ' \
           'resources: ["jobs"], verbs: ["delete"]}\n' in out
    assert f"optional  may patch services {SERVICE}: the Service is not adopted" in out
    assert f"ok        may get jobs.batch {JOB}\n" in out
    assert out.endswith("something that is required is missing\n")
    assert "\033" not in out


@pytest.mark.parametrize("no_colour", [False, True])
def test_colour_only_on_a_terminal_and_not_against_no_color(world, no_colour):
    outer, inner = pty.openpty()
    env = {k: str(v) for k, v in world.env(LOG_FORMAT="text").items()}
    if no_colour:
        env["NO_COLOR"] = "1"
    done = subprocess.run([BINARY, "--check"], env=env, stdout=inner, stderr=subprocess.PIPE,
                          timeout=60, check=False)
    os.close(inner)
    out = ""
    with contextlib.suppress(OSError):  # EIO: all has been read
        while chunk := os.read(outer, 1 << 16):
            out += chunk.decode()
    os.close(outer)
    assert done.returncode == 0
    assert ("\033[32mok" in out) != no_colour
    assert "may get jobs.batch" in out


def test_bad_configuration_is_still_2(world):
    assert check(world, MAX_CPU_USAGE_COUNT="0")[0] == 2

"""`--check`: right about each permission, about the metrics API and the broker; changes nothing."""
import contextlib
import json
import os
import pty
import subprocess

import pytest

from cleaner import BINARY
from conftest import JOB, SELF, SERVICE
from fakekube import faults
from manifests import required_rules

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
    others = {what for what, row in rows.items() if row["state"] != "ok"} - set(missing)
    assert others <= ({"metrics API answers"} if rule[0] == "metrics.k8s.io" else set())
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

"""sweep.yml and guard.yml: objects that an API server takes, a restricted pod, a Role that is used
up and no wider, an environment that the binary accepts."""
import pytest

import manifests
from conftest import JOB_ID
from test_manifests import NEW, OLD, restricted_violations
from test_sweep import TWO, ago, all_three, names, orphan, start, swept_fixture    # noqa: F401

SWEEP = manifests.load(manifests.SWEEP.read_text())
ACCOUNT, ROLE, BINDING, CRON = SWEEP
GUARD = manifests.load((manifests.HERE.parent / "guard.yml").read_text())
POD = CRON["spec"]["jobTemplate"]["spec"]["template"]["spec"]


def with_broker():
    """The text with the lines for RabbitMQ uncommented, as its reader would do it."""
    lines, inside = [], False
    for line in manifests.SWEEP.read_text().splitlines():
        inside = line.lstrip().startswith("# - name: RABBITMQ_") or (
            inside and line.lstrip().startswith("#   "))
        lines.append(line.replace("# ", "", 1) if inside else line)
    return manifests.load("\n".join(lines))


@pytest.mark.parametrize("schema", [OLD, NEW], ids=lambda s: s["kubernetes"])
@pytest.mark.parametrize("text", [SWEEP, with_broker()], ids=["as it is", "with a broker"])
def test_sweep_is_valid(schema, text):
    assert [manifests.validate(doc, schema) for doc in text] == [[], [], [], []]


def test_guard_is_valid():
    assert [manifests.validate(doc, NEW) for doc in GUARD] == [[], []]
    assert all("not a kind" in manifests.validate(doc, OLD)[0] for doc in GUARD), "1.30 and later"


def test_the_pod_is_restricted_and_the_next_sweep_is_the_retry():
    assert restricted_violations(POD) == []
    assert POD["restartPolicy"] == "Never" and CRON["spec"]["jobTemplate"]["spec"]["backoffLimit"] == 0
    assert CRON["spec"]["concurrencyPolicy"] == "Forbid" and CRON["spec"]["schedule"] == "*/10 * * * *"
    assert CRON["spec"]["startingDeadlineSeconds"] >= 10    # less, and the controller may skip it
    assert POD["containers"][0]["args"] == ["--sweep"]


def test_the_accounts_are_tied_and_the_guard_knows_both():
    assert BINDING["subjects"] == [{"kind": "ServiceAccount", "name": ACCOUNT["metadata"]["name"]}]
    assert BINDING["roleRef"]["name"] == ROLE["metadata"]["name"]
    assert POD["serviceAccountName"] == ACCOUNT["metadata"]["name"] == "cleanup-sweep"
    (condition,) = GUARD[0]["spec"]["matchConditions"]
    for account in (ACCOUNT, manifests.rbac()[0]):
        assert f"':{account['metadata']['name']}'" in condition["expression"]


def test_no_account_may_delete_a_collection():
    assert not {verb for _, _, verb in manifests.required_rules(manifests.SWEEP)} & {
        "deletecollection", "update", "patch", "*"}


def test_the_role_is_what_a_sweep_uses(swept):      # noqa: F811
    with ago(swept) as kube:
        all_three(kube)
        kube.create_job("grpc-job-14-1")
        orphan(swept, "grpc-job-14-1")
    cleaner = start(swept, speed=10, TEARDOWN_TIMEOUT_SECONDS=60)
    assert cleaner.wait(60) == 0, cleaner.text()
    used = {(r.group, r.resource, r.verb) for r in swept.kube.requests}
    assert used == manifests.required_rules(manifests.SWEEP)
    assert not swept.kube.job(names(JOB_ID)[0]) and swept.kube.job(names(TWO)[0])


def test_the_binary_accepts_the_environment(swept):     # noqa: F811
    env = {}
    for variable in with_broker()[3]["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["env"]:
        env[variable["name"]] = variable.get("value", "from a Secret")
    assert {"SWEEP_AFTER_SECONDS", "SWEEP_MAX", "RABBITMQ_URL", "RABBITMQ_PASSWORD"} <= set(env)
    cleaner = start(swept, "--dry-run", **{**env, "RABBITMQ_URL": "http://127.0.0.1:1"})
    assert cleaner.wait() == 1 and not cleaner.log(msg="bad configuration")     # the broker is away

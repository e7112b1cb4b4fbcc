"""guard.yml: what its expressions let pass and what not, evaluated by cel.py; and that by npm's
@bufbuild/cel, where CEL_NPM names a directory in which that is installed (npm install
@bufbuild/cel). A real API server that has the API is not among Debian's packages."""
import copy
import json
import os
import subprocess

import pytest

import cel
import manifests

POLICY, BINDING = manifests.load((manifests.HERE.parent / "guard.yml").read_text())
POD_NAME = "authentication.kubernetes.io/pod-name"
ID = "12-70788"
CLEANER = f"cleanup-job-{ID}-bcdfg"
SWEEP = "cleanup-sweep-29999999-x7k2p"
RESOURCES = {"jobs": "batch", "services": "", "pods": "", "secrets": "", "deployments": "apps"}


def request(account="cleanup-sa", pod=CLEANER, operation="DELETE", resource="jobs", name="x", sub=None,
            job=None, namespace="panda", of="panda", old=None, new=None):
    """The variables of an admission: request, object, oldObject."""
    user = {"username": f"system:serviceaccount:{of}:{account}", "groups": []}
    if pod:
        user["extra"] = {POD_NAME: [pod], "authentication.kubernetes.io/pod-uid": ["u"]}
    meta = {"name": name, "namespace": namespace}
    if job:
        meta["labels"] = {"job-name": job, "app": "a"}
    asked = {"operation": operation, "namespace": namespace, "userInfo": user,
             "resource": {"group": RESOURCES[resource], "version": "v1", "resource": resource}}
    if name:
        asked["name"] = name
    if sub:
        asked["subResource"] = sub
    return {"request": asked, "object": new, "oldObject": old or {"metadata": meta}}


class Evaluator:
    """As an API server does it: conditions, then variables as they are needed, then validations."""

    def __init__(self):
        self.evaluated = []     # (expression, variables, value or CelError)

    def __call__(self, expression, env):
        try:
            value = cel.evaluate(expression, env)
        except cel.CelError as e:
            value = e
        self.evaluated.append((expression, copy.deepcopy(env), value))
        return value

    def denials(self, env):
        """The messages of what is refused; [] = it may."""
        spec = POLICY["spec"]
        assert spec["failurePolicy"] == "Fail"
        if not all(self(c["expression"], env) for c in spec["matchConditions"]):
            return []
        env = {**env, "variables": {}}
        for variable in spec["variables"]:
            env["variables"][variable["name"]] = self(variable["expression"], env)
        assert not any(isinstance(v, cel.CelError) for v in env["variables"].values()), env
        denied = []
        for validation in spec["validations"]:
            value = self(validation["expression"], env)
            assert not isinstance(value, cel.CelError), (validation, value)
            if not value:
                denied.append(self(validation["messageExpression"], env)
                              if "messageExpression" in validation else validation["message"])
        return denied


def sweep(**options):
    return request(account="cleanup-sweep", pod=SWEEP, **options)


MAY = {
    "our streaming Job": request(name=f"grpc-job-{ID}"),
    "our own Job": request(name=f"cleanup-job-{ID}"),
    "our Service": request(resource="services", name=f"grpc-service-{ID}"),
    "our Job's pod": request(resource="pods", name="any", job=f"grpc-job-{ID}"),
    "sweep: a streaming Job": sweep(name="grpc-job-1-2"),
    "sweep: a cleaner's Job": sweep(name="cleanup-job-1-2"),
    "sweep: a Service": sweep(resource="services", name="grpc-service-1-2"),
    "sweep: a Job's pod": sweep(resource="pods", name="any", job="grpc-job-1-2"),
    "others": request(account="admin", pod=None, name="grpc-job-1"),
    "others' collections": request(account="cleanup-sa2", pod=None, name=None),
    "others, secrets": request(account="x", resource="secrets", name="s"),
}

MAY_NOT = {
    "another's Job, whose id ours continues": (request(name="grpc-job-12"), "this id"),
    "one whose id continues ours": (request(name=f"grpc-job-{ID}-1"), "this id"),
    "another's cleaner": (request(name="cleanup-job-13-1"), "this id"),
    "another's Service": (request(resource="services", name="grpc-service-12"), "this id"),
    "another's pod": (request(resource="pods", name="any", job="grpc-job-12"), "this id"),
    "a pod of no Job": (request(resource="pods", name=f"grpc-job-{ID}-bcdfg"), "this id"),
    "a cleaner's pod": (request(resource="pods", name=CLEANER, job=f"cleanup-job-{ID}"), "this id"),
    "a Service of a Job's name": (request(resource="services", name=f"grpc-job-{ID}"), "this id"),
    "a collection": (request(name=None), "collection"),
    "a secret": (request(resource="secrets", name=f"grpc-job-{ID}"), "this id"),
    "a Deployment": (request(resource="deployments", name=f"grpc-job-{ID}"), "this id"),
    "an unbound token": (request(pod=None, name=f"grpc-job-{ID}"), "not bound to a pod"),
    "a pod of another name": (request(pod="web-0", name=f"grpc-job-{ID}"), "not bound to a pod"),
    "no id": (request(pod="cleanup-job-bcdfg", name="grpc-job-"), "not bound to a pod"),
    "a name that was cut": (request(pod="cleanup-job-" + "a" * 45 + "-bcdfg",
                                    name="grpc-job-" + "a" * 45), "not bound to a pod"),
    "another namespace": (request(name=f"grpc-job-{ID}", of="other"), "own namespace"),
    "sweep: another Job": (sweep(name="backup"), "sweep"),
    "sweep: no id": (sweep(name="grpc-job-"), "sweep"),
    "sweep: alike": (sweep(name="grpc-jobx-1"), "sweep"),
    "sweep: another Service": (sweep(resource="services", name="grpc-servicex-1"), "sweep"),
    "sweep: another pod": (sweep(resource="pods", name="grpc-job-1-abcde", job="backup"), "sweep"),
    "sweep: a pod without labels": (sweep(resource="pods", name="grpc-job-1-abcde"), "sweep"),
    "sweep: a collection": (sweep(name=None), "collection"),
    "sweep: a collection of pods, each with its labels": (
        sweep(resource="pods", name=None, job="grpc-job-1"), "collection"),
    "sweep: its own Job": (sweep(name="cleanup-sweep-29999999"), "sweep"),
    "sweep: a change": (sweep(resource="services", name="grpc-service-1", operation="UPDATE"), "change"),
}

SERVICE = {"metadata": {"name": f"grpc-service-{ID}", "labels": {"app": "x"}}, "spec": {"type": "NodePort"}}
OWNER = {"apiVersion": "batch/v1", "kind": "Job", "name": f"grpc-job-{ID}", "uid": "A"}
OTHER = {"apiVersion": "v1", "kind": "ConfigMap", "name": "c", "uid": "C"}


def service(owners=None, spec=None, **meta):
    s = copy.deepcopy(SERVICE)
    s["metadata"] |= meta
    s["spec"] |= spec or {}
    if owners is not None:
        s["metadata"]["ownerReferences"] = owners
    return s


def patch(new, old=None, **options):
    return request(operation="UPDATE", resource="services", old=old or service(), new=new,
                   **{"name": f"grpc-service-{ID}", **options})


MAY |= {
    "adopt": patch(service([OWNER])),
    "adopt beside another owner": patch(service([OTHER, OWNER]), service([OTHER])),
    "adopt once more": patch(service([OWNER]), service([OWNER])),
}
MAY_NOT |= {name: (env, "change nothing but") for name, env in {
    "another's Service": patch(service([OWNER]), name="grpc-service-12"),
    "to another Job": patch(service([{**OWNER, "name": "grpc-job-12"}])),
    "to another kind": patch(service([{**OWNER, "kind": "CronJob"}])),
    "with an owner lost": patch(service([OWNER]), service([OTHER])),
    "with all owners lost": patch(service(), service([OTHER])),
    "its ports": patch(service([OWNER], spec={"type": "ClusterIP"})),
    "its labels": patch(service([OWNER], labels={"app": "y"})),
    "its annotations": patch(service([OWNER], annotations={"a": "b"})),
    "its finalizers": patch(service([OWNER], finalizers=["x/y"])),
    "its status": patch(service([OWNER]), sub="status"),
    "a Job": request(operation="UPDATE", name=f"grpc-job-{ID}", new=service(), old=service()),
}.items()}


@pytest.mark.parametrize("name", MAY)
def test_may(name):
    assert Evaluator().denials(MAY[name]) == []


@pytest.mark.parametrize("name", MAY_NOT)
def test_may_not(name):
    env, words = MAY_NOT[name]
    denied = Evaluator().denials(env)
    assert denied and any(words in message for message in denied), denied


def test_what_rbac_grants_the_guard_lets_pass_and_matches():
    """Each verb that changes something, of both Roles, is one that the policy is asked about."""
    (rule,) = POLICY["spec"]["matchConstraints"]["resourceRules"]
    assert rule["operations"] == ["UPDATE", "DELETE"] and rule["resources"] == ["*", "*/*"]
    granted = manifests.required_rules() | manifests.required_rules(manifests.SWEEP)
    assert {verb for _, _, verb in granted} - {"get", "list", "watch"} == {"delete", "patch", "create"}
    assert {r for _, r, verb in granted if verb == "create"} == {"events"}
    assert BINDING["spec"]["policyName"] == POLICY["metadata"]["name"]
    assert BINDING["spec"]["validationActions"] == ["Deny"]


@pytest.mark.parametrize("expression,value", [
    ("1 + 1 == 2", True), ("'a' + 'b'", "ab"), ("[1] + [2] == [1, 2]", True), ("x.y", cel.CelError),
    ("has(m.a)", True), ("has(m.b)", False), ("has(m.b.c)", cel.CelError), ("m.b", cel.CelError),
    ("m.b == 1 || true", True), ("false && m.b == 1", False), ("m.b == 1 && false", False),
    ("m.b == 1 || false", cel.CelError), ("'a' in m", True), ("'b' in m", False), ("3 in [1, 2]", False),
    ("[1, 2].all(i, i > 0)", True), ("[1, 2].all(i, i > 1)", False), ("[].all(i, m.b)", True),
    ("[1, 2].all(i, m.b == i || i > 5)", cel.CelError), ("'a' == 1", False), ("1 < 'a'", cel.CelError),
    ("true ? 1 : m.b", 1), ("!true", False), ("'abc'.substring(1, 2)", "b"),
    ("'abc'.substring(1, 9)", cel.CelError), ("'a\\n'.matches('^a$')", False), ("'xay'.matches('a')", True),
    ("size('abc') < 63", True), ("1 ? 2 : 3", cel.CelError), ("{} == {}", True), ("m == {}", False),
    ("a && b ? 'x' : 'y'", "y"), ("a || b && !a", True), ("null == null", True), ("m != null", True)])
def test_the_evaluator(expression, value):
    result = Evaluator()(expression, {"m": {"a": 1}, "a": True, "b": False})
    assert isinstance(result, cel.CelError) if value is cel.CelError else result == value


def test_npms_evaluator_says_the_same():
    directory = os.environ.get("CEL_NPM")
    if not directory:
        pytest.skip("CEL_NPM is not set")
    ours = Evaluator()
    for env in [*MAY.values(), *(env for env, _ in MAY_NOT.values())]:
        ours.denials(env)
    for expression, _ in next(m for m in test_the_evaluator.pytestmark if m.name == "parametrize").args[1]:
        ours(expression, {"m": {"a": 1}, "a": True, "b": False})
    done = subprocess.run(
        ["node", str(manifests.HERE / "cel_peer.mjs"), directory], text=True, check=True,
        input=json.dumps([[x, e] for x, e, _ in ours.evaluated]), capture_output=True)
    differ = []
    for (expression, env, mine), theirs in zip(ours.evaluated, json.loads(done.stdout)):
        same = ("error" in theirs) if isinstance(mine, cel.CelError) else theirs.get("value") == mine
        if not same:
            differ.append((expression, env, mine, theirs))
    assert len(ours.evaluated) > 500 and differ == []

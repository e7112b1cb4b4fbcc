"""job-template.yml and rbac.yml: valid YAML whatever the job server fills in, valid Kubernetes
objects in an old and a new version, the values that the program relies on, nothing more granted
than it needs, and an environment that the real binary accepts."""
import copy
import os
import pathlib
import re
import shlex
import string
import subprocess
from fractions import Fraction

import pytest
import yaml

import manifests

BINARY = pathlib.Path(
    os.environ.get("CLEANUP_BIN", manifests.HERE.parent / "build/cleanup-grpc")).resolve()

JOB_IDS = ["12-70788", "0-1", "7", "1e3", "0x1f", "null", "a", "x" * 44]
TAGS = ["1.0", "latest", "2024.10.01-rc1", "007", "A_b.c-d", "1e3"]
PARAMETERS = [
    "", " ", "--port 5000", "5000", "1.50", "true", "null", "~", "  two in front", "two behind  ",
    "--name 'it is' --title \"a stream\"", "it's", '"', "'", "\\n \\ \\t", "a\ttab",
    "\ttab in front",
    "key: value", "- item", "? x", "# all a comment", "a # comment", "---", "...", "|", ">", "%TAG",
    "{a: [b, &c *d !e]}", "`@", "$HOME $$ $(NAME) ${X}", "--filter=a,b;c|d&e", "größe ✓ 🙂",
    "x" * 5000,
]
POD = ("spec", "template", "spec")
OLD, NEW = (manifests.load_schema(path) for path in manifests.SCHEMAS)
VERSIONS = pytest.mark.parametrize("schema", [OLD, NEW], ids=lambda s: s["kubernetes"])


def grpc_job(**kw):
    return manifests.render(**kw)[0]


def service(**kw):
    return manifests.render(**kw)[1]


def cleanup_job(**kw):
    return manifests.render(**kw)[2]


def pod_spec(job):
    return job["spec"]["template"]["spec"]


def container(job):
    (only,) = pod_spec(job)["containers"]
    return only


def template_with_broker():
    """The template with the lines for RabbitMQ uncommented, as its reader would do it."""
    lines, inside = [], False
    for line in manifests.TEMPLATE.read_text().splitlines():
        inside = line.lstrip().startswith("# - name: RABBITMQ_") or (
            inside and line.lstrip().startswith("#   "))
        lines.append(line.replace("# ", "", 1) if inside else line)
    return "\n".join(lines) + "\n"


def walk(value):
    yield value
    for inner in value.values() if isinstance(value, dict) else value if isinstance(
            value, list) else ():
        yield from walk(inner)


# --- placeholders -----------------------------------------------------------------------------


def test_template_is_yaml_before_replacement():
    assert [doc["kind"] for doc in manifests.load(manifests.TEMPLATE.read_text())] == [
        "Job", "Service", "Job"]


def test_every_dollar_sign_starts_a_placeholder_outside_comments():
    found = set()
    for line in manifests.TEMPLATE.read_text().splitlines():
        code, _, comment = line.partition("#")
        assert "$" not in comment, line
        assert code.count("$") == len(re.findall(r"\$[A-Z_]+", code)), line
        found |= set(re.findall(r"\$[A-Z_]+", code))
    assert found == {"$" + name for name in manifests.VALUES}


def test_shell_like_templates_give_the_same_result():
    filled = string.Template(manifests.TEMPLATE.read_text()).substitute(
        {**manifests.VALUES, "GRPC_JOB_PARAMETERS": "--x 'y'"})
    assert filled == manifests.render_text(GRPC_JOB_PARAMETERS="--x 'y'")


@pytest.mark.parametrize("job_id", JOB_IDS)
def test_names(job_id):
    job, svc, cleaner = manifests.render(job_id=job_id)
    assert [doc["metadata"]["name"] for doc in (job, svc, cleaner)] == [
        f"grpc-job-{job_id}", f"grpc-service-{job_id}", f"cleanup-job-{job_id}"]
    for doc in (job, svc, cleaner):
        assert re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", doc["metadata"]["name"])
    # Kubernetes cuts a pod's name at 63, so the cleaner trusts only a host name shorter than that
    assert len(cleaner["metadata"]["name"] + "-abcde") < 63


@pytest.mark.parametrize("tag", TAGS)
def test_image_tag(tag):
    assert container(grpc_job(tag=tag))["image"] == f"grpc-server:{tag}"


@pytest.mark.parametrize("params", PARAMETERS, ids=lambda text: repr(text)[:24])
def test_parameters_arrive_unchanged(params):
    """They are all of the command line, which the server's shell takes apart."""
    plain, filled = manifests.render(params="x"), manifests.render(params=params)
    command = container(filled[0])["command"]
    assert command == ["/bin/sh", "-c", params]
    container(plain[0])["command"] = command
    assert plain == filled  # and nothing else moved


def test_parameters_are_read_from_the_command():
    """As people and scripts do: of the pod's first container, whatever else is in its list."""
    params = "server --time-start '2025-01-01 00:00' --queue-name grpc-job-12-70788-q"
    words = shlex.split(" ".join(container(grpc_job(params=params))["command"]))
    assert words[words.index("--queue-name") + 1] == "grpc-job-12-70788-q"
    assert words[words.index("--time-start") + 1] == "2025-01-01 00:00"
    assert pod_spec(grpc_job())["containers"][0]["name"] == "grpc-server"


def leaves(value, path=()):
    """-> (path, value) of all that is no map and no list; of an empty one, too"""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(
        value, list) else ()
    if not inner:
        yield path, value
    for key, part in inner:
        yield from leaves(part, (*path, key))


def places(name):
    """The paths where the value of this placeholder stands."""
    texts = [manifests.render_text(**{name: value}) for value in ("31001", "31002")]
    one, two = (dict(leaves(manifests.load(text))) for text in texts)
    assert one.keys() == two.keys()
    return {path for path in one if one[path] != two[path]}


def escaped(name, value):
    """What this value has changed outside of its places; None if it is refused: by YAML, or by
    the API for a field of the wrong kind."""
    try:
        docs = manifests.load(manifests.render_text(**{name: value}))
    except yaml.YAMLError:
        return None
    if any(not isinstance(d, dict) or manifests.validate(d, NEW) for d in docs):
        return None
    own, plain, filled = (places(name), dict(leaves(manifests.render())), dict(leaves(docs)))
    return {path for path in plain.keys() | filled.keys()
            if path not in own and plain.get(path) != filled.get(path)}


HOSTILE = ["", " ", "#", " # x", "1 # x", "1, nodePort: 2", "1: 2", "{a: b}", "[1]", "[1", "{",
           "- 1", "? 1", "&a 1", "*a", "!!str 1", "!x 1", "|", ">", "|2-", '"', "'", '"1"', "'1'",
           '1" #', '1", a: "b', "1' #", "%YAML 1.1", "---", "--- {}", "...", "@1", "`1`", "null",
           "~", "true", "1e3", "0x1f", "010", "1_0", "1:30", "-1", "1.5", ": 1", "<<: *a", "\t1",
           "1\t# x", "$JOB_ID", "$GRPC_JOB_PARAMETERS", "größe ✓ 🙂", "x" * 5000]
NO_PORTS = ['"1"', "!!str 1", "1e3", "1.5", "true", "[1]", "{a: b}", "~", "1, nodePort: 2"]


@pytest.mark.parametrize("name", manifests.VALUES)
def test_no_value_on_one_line_breaks_out_of_its_place(name):
    found = {value[:40]: escaped(name, value) for value in HOSTILE}
    assert {value: paths for value, paths in found.items() if paths} == {}
    assert set() in found.values()      # not all are refused, or it would say nothing
    if name in ("PORT", "NODE_PORT"):
        assert {value: found[value] for value in NO_PORTS} == dict.fromkeys(NO_PORTS)   # refused


def test_what_breaks_out_is_seen():
    """A newline is what the template asks the job server never to pass on."""
    more = "x\n          tty: true\n          # "
    assert escaped("GRPC_JOB_PARAMETERS", more) == {
        (0, *POD, "containers", 0, "tty")}
    assert escaped("PORT", "1\n      appProtocol: x") == {(1, "spec", "ports", 0, "appProtocol")}


# --- the published API --------------------------------------------------------------------------


def test_two_versions_of_the_api():
    assert (OLD["kubernetes"], NEW["kubernetes"]) == ("1.25", "1.34")


@VERSIONS
@pytest.mark.parametrize("params", ["--port 5000", "5000", "", "true"])
@pytest.mark.parametrize("job_id", JOB_IDS)
def test_template_fits_the_api(schema, job_id, params):
    for doc in manifests.render(job_id=job_id, params=params):
        assert manifests.validate(doc, schema) == []


@VERSIONS
def test_template_with_broker_fits_the_api(schema):
    for doc in manifests.render(template=template_with_broker()):
        assert manifests.validate(doc, schema) == []


@VERSIONS
def test_rbac_fits_the_api(schema):
    for doc in manifests.rbac():
        assert manifests.validate(doc, schema) == []


def edited(doc, path, value):
    """A copy of @doc with the field at @path set, or removed if @value is None."""
    doc = copy.deepcopy(doc)
    *way, last = path
    inner = doc
    for step in way:
        inner = inner[step]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return doc


def new_complaints(check, doc, path, value):
    """What @check says of the edited @doc that it did not say of @doc itself."""
    before = check(doc)
    return [said for said in check(edited(doc, path, value)) if said not in before]


BOX = (*POD, "containers", 0)
IN_POD = "Job.spec.template.spec"
IN_BOX = IN_POD + ".containers[0]"


@VERSIONS
@pytest.mark.parametrize("which, path, value, complaint", [
    (0, ("speck",), {}, "Job.speck: unknown field"),
    (0, ("spec", "backOffLimit"), 0, "Job.spec.backOffLimit: unknown field"),
    (2, (*POD, "runAsNonRoot"), True, IN_POD + ".runAsNonRoot: unknown field"),
    (2, (*BOX, "securityContext", "capabilities", "drops"), [],
     IN_BOX + ".securityContext.capabilities.drops: unknown field"),
    (1, ("spec", "ports", 0, "containerPort"), 5000,
     "Service.spec.ports[0].containerPort: unknown field"),
    (2, ("spec", "backoffLimit"), "1000", "Job.spec.backoffLimit: '1000' is not of type integer"),
    (2, ("spec", "backoffLimit"), True, "Job.spec.backoffLimit: True is not of type integer"),
    (2, ("spec", "backoffLimit"), 1.5, "Job.spec.backoffLimit: 1.5 is not of type integer"),
    (2, (*BOX, "env", 0, "value"), 4,
     IN_BOX + ".env[0].value: 4 is not of type string"),
    (2, (*BOX, "securityContext", "readOnlyRootFilesystem"), "true",
     IN_BOX + ".securityContext.readOnlyRootFilesystem: 'true' is not of type boolean"),
    (1, ("spec", "ports"), {}, "Service.spec.ports: {} is not a list"),
    (1, ("spec", "selector"), ["app"], "Service.spec.selector: ['app'] is not a map"),
    (1, ("spec", "selector", "app"), 12, "Service.spec.selector.app: 12 is not of type string"),
    (1, ("spec", "ports", 0, "targetPort"), 5.0,
     "Service.spec.ports[0].targetPort: 5.0 is not of type integer-or-string"),
    (1, ("spec",), "x", "Service.spec: 'x' is not an object"),
    (0, ("spec", "template"), None, "Job.spec.template: required field is missing"),
    (0, (*BOX, "name"), None,
     IN_BOX + ".name: required field is missing"),
    (0, (*BOX, "ports", 0, "containerPort"), None,
     IN_BOX + ".ports[0].containerPort: required field is missing"),
    (2, (*POD, "securityContext", "seccompProfile", "type"), None,
     IN_POD + ".securityContext.seccompProfile.type: required field is missing"),
    (1, ("spec", "ports", 0, "port"), None,
     "Service.spec.ports[0].port: required field is missing"),
    (0, ("apiVersion",), "batch/v1beta1",
     "batch/v1beta1 Job: not a kind of object that the schema has"),
])
def test_validator_catches(schema, which, path, value, complaint):
    doc = manifests.render()[which]
    assert new_complaints(lambda d: manifests.validate(d, schema), doc, path, value) == [complaint]


@VERSIONS
@pytest.mark.parametrize("which, path, value, complaint", [
    (1, ("rules", 0, "verb"), "get", "Role.rules[0].verb: unknown field"),
    (1, ("rules", 0, "verbs"), "get", "Role.rules[0].verbs: 'get' is not a list"),
    (1, ("rules", 0, "verbs"), None, "Role.rules[0].verbs: required field is missing"),
    (2, ("roleRef",), None, "RoleBinding.roleRef: required field is missing"),
    (2, ("subjects", 0, "name"), None, "RoleBinding.subjects[0].name: required field is missing"),
    (0, ("automountServiceAccountToken",), "no",
     "ServiceAccount.automountServiceAccountToken: 'no' is not of type boolean"),
])
def test_validator_catches_in_rbac(schema, which, path, value, complaint):
    doc = manifests.rbac()[which]
    assert new_complaints(lambda d: manifests.validate(d, schema), doc, path, value) == [complaint]


def test_older_schema_is_really_older():
    newer = edited(cleanup_job(), ("spec", "podReplacementPolicy"), "Failed")  # 1.28
    assert manifests.validate(newer, NEW) == []
    assert manifests.validate(newer, OLD) == ["Job.spec.podReplacementPolicy: unknown field"]


def test_a_key_given_twice_is_refused():
    with pytest.raises(yaml.YAMLError, match="duplicate key 'a'"):
        manifests.load("a: 1\na: 2\n")


# --- the values that were agreed ----------------------------------------------------------------


def test_grpc_job():
    job = grpc_job(job_id="12-70788")
    assert job["spec"]["backoffLimit"] == 0
    assert job["spec"]["ttlSecondsAfterFinished"] == 120
    assert pod_spec(job)["restartPolicy"] == "Never"
    assert [port["containerPort"] for port in container(job)["ports"]] == [5000]
    for kind in ("limits", "requests"):
        assert quantity(container(job)["resources"][kind]["nvidia.com/gpu.shared"]) == 1


@pytest.mark.parametrize("job_id", JOB_IDS)
def test_labels(job_id):
    """kubectl logs -l app=cleanup-job-ID; kubectl get all -l job_id=ID: all three, and the pods."""
    job, svc, cleaner = manifests.render(job_id=job_id)
    streaming = {"app": f"grpc-job-{job_id}", "job_id": job_id}
    cleaning = {"app": f"cleanup-job-{job_id}", "job_id": job_id}
    assert job["metadata"]["labels"] == streaming
    assert job["spec"]["template"]["metadata"]["labels"] == streaming
    assert svc["metadata"]["labels"] == streaming
    assert cleaner["metadata"]["labels"] == cleaning
    assert cleaner["spec"]["template"]["metadata"]["labels"] == cleaning


def test_service_selects_the_streaming_pod_and_no_other():
    job, svc, cleaner = manifests.render()
    assert svc["spec"]["selector"] == {"app": job["metadata"]["name"]}

    def selected(owner):
        labels = owner["spec"]["template"]["metadata"]["labels"]
        return svc["spec"]["selector"].items() <= labels.items()
    assert selected(job) and not selected(cleaner)
    assert not selected(grpc_job(job_id="1-1"))


def test_service_listens_where_the_job_server_says():
    svc = manifests.load(manifests.render_text(PORT="12345", NODE_PORT="30099"))[1]
    assert svc["spec"]["type"] == "NodePort"
    assert svc["spec"]["ports"] == [
        {"protocol": "TCP", "port": 12345, "targetPort": 5000, "nodePort": 30099}]
    assert container(grpc_job())["ports"] == [{"containerPort": 5000}]


def test_what_is_a_site_s_own_is_marked():
    """And so is what a cluster forbids that chooses the user itself."""
    lines = manifests.TEMPLATE.read_text().splitlines()
    marked = [line for line in lines if "# site: " in line]
    for what in ("image: \"grpc-server", "env, volumeMounts", "resources:", "image: cleanup-grpc"):
        assert any(what in line for line in marked), what
    (at,) = [i for i, line in enumerate(lines) if "OpenShift" in line]
    assert lines[at].split()[:2] == ["runAsUser:", "65532"]
    assert lines[at + 1].split()[0] == "runAsGroup:" and "the next" in lines[at]


def test_cleaner_is_restricted_without_the_lines_that_openshift_forbids():
    spec = pod_spec(cleanup_job())
    for name in ("runAsUser", "runAsGroup"):
        del spec["securityContext"][name]
    assert restricted_violations(spec) == []
    assert "runAsUser" not in str(spec) and "fsGroup" not in str(spec)


def test_cleanup_job():
    job = cleanup_job()
    assert job["spec"]["ttlSecondsAfterFinished"] == 10
    assert pod_spec(job)["serviceAccountName"] == "cleanup-sa"
    assert container(job)["image"] == "cleanup-grpc:2.0"
    assert container(job)["env"] == [
        {"name": "CPU_USAGE_THRESHOLD", "value": "4"},
        {"name": "MAX_CPU_USAGE_COUNT", "value": "5"},
        {"name": "ENABLE_CPU_USAGE_CHECK", "value": "true"},
    ]
    resources = container(job)["resources"]
    assert {k: quantity(v) for k, v in resources["requests"].items()} == {
        "cpu": Fraction(1, 1000), "memory": 8 << 20}
    assert {k: quantity(v) for k, v in resources["limits"].items()} == {"memory": 32 << 20}


def test_cleaner_runs_the_image_s_own_entrypoint():
    assert not {"command", "args"} & set(container(cleanup_job()))


def test_cleaner_comes_back_after_a_drain_or_a_crash():
    job = cleanup_job()
    assert pod_spec(job)["restartPolicy"] == "OnFailure"
    assert job["spec"]["backoffLimit"] >= 1000
    assert pod_spec(job)["terminationGracePeriodSeconds"] >= 30  # a teardown takes up to 25 s
    for bounded in ("activeDeadlineSeconds", "podFailurePolicy", "suspend"):
        assert bounded not in job["spec"] and bounded not in pod_spec(job)


def test_cleaner_can_read_its_job_id_and_token():
    spec = pod_spec(cleanup_job())
    assert not {"hostname", "subdomain", "setHostnameAsFQDN", "hostnameOverride"} & set(spec)
    assert spec.get("automountServiceAccountToken", True)
    assert manifests.rbac()[0].get("automountServiceAccountToken", True)


def test_cleaner_s_environment_does_not_grow_with_the_namespace():
    assert pod_spec(cleanup_job())["enableServiceLinks"] is False


def test_no_object_names_a_namespace():
    for doc in manifests.render() + manifests.rbac():
        assert not any("namespace" in part for part in walk(doc) if isinstance(part, dict))


def test_broker_block_takes_its_credentials_from_a_secret():
    env = container(cleanup_job(template=template_with_broker()))["env"]
    assert env[:3] == container(cleanup_job())["env"]
    assert [var["name"] for var in env[3:]] == [
        "RABBITMQ_URL", "RABBITMQ_QUEUES", "RABBITMQ_USER", "RABBITMQ_PASSWORD"]
    for var in env[5:]:
        assert set(var["valueFrom"]) == {"secretKeyRef"} and "value" not in var


# --- quantities ---------------------------------------------------------------------------------

SUFFIXES = {"n": Fraction(1, 10**9), "u": Fraction(1, 10**6), "m": Fraction(1, 1000), "": 1,
            "k": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18,
            "Ki": 1 << 10, "Mi": 1 << 20, "Gi": 1 << 30, "Ti": 1 << 40, "Pi": 1 << 50,
            "Ei": 1 << 60}


QUANTITY = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:[eE]([-+]?\d+)|([numkMGTPE]|[KMGTPE]i)?)")


def quantity(text):
    """A Kubernetes quantity as an exact number; ValueError if it is not one."""
    match = QUANTITY.fullmatch(text)
    if not match:
        raise ValueError(f"{text!r} is not a quantity")
    number, exponent, suffix = match.groups()
    if exponent:
        return Fraction(number) * Fraction(10) ** int(exponent)
    return Fraction(number) * SUFFIXES[suffix or ""]


@pytest.mark.parametrize("text, value", [
    ("1", 1), ("1m", Fraction(1, 1000)), ("8Mi", 8388608), ("1.5k", 1500), ("2e3", 2000),
    ("1E", 10**18), (".5", Fraction(1, 2)), ("3Ki", 3072), ("5n", Fraction(1, 200000000))])
def test_quantity_reads(text, value):
    assert quantity(text) == value


@pytest.mark.parametrize("text", ["", "m", "8mb", "8MiB", "8 Mi", "-1x", "1K", "one"])
def test_quantity_refuses(text):
    with pytest.raises(ValueError):
        quantity(text)


@pytest.mark.parametrize("job", [grpc_job, cleanup_job])
def test_quantities_parse_and_requests_stay_within_limits(job):
    resources = container(job())["resources"]
    limits = {k: quantity(v) for k, v in resources.get("limits", {}).items()}
    for name, text in resources.get("requests", {}).items():
        assert quantity(text) <= limits.get(name, quantity(text)), name


# --- Pod Security Standard "restricted" ---------------------------------------------------------

SAFE_VOLUMES = {"configMap", "csi", "downwardAPI", "emptyDir", "ephemeral",
                "persistentVolumeClaim", "projected", "secret"}


def restricted_violations(spec):
    """-> what the standard's restricted profile (which includes baseline) forbids in a pod spec"""
    found = [flag for flag in ("hostNetwork", "hostPID", "hostIPC") if spec.get(flag)]
    found += [f"volume {volume['name']}" for volume in spec.get("volumes", [])
              if not set(volume) - {"name"} <= SAFE_VOLUMES]
    pod = spec.get("securityContext", {})
    found += [f"pod {key}" for key in ("sysctls", "windowsOptions", "seLinuxOptions")
              if pod.get(key)]
    for kind in ("initContainers", "containers", "ephemeralContainers"):
        for box in spec.get(kind, []):
            found += container_violations(box, pod)
    return found


def container_violations(box, pod):
    """A little stricter than the standard in seLinuxOptions and sysctls: none at all."""
    own = box.get("securityContext", {})
    caps = own.get("capabilities", {})

    def effective(key):
        return own.get(key, pod.get(key))

    rules = {
        "privileged": own.get("privileged", False) is False,
        "allowPrivilegeEscalation": own.get("allowPrivilegeEscalation") is False,
        "runAsNonRoot": effective("runAsNonRoot") is True,
        "runAsUser": pod.get("runAsUser") != 0 and own.get("runAsUser") != 0,
        "seccompProfile": (effective("seccompProfile") or {}).get("type") in (
            "RuntimeDefault", "Localhost"),
        "capabilities.drop": "ALL" in caps.get("drop", []),
        "capabilities.add": set(caps.get("add", [])) <= {"NET_BIND_SERVICE"},
        "procMount": own.get("procMount", "Default") == "Default",
        "seLinuxOptions": not own.get("seLinuxOptions"),
        "windowsOptions": not own.get("windowsOptions"),
        "hostPort": not any(port.get("hostPort") for port in box.get("ports", [])),
    }
    return [rule for rule, holds in rules.items() if not holds]


def test_cleaner_is_restricted():
    assert restricted_violations(pod_spec(cleanup_job())) == []


def test_cleaner_runs_as_65532_on_a_read_only_root():
    job = cleanup_job()
    pod = pod_spec(job)["securityContext"]
    assert (pod["runAsUser"], pod["runAsGroup"]) == (65532, 65532)
    assert pod["seccompProfile"] == {"type": "RuntimeDefault"}
    assert container(job)["securityContext"] == {
        "allowPrivilegeEscalation": False, "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]}}


OWN = ("containers", 0, "securityContext")


@pytest.mark.parametrize("path, value, violation", [
    (("hostNetwork",), True, "hostNetwork"),
    (("hostPID",), True, "hostPID"),
    (("volumes",), [{"name": "v", "hostPath": {"path": "/"}}], "volume v"),
    (("securityContext", "sysctls"), [{"name": "a", "value": "b"}], "pod sysctls"),
    (("securityContext", "runAsNonRoot"), None, "runAsNonRoot"),
    (("securityContext", "runAsUser"), 0, "runAsUser"),
    (("securityContext", "seccompProfile"), None, "seccompProfile"),
    (("securityContext", "seccompProfile", "type"), "Unconfined", "seccompProfile"),
    ((*OWN, "privileged"), True, "privileged"),
    ((*OWN, "allowPrivilegeEscalation"), None, "allowPrivilegeEscalation"),
    ((*OWN, "runAsNonRoot"), False, "runAsNonRoot"),
    ((*OWN, "runAsUser"), 0, "runAsUser"),
    ((*OWN, "capabilities"), None, "capabilities.drop"),
    ((*OWN, "capabilities", "drop"), ["NET_RAW"], "capabilities.drop"),
    ((*OWN, "capabilities", "add"), ["SYS_PTRACE"], "capabilities.add"),
    ((*OWN, "procMount"), "Unmasked", "procMount"),
    (("containers", 0, "ports"), [{"containerPort": 1, "hostPort": 1}], "hostPort"),
])
def test_restricted_check_catches(path, value, violation):
    spec = pod_spec(cleanup_job())
    assert new_complaints(restricted_violations, spec, path, value) == [violation]


# --- permissions --------------------------------------------------------------------------------

CONTRACT = {
    ("batch", "jobs"): {"get", "delete", "watch", "list"},
    ("", "services"): {"get", "delete", "patch"},
    ("metrics.k8s.io", "pods"): {"list", "get"},
    ("", "pods"): {"list", "delete"},
    ("", "events"): {"create"},
}


def test_role_grants_the_contract_exactly():
    assert manifests.required_rules() == {
        (group, resource, verb) for (group, resource), verbs in CONTRACT.items() for verb in verbs}


def test_role_grants_nothing_twice_and_only_namespaced_resources():
    _, role, _ = manifests.rbac()
    granted = [(group, resource, verb) for rule in role["rules"] for group in rule["apiGroups"]
               for resource in rule["resources"] for verb in rule["verbs"]]
    assert len(granted) == len(set(granted))
    for rule in role["rules"]:
        assert set(rule) == {"apiGroups", "resources", "verbs"}


def test_every_rule_says_what_goes_missing_without_it():
    lines = manifests.RBAC.read_text().splitlines()
    rules = [i for i, line in enumerate(lines) if line.startswith("  - apiGroups:")]
    assert len(rules) == len(manifests.rbac()[1]["rules"])
    for i in rules:
        comment = []
        while lines[i - 1].startswith("  #"):
            i -= 1
            comment.insert(0, lines[i])
        assert "without it" in " ".join(comment).lower(), lines[i]


def test_binding_ties_the_role_to_the_cleaner_s_account():
    account, role, binding = manifests.rbac()
    assert [doc["kind"] for doc in (account, role, binding)] == [
        "ServiceAccount", "Role", "RoleBinding"]
    assert (account["metadata"]["name"], role["metadata"]["name"]) == ("cleanup-sa", "cleanup")
    assert binding["roleRef"] == {
        "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": role["metadata"]["name"]}
    assert binding["subjects"] == [{"kind": "ServiceAccount", "name": account["metadata"]["name"]}]
    assert pod_spec(cleanup_job())["serviceAccountName"] == account["metadata"]["name"]


# --- the program's own parser -------------------------------------------------------------------


@pytest.fixture
def binary():
    if not BINARY.exists():
        if os.environ.get("CI") == "true":
            pytest.fail(f"{BINARY} is missing: build it before the tests")
        pytest.skip(f"{BINARY} is not built")
    return BINARY


def rendered_environment(**kw):
    """What a kubelet would set for the cleaner; a secret's value is stood in for by its key."""
    env = {var["name"]: var["value"] if "value" in var else var["valueFrom"]["secretKeyRef"]["key"]
           for var in container(cleanup_job(**kw))["env"]}
    return {**env, "KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}


def complaints(binary, env):
    """Runs @binary with a configuration it must refuse; -> the variables that it names, in order"""
    done = subprocess.run([binary], env={**env, "TEARDOWN_TIMEOUT_SECONDS": "bogus",
                                         "JOB_ID": "12-70788", "NAMESPACE": "default"},
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=10)
    assert done.returncode == 2, done.stderr
    return re.findall(r"\b([A-Z][A-Z0-9_]*)='[^']*':", done.stderr)


@pytest.mark.parametrize("broker", [False, True], ids=["as it is", "with broker"])
def test_binary_accepts_the_rendered_environment(binary, broker):
    template = template_with_broker() if broker else None
    # the one complaint that is asked for proves that all the rest was looked at and accepted
    assert complaints(binary, rendered_environment(template=template)) == [
        "TEARDOWN_TIMEOUT_SECONDS"]


@pytest.mark.parametrize("name", [
    "CPU_USAGE_THRESHOLD", "MAX_CPU_USAGE_COUNT", "ENABLE_CPU_USAGE_CHECK"])
def test_binary_reads_each_variable_of_the_template(binary, name):
    env = {**rendered_environment(), name: "not-a-value"}
    assert sorted(complaints(binary, env)) == sorted([name, "TEARDOWN_TIMEOUT_SECONDS"])


def test_binary_knows_each_variable_of_the_template(binary):
    text = subprocess.run([binary, "--help"], env={}, capture_output=True, text=True, timeout=10,
                          check=True).stdout
    for name in rendered_environment(template=template_with_broker()):
        assert re.search(rf"\b{name}\b", text), name

"""What a cluster is given: job-template.yml and rbac.yml as Python objects, for the tests.

Knows nothing of the program. validate() holds an object against schema/kubernetes-*.json, which
schema/extract.py made out of the published API.
"""
import json
import pathlib

import yaml

HERE = pathlib.Path(__file__).resolve().parent
TEMPLATE = HERE.parent / "job-template.yml"
RBAC = HERE.parent / "rbac.yml"
SWEEP = HERE.parent / "sweep.yml"
SCHEMAS = sorted((HERE / "schema").glob("kubernetes-*.json"))


class StrictLoader(yaml.SafeLoader):
    """Refuses a key that stands twice in one mapping; PyYAML would keep the last of them."""

    def construct_mapping(self, node, deep=False):
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(
                    None, None, f"duplicate key {key!r}", node.start_mark)
        return super().construct_mapping(node, deep)


def load(text):
    return list(yaml.load_all(text, Loader=StrictLoader))


VALUES = {"JOB_ID": "12-70788", "PZ_IMAGE_TAG": "1.0", "PORT": "12301", "NODE_PORT": "30012",
          "GRPC_JOB_PARAMETERS": "server --port 5000"}


def render_text(template=None, **values):
    """The template as the job server fills it in: plain text replacement, nothing clever."""
    text = TEMPLATE.read_text() if template is None else template
    for name, value in {**VALUES, **values}.items():
        text = text.replace("$" + name, value)
    return text


def render(job_id=VALUES["JOB_ID"], tag=VALUES["PZ_IMAGE_TAG"],
           params=VALUES["GRPC_JOB_PARAMETERS"], template=None):
    """-> the grpc Job, the Service and the cleanup Job, in the template's order"""
    return load(render_text(template, JOB_ID=job_id, PZ_IMAGE_TAG=tag, GRPC_JOB_PARAMETERS=params))


def rbac():
    """-> the ServiceAccount, the Role and the RoleBinding"""
    return load(RBAC.read_text())


def required_rules(path=RBAC):
    """-> {(group, resource, verb)}: all that rbac.yml grants, to compare with requests made"""
    (role,) = [doc for doc in load(path.read_text()) if doc["kind"] == "Role"]
    return {(group, resource, verb) for rule in role["rules"] for group in rule["apiGroups"]
            for resource in rule["resources"] for verb in rule["verbs"]}


def load_schema(path):
    return json.loads(path.read_text())


def validate(obj, schema):
    """-> a list of complaints, each with the path of the field; empty if @obj fits @schema"""
    kind = f"{obj.get('apiVersion')} {obj.get('kind')}"
    if kind not in schema["kinds"]:
        return [f"{kind}: not a kind of object that the schema has"]
    return list(_check(obj, schema["kinds"][kind], obj["kind"], schema["types"]))


SCALARS = {
    "string": lambda v: isinstance(v, str),
    "boolean": lambda v: isinstance(v, bool),
    "integer": lambda v: isinstance(v, int) and not isinstance(v, bool),
    "integer-or-string": lambda v: isinstance(v, (int, str)) and not isinstance(v, bool),
    "time": lambda v: isinstance(v, str),
    "any": lambda v: True,
}


def _check(value, kind, path, types):
    if kind in SCALARS:
        if not SCALARS[kind](value):
            yield f"{path}: {value!r} is not of type {kind}"
    elif kind[0] == "[":
        yield from _check_list(value, kind[1:-1], path, types)
    elif kind[0] == "{":
        yield from _check_map(value, kind[1:-1], path, types)
    else:
        yield from _check_object(value, types[kind], path, types)


def _check_list(value, kind, path, types):
    if not isinstance(value, list):
        yield f"{path}: {value!r} is not a list"
        return
    for i, item in enumerate(value):
        yield from _check(item, kind, f"{path}[{i}]", types)


def _check_map(value, kind, path, types):
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not a map"
        return
    for key, item in value.items():
        yield from _check(key, "string", f"{path} key {key!r}", types)
        yield from _check(item, kind, f"{path}.{key}", types)


def _check_object(value, fields, path, types):
    if not isinstance(value, dict):
        yield f"{path}: {value!r} is not an object"
        return
    known = {name.rstrip("!"): kind for name, kind in fields.items()}
    for name in sorted(name[:-1] for name in fields if name.endswith("!")):
        if name not in value:
            yield f"{path}.{name}: required field is missing"
    for name, item in value.items():
        if name in known:
            yield from _check(item, known[name], f"{path}.{name}", types)
        else:
            yield f"{path}.{name}: unknown field"

#!/usr/bin/python3
"""Writes kubernetes-VERSION.json beside this file: the fields, types and required fields of the
API objects that the manifests are made of, and of all that they contain.

The source is the official JavaScript client, whose model classes are generated from the OpenAPI
document that Kubernetes publishes. npm fetches the package; the tests need only the result.

usage: extract.py [PACKAGE@VERSION ...]    (default: the two that the tests use)
"""
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import tempfile

PACKAGES = ("@kubernetes/client-node@0.18.1", "@kubernetes/client-node@1.4.0")

KINDS = {
    "batch/v1 Job": "V1Job",
    "v1 Service": "V1Service",
    "v1 ServiceAccount": "V1ServiceAccount",
    "rbac.authorization.k8s.io/v1 Role": "V1Role",
    "rbac.authorization.k8s.io/v1 RoleBinding": "V1RoleBinding",
    "batch/v1 CronJob": "V1CronJob",
    # not in the older one
    "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicy": "V1ValidatingAdmissionPolicy",
    "admissionregistration.k8s.io/v1 ValidatingAdmissionPolicyBinding":
        "V1ValidatingAdmissionPolicyBinding",
}

# Every number in these objects is a Go int32 or int64; older packages do not say which.
SCALARS = {"string": "string", "boolean": "boolean", "number": "integer", "Date": "time",
           "IntOrString": "integer-or-string", "any": "any", "object": "any"}


def fetch(package, folder):
    subprocess.run(["npm", "pack", "--silent", package], cwd=folder, check=True,
                   stdout=subprocess.DEVNULL)
    (archive,) = pathlib.Path(folder).glob("*.tgz")
    files = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            name = re.search(r"/dist/gen/models?/(\w+\.(?:js|d\.ts))$", member.name)
            if name and member.isfile():
                files[name[1][0].upper() + name[1][1:]] = tar.extractfile(member).read().decode()
    return files


def field_type(text):
    """'Array<V1Container>' -> '[V1Container]', a map to strings -> '{string}'"""
    if inner := re.fullmatch(r"Array<(.+)>", text):
        return f"[{field_type(inner[1])}]"
    if inner := re.fullmatch(r"\{ \[key: string\]: (.+); \}", text):
        return f"{{{field_type(inner[1])}}}"
    return SCALARS.get(text, text)


def model(files, name):
    """-> {field: type}, where 'field!' marks a required one"""
    rows = json.loads(re.search(r"\.attributeTypeMap = (\[.*?\]);", files[name + ".js"], re.S)[1])
    required = set(re.findall(r"^    '(\w+)': ", files[name + ".d.ts"], re.M))
    known = set(re.findall(r"^    '(\w+)'\??: ", files[name + ".d.ts"], re.M))
    if known != {row["name"] for row in rows}:
        raise SystemExit(f"{name}: the .js and the .d.ts do not name the same fields")
    return {row["baseName"] + ("!" if row["name"] in required else ""): field_type(row["type"])
            for row in rows}


def kinds_of(files):
    return {kind: name for kind, name in KINDS.items() if name + ".js" in files}


def extract(files):
    types, todo = {}, sorted(kinds_of(files).values())
    while todo:
        name = todo.pop()
        if name in types:
            continue
        types[name] = model(files, name)
        for kind in types[name].values():
            inner = kind.strip("[]{}")
            if inner not in SCALARS.values():
                todo.append(inner)
    return dict(sorted(types.items()))


def version_of(files):
    text = files["V1Job.d.ts"]
    return re.search(r"version[^\n]*: (?:release-|v)(\d+\.\d+)", text)[1]


def write(package):
    with tempfile.TemporaryDirectory() as folder:
        files = fetch(package, folder)
    version, types = version_of(files), extract(files)
    lines = ",\n".join(f"{json.dumps(name)}: {json.dumps(fields)}"
                       for name, fields in types.items())
    out = pathlib.Path(__file__).with_name(f"kubernetes-{version}.json")
    out.write_text(f'{{"kubernetes": "{version}",\n"source": "npm {package}, by extract.py",\n'
                   f'"kinds": {json.dumps(kinds_of(files))},\n"types": {{\n{lines}\n}}}}\n')
    print(f"{out.name}: {len(types)} types from {package}")


if __name__ == "__main__":
    for wanted in sys.argv[1:] or PACKAGES:
        write(wanted)

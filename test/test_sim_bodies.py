"""The simulator's answers have the shape, and say the words, of those that real servers gave."""
import json
import os
import pathlib
import re
import subprocess

import pytest

TESTS = pathlib.Path(__file__).resolve().parent
SIM = os.environ.get("SIM", str(TESTS.parent / "build" / "sim" / "sim"))
# what the simulator leaves out, as no cleaner can read anything out of it
LEFT_OUT = {"managedFields", "annotations", "tolerations", "nodeName", "priority", "dnsPolicy",
            "enableServiceLinks", "preemptionPolicy", "schedulerName", "securityContext",
            "terminationMessagePath", "terminationMessagePolicy", "imagePullPolicy", "causes",
            "generateName", "deletionGracePeriodSeconds", "app"}
# values that are the same on every server
FIXED = {"kind", "apiVersion", "reason", "message", "status", "code", "type", "group", "phase"}


def bodies(version):
    out = subprocess.run([SIM, "--bodies", version], capture_output=True, text=True, check=True)
    found = {}
    for part in out.stdout.split("== ")[1:]:
        head, _, body = part.partition("\n")
        name, status, kind = head.split(" ", 2)
        found[name] = (int(status), kind, body.strip("\n"))
    return found


def plain(text):
    """Words without the names, ids and numbers of one run."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UID", text)
    text = re.sub(r"grpc-(job|service)-\d+-\d+", r"grpc-\1", text)
    text = re.sub(r"version: \d+ \(\d+\)|\((in record )?\d+\)", "N", text)
    return text.replace("noperm-sa", "cleanup-sa")


def shape(value, key=""):
    if isinstance(value, dict):
        left_out = LEFT_OUT | ({"ports"} if "image" in value else set())
        return {k: shape(v, k) for k, v in value.items() if k not in left_out}
    if isinstance(value, list):
        return [shape(v, key) for v in value[:1]] if key in ("containers", "ports") \
            else [shape(v, key) for v in value]
    if key in FIXED:
        return plain(value) if isinstance(value, str) else value
    return type(value).__name__


def recorded(version):
    for path in sorted((TESTS / "recordings" / version).glob("*.json")):
        record = json.loads(path.read_text())
        yield record["name"], record["response"]


def differences(ours, theirs, path=""):
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for key in sorted(set(ours) | set(theirs)):
            if key not in ours or key not in theirs:
                yield f"{path}.{key}: {'missing' if key in theirs else 'not in the recording'}"
            else:
                yield from differences(ours[key], theirs[key], f"{path}.{key}")
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for i, (a, b) in enumerate(zip(ours, theirs)):
            yield from differences(a, b, f"{path}[{i}]")
    elif ours != theirs:
        yield f"{path}: {ours!r}, recorded {theirs!r}"


NOT_ASKED = {"event-create", "job-delete-bad-policy", "job-delete-form-body", "job-get-deleting",
             "jobs-delete-empty-name", "metrics-busy", "metrics-zero", "path-unknown-api",
             "service-after-owner-gone", "watch-bookmark", "watch-future-version",
             "watch-server-timeout"}  # requests that a cleaner does not make; or the same again


@pytest.mark.parametrize("release", ["1.26", "1.34"])
def test_bodies(release):
    ours, wrong = bodies(release), []
    for name, response in recorded(release):
        if name in NOT_ASKED:
            continue
        assert name in ours, f"{name} is recorded, and the simulator does not answer it"
        status, kind, body = ours.pop(name)
        if status != response["status"] or kind != response["headers"]["Content-Type"]:
            wrong.append(f"{name}: {status} {kind}")
        theirs = response.get("body_text", response.get("body"))
        if "stream" in response:
            theirs = response["stream"][-1]
        if isinstance(theirs, str):
            if body.strip() != theirs.strip():
                wrong.append(f"{name}: {body!r}, recorded {theirs!r}")
        else:
            wrong += [f"{name}{d}" for d in differences(shape(json.loads(body)), shape(theirs))]
    assert not wrong, "\n" + "\n".join(wrong)
    assert not {n for n in ours if n not in ("throttled", "watch-expired")}, "not recorded"

"""Holds the fake API server to the recordings of real ones, then to what they cannot show.

Each recorded request is sent to a fake that was brought into the state of that moment. Status,
headers and the whole body must be the same, but for what differs from run to run: uids, times,
resource versions, generated names and addresses (see normal()).
"""
import http.client
import json
import os
import pathlib
import re
import select
import shlex
import signal
import socket
import ssl
import subprocess
import sys
import time

import pytest

from fakekube import FakeKube, Pki, faults

HERE = pathlib.Path(__file__).resolve().parent
VERSIONS = ("1.26", "1.34")
RECORDINGS = {v: {p.stem: json.loads(p.read_text())
                  for p in sorted((HERE / "recordings" / v).glob("*.json"))} for v in VERSIONS}

BATCH = "/apis/batch/v1/namespaces/panda/jobs"
CORE = "/api/v1/namespaces/panda"
METRICS = "/apis/metrics.k8s.io/v1beta1/namespaces/panda/pods"
JOB1, JOB2, JOB3 = "grpc-job-1-1", "grpc-job-2-2", "grpc-job-3-3"
TWO = [{"image": "x", "name": "grpc-server"}, {"image": "z", "name": "helper"}]
ONE = [{"image": "x", "name": "grpc-server", "ports": [{"containerPort": 5000}]}]


# ---- a client ----

class Client:
    """One keep-alive connection; get(...).json and so on."""

    def __init__(self, kube, token="", timeout=10, cafile=None):
        self.kube, self.token = kube, kube.token if token == "" else token
        context = ssl.create_default_context(
            cafile=cafile or str(kube.service_account_dir / "ca.crt"))
        self.http = http.client.HTTPSConnection("127.0.0.1", kube.port, timeout=timeout,
                                                context=context)

    def send(self, method, path, body=None, content_type="application/json", headers=None):
        headers = dict(headers or {})
        if self.token is not None:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
        if body is not None:
            headers["Content-Type"] = content_type
        self.http.putrequest(method, path, skip_accept_encoding=True)
        if body is not None:
            headers["Content-Length"] = str(len(body))
        for name, value in headers.items():
            self.http.putheader(name, value)
        self.http.endheaders(body)
        return self.http.getresponse()

    def __call__(self, method, path, body=None, content_type="application/json", headers=None):
        response = self.send(method, path, body, content_type, headers)
        response.content = response.read()
        try:
            response.json = json.loads(response.content)
        except ValueError:
            response.json = None
        return response

    def get(self, path):
        return self("GET", path)

    def delete(self, path, body=None, **kw):
        return self("DELETE", path, {} if body is None else body, **kw)

    def watch(self, query, path=BATCH):
        return Stream(self.send("GET", f"{path}?watch=1&{query}"))

    def close(self):
        self.http.close()


class Stream:
    def __init__(self, response):
        self.response = response

    def next(self):
        """The next event, or None at a clean end."""
        line = self.response.readline()
        return json.loads(line) if line else None

    def rest(self):
        return list(iter(self.next, None))

    def take(self, count):
        events = [self.next() for _ in range(count)]
        assert None not in events, events
        return events


def kinds(events):
    return [e["type"] for e in events]


@pytest.fixture(name="kube", params=["1.34"])
def fixture_kube(request):
    with FakeKube(request.param) as kube:
        yield kube


@pytest.fixture(name="client")
def fixture_client(kube):
    client = Client(kube)
    yield client
    client.close()


both = pytest.mark.parametrize("kube", VERSIONS, indirect=True)


# ---- the recordings ----

UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")
# the value may be another one, but its type may not
FREE = {"resourceVersion", "clusterIP", "window", "nodePort"}


def normal_text(text):
    text = UID.sub("<uid>", text)
    text = TIME.sub("<time>", text)
    text = re.sub(r"(grpc-job-\d-\d)([-.])[a-z0-9]{5}\b", r"\1\2<suffix>", text)
    return re.sub(r"\((\d+)\)", "(<number>)", text)


def normal(value, key=""):
    """A body with everything that differs from run to run replaced by what it is."""
    if isinstance(value, dict):
        return {normal_text(k): normal(v, k) for k, v in value.items()}
    if isinstance(value, list):
        items = [normal(v, key) for v in value]
        if key == "managedFields":      # sorted by time, so by speed
            items.sort(key=lambda m: (m["manager"], m.get("subresource", "")))
        if key == "containers" and items and "usage" in items[0]:
            items.sort(key=lambda c: c["name"])
        if key == "clusterIPs":
            items = ["<str>"] * len(items)
        return items
    if key == "manager" and value in ("Python-urllib", "kubelet"):
        return "<kubelet>"              # the recorded pods had a small script for a kubelet
    if key in FREE:
        return f"<{type(value).__name__}>"
    if key == "cpu":
        return re.sub(r"\d{6,}n", "<nanocores>", value)
    return normal_text(value) if isinstance(value, str) else value


def running(kube):
    kube.create_job(JOB1, containers=TWO, cpu={"helper": "0", "grpc-server": "2m"})


def pending(kube):
    kube.create_job(JOB1, containers=TWO, phase="Pending")


def complete(kube):
    running(kube)
    kube.annotate(JOB1, note="x")
    kube.complete_job(JOB1)


def failed(kube):
    kube.create_job(JOB2, containers=ONE)
    kube.fail_job(JOB2)


def suspended(kube):
    kube.create_job(JOB3, containers=ONE, suspend=True)


def resumed(kube):
    suspended(kube)
    kube.resume_job(JOB3)


def deleting(kube):
    resumed(kube)
    kube.pod_grace = 1000
    kube.delete_job(JOB3, "Foreground")


def orphaned(kube):
    complete(kube)
    kube.delete_job(JOB1, None)
    kube.wait_for(lambda: not kube.job(JOB1))


def service2(kube):
    kube.create_service("grpc-service-2-2", app="grpc-service-2-2")


def service3(kube):
    resumed(kube)
    kube.create_service("grpc-service-3-3", app="grpc-service-3-3")


def service3_owned(kube):
    service3(kube)
    recording = RECORDINGS[kube.version]["service-patch-owner"]
    assert replay(kube, recording).status == 200


def service3_owner_gone(kube):
    resumed(kube)
    kube.create_service("grpc-service-3-3", owners=[JOB3])
    kube.delete_job(JOB3)
    kube.wait_for(lambda: not kube.services())


def busy(kube):
    running(kube)
    kube.set_cpu(JOB1, {"helper": "0", "grpc-server": "1499967592n"})


def zero(kube):
    running(kube)
    kube.set_cpu(JOB1, "0")


def metrics_down(kube):
    kube.metrics.up = False


def metrics_absent(kube):
    kube.metrics.absent = True


def throttled(kube):
    kube.fault(faults.throttled(), verb="list")


def nothing(kube):
    assert not kube.jobs()


# name -> (what was before, who asks)
STATES = {
    "access-review-allowed": (nothing, "cleanup-sa"),
    "access-review-denied": (nothing, "noperm-sa"),
    "event-create": (resumed, "cleanup-sa"),
    "event-create-forbidden": (resumed, "noperm-sa"),
    "job-delete-background": (failed, "cleanup-sa"),
    "job-delete-bad-policy": (resumed, "cleanup-sa"),
    "job-delete-forbidden": (running, "noperm-sa"),
    "job-delete-foreground": (resumed, "cleanup-sa"),
    "job-delete-form-body": (resumed, "cleanup-sa"),
    "job-delete-missing": (nothing, "cleanup-sa"),
    "job-delete-no-policy": (complete, "cleanup-sa"),
    "job-delete-stale-version": (resumed, "cleanup-sa"),
    "job-delete-wrong-uid": (failed, "cleanup-sa"),
    "job-get-anonymous": (failed, None),
    "job-get-complete": (complete, "cleanup-sa"),
    "job-get-deleting": (deleting, "cleanup-sa"),
    "job-get-failed": (failed, "cleanup-sa"),
    "job-get-forbidden": (failed, "noperm-sa"),
    "job-get-missing": (nothing, "cleanup-sa"),
    "job-get-pending": (pending, "cleanup-sa"),
    "job-get-running": (running, "cleanup-sa"),
    "job-get-suspended": (suspended, "cleanup-sa"),
    "job-get-unauthorized": (failed, "no token"),
    "jobs-delete-empty-name": (resumed, "cleanup-sa"),
    "jobs-list-one": (running, "cleanup-sa"),
    "metrics-after-exit": (complete, "cleanup-sa"),
    "metrics-api-absent": (metrics_absent, "cleanup-sa"),
    "metrics-busy": (busy, "cleanup-sa"),
    "metrics-forbidden": (running, "noperm-sa"),
    "metrics-idle": (running, "cleanup-sa"),
    "metrics-none-yet": (pending, "cleanup-sa"),
    "metrics-server-down": (metrics_down, "cleanup-sa"),
    "metrics-zero": (zero, "cleanup-sa"),
    "path-unknown-api": (nothing, "cleanup-sa"),
    "pods-list-orphaned": (orphaned, "cleanup-sa"),
    "pods-list-pending": (pending, "cleanup-sa"),
    "pods-list-running": (running, "cleanup-sa"),
    "service-after-owner-gone": (service3_owner_gone, "cleanup-sa"),
    "service-delete": (service2, "cleanup-sa"),
    "service-delete-forbidden": (service3, "noperm-sa"),
    "service-delete-missing": (nothing, "cleanup-sa"),
    "service-delete-wrong-uid": (service2, "cleanup-sa"),
    "service-get": (service3, "cleanup-sa"),
    "service-patch-forbidden": (service3, "noperm-sa"),
    "service-patch-owner": (service3, "cleanup-sa"),
    "service-patch-owner-again": (service3_owned, "cleanup-sa"),
    "service-patch-wrong-uid": (service3, "cleanup-sa"),
    "throttled": (throttled, "cleanup-sa"),
    "watch-bookmark": (running, "cleanup-sa"),
    "watch-expired": (running, "cleanup-sa"),
    "watch-forbidden": (running, "noperm-sa"),
    "watch-future-version": (running, "cleanup-sa"),
    "watch-server-timeout": (nothing, "cleanup-sa"),
    "watch-until-complete": (running, "cleanup-sa"),
}
# name -> why the fake is not held to it
EXCLUDED = {}
ONLY_1_26 = {"throttled", "watch-expired"}


def recorded_uids(version):
    """uid -> (kind, name), from all objects of all recordings."""
    found = {}

    def walk(value):
        if isinstance(value, list):
            for item in value:
                walk(item)
        elif isinstance(value, dict):
            meta = value.get("metadata")
            if value.get("kind") in ("Job", "Service") and isinstance(meta, dict) and "uid" in meta:
                found[meta["uid"]] = (value["kind"].lower(), meta["name"])
            for item in value.values():
                walk(item)
    walk(RECORDINGS[version])
    return found


def translate(kube, text):
    """A recorded request with the uids that the fake gave to the same objects."""
    for uid, (kind, name) in recorded_uids(kube.version).items():
        mine = kube.get(kind, name)
        if mine:
            text = text.replace(uid, mine["metadata"]["uid"])
    return text


def replay(kube, recording, token="", path=None):
    request = recording["request"]
    client = Client(kube, token)
    body = request.get("body")
    if body is not None:
        body = translate(kube, json.dumps(body)).encode()
    return client.send(request["method"], path or request["path"], body,
                       request.get("content_type", "application/json"))


def token_of(kube, who):
    if who == "cleanup-sa":
        return kube.token
    return kube.add_user("noperm-sa") if who == "noperm-sa" else who


def check_head(response, recorded):
    assert response.status == recorded["status"]
    assert response.reason == recorded["reason"]
    for name in ("Content-Type", "Warning", "Retry-After", "Transfer-Encoding"):
        assert response.headers.get(name) == recorded["headers"].get(name), name
    assert TIME_HEADER.fullmatch(response.headers["Date"])


TIME_HEADER = re.compile(r"\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT")


def test_every_recording_is_replayed():
    assert set(RECORDINGS["1.26"]) == set(STATES) | set(EXCLUDED)
    assert set(RECORDINGS["1.34"]) == (set(STATES) | set(EXCLUDED)) - ONLY_1_26
    assert not set(STATES) & set(EXCLUDED)
    assert len(RECORDINGS["1.26"]) == 54 and len(RECORDINGS["1.34"]) == 52
    assert len(REPLAYS) == 54 + 52 - 2 * len(EXCLUDED)


REPLAYS = [(v, name) for v in VERSIONS for name in RECORDINGS[v] if name not in EXCLUDED]


@pytest.mark.parametrize("kube,name", REPLAYS, indirect=["kube"])
def test_recording(kube, name):
    recording = RECORDINGS[kube.version][name]
    state, who = STATES[name]
    state(kube)
    if "stream" in recording["response"]:
        check_stream(kube, recording)
        return
    response = replay(kube, recording, token_of(kube, who))
    content = response.read()
    recorded = recording["response"]
    check_head(response, recorded)
    if "body_text" in recorded:
        assert content.decode() == recorded["body_text"]
    else:
        assert normal(json.loads(content)) == normal(recorded["body"])


def check_stream(kube, recording):
    """A watch: the events that the recorded client got, in their order.

    The recording called watch-bookmark holds no bookmark in either version; that one comes, as
    the real server's source says, is left to test_bookmark_before_the_end().
    """
    name, recorded = recording["name"], recording["response"]
    kube.watch_second = 1.0 if name == "watch-until-complete" else 0.02
    path = recording["request"]["path"]
    if name in ("watch-until-complete", "watch-bookmark", "watch-server-timeout"):
        path, count = re.subn(r"resourceVersion=\d+", f"resourceVersion={kube.resource_version}",
                              path)
        assert count == 1

    def story():
        kube.annotate(JOB1, note="x")
        kube.complete_job(JOB1)
    if name == "watch-bookmark":
        story()                         # before: the watch resumes in the past
    response = replay(kube, recording, path=path)
    check_head(response, recorded)
    stream, events = Stream(response), []
    if name == "watch-until-complete":
        story()
        events = stream.take(len(recorded["stream"]))
        kube.end_watches()              # the recorded client left
    events += [e for e in stream.rest() if e["type"] != "BOOKMARK"]
    assert normal(events) == normal(recorded["stream"])
    assert len(events) == {"watch-bookmark": 3, "watch-until-complete": 3,
                           "watch-expired": 1}.get(name, 0)


# ---- watches ----

def test_watch_resumes_behind_a_version(kube, client):
    kube.create_job(JOB1)
    first = client.get(f"{BATCH}?fieldSelector=metadata.name%3D{JOB1}").json
    kube.annotate(JOB1, n="1")
    kube.annotate(JOB1, n="2")
    stream = client.watch(f"resourceVersion={first['metadata']['resourceVersion']}")
    one, two = stream.take(2)
    assert [e["object"]["metadata"]["annotations"]["n"] for e in (one, two)] == ["1", "2"]
    again = Client(kube).watch(
        f"resourceVersion={one['object']['metadata']['resourceVersion']}")
    assert again.next() == two
    kube.annotate(JOB1, n="3")
    assert stream.next() == again.next()


@pytest.mark.parametrize("query", ["", "resourceVersion=0"])
def test_watch_from_nothing_begins_with_what_is_there(kube, client, query):
    kube.create_job(JOB1)
    stream = client.watch(query)
    assert stream.next() == {"type": "ADDED", "object": kube.job(JOB1)}
    kube.vanish("job", JOB1)
    assert stream.next()["type"] == "DELETED"


def test_watch_of_one_name_hears_of_no_other(kube, client):
    stream = client.watch(f"fieldSelector=metadata.name%3D{JOB1}")
    kube.create_job(JOB2)
    kube.create_job(JOB1, phase=None)
    kube.touch("job", JOB2)
    kube.touch("job", JOB1)
    events = stream.take(2)
    assert kinds(events) == ["ADDED", "MODIFIED"]
    assert {e["object"]["metadata"]["name"] for e in events} == {JOB1}


def test_watch_by_label_sees_objects_come_and_go(kube, client):
    stream = client.watch("labelSelector=colour%3Dred")
    kube.create_job(JOB1, phase=None)
    for colour in ("red", "red", "blue"):
        kube.edit("job", JOB1, lambda j: j["metadata"]["labels"].update(colour=colour))
        kube.touch("job", JOB1)
    assert kinds(stream.take(4)) == ["ADDED", "MODIFIED", "MODIFIED", "DELETED"]


def test_watch_of_a_newcomer(kube, client):
    old = kube.create_job(JOB1)
    stream = client.watch(f"resourceVersion={kube.resource_version}")
    kube.recreate_job(JOB1, phase=None)
    gone, new = stream.take(2)
    assert kinds([gone, new]) == ["DELETED", "ADDED"]
    assert gone["object"]["metadata"]["uid"] == old["metadata"]["uid"]
    assert new["object"]["metadata"]["uid"] == kube.job(JOB1)["metadata"]["uid"]
    assert new["object"]["metadata"]["uid"] != old["metadata"]["uid"]
    assert int(gone["object"]["metadata"]["resourceVersion"]) > int(
        old["metadata"]["resourceVersion"])


def test_watch_ends_cleanly_and_the_connection_lives_on(kube, client):
    kube.watch_second = 0.05
    start = time.monotonic()
    assert client.watch("timeoutSeconds=2").rest() == []
    assert 0.1 <= time.monotonic() - start < 2
    assert client.watch("timeoutSeconds=-1").rest() == []
    assert client.get(BATCH).status == 200
    assert kube.stats.accepted == 1 and kube.requests[0].aborted == ""


@both
def test_bookmark_before_the_end(kube, client):
    kube.watch_second, kube.bookmark_before = 0.1, 0.2
    kube.create_job(JOB1)
    rv = kube.resource_version
    kube.create_service("another")
    events = client.watch(f"resourceVersion={rv}&allowWatchBookmarks=true&timeoutSeconds=4").rest()
    assert kinds(events) == ["BOOKMARK"]
    bookmark = events[0]["object"]
    assert (bookmark["kind"], bookmark["apiVersion"]) == ("Job", "batch/v1")
    assert bookmark["metadata"]["resourceVersion"] == str(kube.resource_version)
    assert {k for k, v in bookmark["metadata"].items() if v} == {"resourceVersion"}
    assert not bookmark["status"]
    assert client.watch(f"resourceVersion={rv}&timeoutSeconds=4").rest() == []


def test_regular_bookmarks(kube, client):
    kube.bookmark_period = 0.02
    stream = client.watch("resourceVersion=1000&allowWatchBookmarks=1")
    assert kinds(stream.take(3)) == ["BOOKMARK"] * 3


def test_compacted_history_is_410_inside_200(kube, client):
    kube.create_job(JOB1)
    before = kube.resource_version
    kube.compact()
    response = client.send("GET", f"{BATCH}?watch=1&resourceVersion={before}")
    assert response.status == 200
    events = Stream(response).rest()
    assert kinds(events) == ["ERROR"]
    assert (events[0]["object"]["code"], events[0]["object"]["reason"]) == (410, "Expired")
    version = client.get(BATCH).json["metadata"]["resourceVersion"]
    stream = client.watch(f"resourceVersion={version}")
    kube.touch("job", JOB1)
    assert stream.next()["type"] == "MODIFIED"


def test_watch_from_the_future_is_silent(kube, client):
    kube.watch_second, kube.bookmark_period = 0.1, 0.01
    stream = client.watch("resourceVersion=99999999&allowWatchBookmarks=true&timeoutSeconds=3")
    kube.create_job(JOB1)
    assert stream.rest() == []


def test_two_hundred_watches(kube):
    kube.create_job(JOB1)
    clients = [Client(kube) for _ in range(200)]
    streams = [c.watch(f"fieldSelector=metadata.name%3D{JOB1}&resourceVersion="
                       f"{kube.resource_version}") for c in clients]
    assert len(kube.watches(verb="watch")) == 200
    kube.complete_job(JOB1)
    for stream in streams:
        assert kinds(stream.take(2)) == ["MODIFIED"] * 2
    for client in clients:
        client.close()
    kube.wait_for(lambda: not kube.watches())
    assert kube.stats.max_open == 200 and kube.stats.handshakes == 200
    assert all(r.aborted == "client" for r in kube.find_requests(verb="watch"))


# ---- reading ----

@pytest.mark.parametrize("path,status,reason", [
    (f"{BATCH}?fieldSelector=metadata.uid%3Dx", 400, "BadRequest"),
    (f"{BATCH}?watch=1&resourceVersion=abc", 500, None),
    (f"{BATCH}?resourceVersion=99999999", 504, "Timeout"),
    ("/apis/batch/v2/namespaces/panda/jobs", 404, "NotFound"),
    (f"{BATCH}/a/b", 404, "NotFound"),
    ("/apis/batch/v1/nothing/at/all", 404, "NotFound"),
])
def test_refusals(kube, path, status, reason):
    kube.api.too_large_wait = 0.01
    response = Client(kube, kube.admin_token).get(path)
    assert response.status == status and response.json.get("reason") == reason
    if status == 404:       # none of these says that a Job is gone
        assert response.json["details"] == {}
    if status == 504:
        assert response.headers["Retry-After"] == "1"


def test_an_absent_group_is_text(kube):
    response = Client(kube, kube.admin_token).get("/apis/nosuch.k8s.io/v1/namespaces/panda/pods")
    assert (response.status, response.content) == (404, b"404 page not found\n")
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"


@pytest.mark.parametrize("selector,names", [
    ("app%3Da", ["a"]), ("app!%3Da", ["b"]), ("app%20in%20(a,b)", ["a", "b"]), ("!app", []),
    ("app,job-name%3Db", ["b"]), ("app%20notin%20(a)", ["b"]), ("app%3Da,job-name%3Db", []),
])
def test_label_selectors(kube, client, selector, names):
    for name in ("a", "b"):
        kube.create_job(name)
    items = client.get(f"{BATCH}?labelSelector={selector}").json["items"]
    assert [i["metadata"]["name"] for i in items] == names


@both
def test_labels_of_a_job_with_its_own_selector(kube):
    job = kube.create_job(JOB1, manual_selector=True)
    assert job["spec"]["selector"] == {"matchLabels": {"app": JOB1}}
    assert set(job["spec"]["template"]["metadata"]["labels"]) == {"app"}
    assert len(kube.pods(JOB1)) == 1


# ---- deleting ----

def delete_options(policy=None, **preconditions):
    return {**({"propagationPolicy": policy} if policy else {}),
            **({"preconditions": preconditions} if preconditions else {})}


def test_background_frees_the_name_and_then_the_pods_go(kube, client):
    kube.create_job(JOB1)
    kube.pod_grace = 1000
    assert client.delete(f"{BATCH}/{JOB1}", delete_options("Background")).json["kind"] == "Status"
    assert kube.job(JOB1) is None
    pod = kube.wait_for(lambda: [p for p in kube.pods(JOB1) if "deletionTimestamp"
                                 in p["metadata"]])[0]
    assert pod["metadata"]["deletionGracePeriodSeconds"] == 30
    assert "finalizers" not in kube.wait_for(
        lambda: [p for p in kube.pods(JOB1) if "finalizers" not in p["metadata"]])[0]["metadata"]


def test_pods_vanish_after_their_grace(kube, client):
    kube.create_job(JOB1, parallelism=2)
    assert len(kube.pods(JOB1)) == 2
    client.delete(f"{BATCH}/{JOB1}", delete_options("Background"))
    kube.wait_for(lambda: not kube.pods())


def test_foreground_waits_for_the_pods(kube, client):
    kube.create_job(JOB1)
    kube.kubelet = False
    stream = client.watch(f"resourceVersion={kube.resource_version}")
    other = Client(kube)
    answer = other.delete(f"{BATCH}/{JOB1}", delete_options("Foreground")).json
    assert answer["metadata"]["finalizers"] == ["foregroundDeletion"]
    kube.wait_for(lambda: "deletionTimestamp" in kube.pods(JOB1)[0]["metadata"])
    assert kube.job(JOB1)
    again = other.delete(f"{BATCH}/{JOB1}", delete_options("Foreground")).json
    assert again["metadata"]["deletionTimestamp"] == answer["metadata"]["deletionTimestamp"]
    kube.kubelet = True
    kube.wait_for(lambda: not kube.job(JOB1))
    assert kinds(stream.take(2)) == ["MODIFIED", "DELETED"] and not kube.pods()


@pytest.mark.parametrize("policy", [None, "Orphan"])
def test_orphans_keep_their_labels(kube, client, policy):
    uid = kube.create_job(JOB1)["metadata"]["uid"]
    response = client.delete(f"{BATCH}/{JOB1}", delete_options(policy))
    assert response.json["metadata"]["finalizers"] == ["orphan"]
    assert ("Warning" in response.headers) == (policy is None)
    kube.wait_for(lambda: not kube.job(JOB1))
    pod, = kube.pods(uid=uid)
    assert "ownerReferences" not in pod["metadata"]
    assert "deletionTimestamp" not in pod["metadata"]


def test_without_controllers_pods_leak_and_orphan_hangs(kube, client):
    kube.controllers = False
    uid = kube.create_job(JOB1)["metadata"]["uid"]
    client.delete(f"{BATCH}/{JOB1}", delete_options())
    assert kube.job(JOB1)["metadata"]["finalizers"] == ["orphan"]
    # Background replaces the finalizer: that is how to free it
    assert client.delete(f"{BATCH}/{JOB1}",
                         delete_options("Background")).json["kind"] == "Status"
    pod, = kube.pods(uid=uid)
    assert "deletionTimestamp" not in pod["metadata"]
    path = f"{CORE}/pods/{pod['metadata']['name']}"
    answer = client.delete(path, delete_options(uid=pod["metadata"]["uid"])).json
    assert answer["kind"] == "Pod" and answer["metadata"]["deletionTimestamp"]
    assert answer["metadata"]["finalizers"] == ["batch.kubernetes.io/job-tracking"]
    kube.wait_for(lambda: kube.pods()[0]["metadata"]["deletionGracePeriodSeconds"] == 0)
    kube.controllers = True
    kube.wait_for(lambda: not kube.pods())


def test_a_foreign_finalizer_holds_the_job(kube, client):
    kube.create_job(JOB1, finalizers=["example.com/hold"])
    answer = client.delete(f"{BATCH}/{JOB1}", delete_options("Background")).json
    assert answer["kind"] == "Job" and answer["metadata"]["deletionTimestamp"]
    assert kube.job(JOB1) and "deletionTimestamp" not in kube.pods()[0]["metadata"]
    kube.remove_finalizers("job", JOB1)
    assert kube.job(JOB1) is None
    kube.wait_for(lambda: not kube.pods())


def test_preconditions(kube, client):
    job = kube.create_job(JOB1)
    uid, rv = job["metadata"]["uid"], job["metadata"]["resourceVersion"]
    kube.touch("job", JOB1)
    for options in (delete_options("Background", uid="x"),
                    delete_options("Background", uid=uid, resourceVersion=rv)):
        response = client.delete(f"{BATCH}/{JOB1}", options)
        assert (response.status, response.json["reason"]) == (409, "Conflict")
    rv = kube.job(JOB1)["metadata"]["resourceVersion"]
    assert client.delete(f"{BATCH}/{JOB1}", delete_options(
        "Background", uid=uid, resourceVersion=rv)).status == 200


def test_options_in_the_query_count_only_without_a_body(kube, client):
    kube.create_job(JOB1)
    query = "propagationPolicy=Background"
    assert client.delete(f"{BATCH}/{JOB1}?{query}", {}).json["metadata"]["finalizers"] == ["orphan"]
    kube.create_job(JOB2)
    assert client("DELETE", f"{BATCH}/{JOB2}?{query}").json["kind"] == "Status"
    kube.create_job(JOB3)
    assert client("DELETE", f"{BATCH}/{JOB3}?{query}&dryRun=All").status == 200
    assert kube.job(JOB3)


def test_a_body_that_is_no_json_is_500(client):
    response = client("DELETE", f"{BATCH}/{JOB1}", b"{oops}")
    assert response.status == 500 and "reason" not in response.json


def test_an_empty_name_deletes_every_job(kube, client):
    for name in (JOB1, JOB2):
        kube.create_job(name)
    options = delete_options("Background")
    assert client.delete(f"{BATCH}/", options).status == 403
    assert len(kube.jobs()) == 2
    kube.allow("batch", "jobs", "deletecollection")
    answer = client.delete(f"{BATCH}/", options).json
    assert answer["kind"] == "JobList" and len(answer["items"]) == 2
    assert kube.jobs() == []
    assert [r.verb for r in kube.requests] == ["deletecollection"] * 2


def test_ttl_controller(kube):
    kube.ttl_controller, kube.ttl_scale = True, 0.0001
    kube.create_job(JOB1, ttl=120)
    kube.complete_job(JOB1)
    kube.wait_for(lambda: not kube.job(JOB1) and not kube.pods())


# ---- owners ----

def test_the_last_owner_takes_the_service_along(kube):
    kube.create_job(JOB1)
    kube.create_job(JOB2)
    kube.create_service("s", owners=[JOB1, JOB2])
    kube.delete_job(JOB1)
    refs = kube.wait_for(lambda: (r := kube.service("s")["metadata"]["ownerReferences"])
                         and len(r) == 1 and r)
    assert refs[0]["name"] == JOB2
    kube.delete_job(JOB2)
    kube.wait_for(lambda: not kube.service("s"))


def test_an_owner_that_does_not_exist_kills_at_once(kube, client):
    kube.create_job(JOB1)
    uid = kube.create_service("s")["metadata"]["uid"]
    ref = {"apiVersion": "batch/v1", "kind": "Job", "name": JOB1, "uid": "not-this-one"}
    patch = {"metadata": {"uid": uid, "ownerReferences": [ref]}}
    response = client("PATCH", f"{CORE}/services/s", patch,
                      "application/strategic-merge-patch+json")
    assert response.status == 200
    kube.wait_for(lambda: not kube.service("s"), timeout=2)


@pytest.mark.parametrize("media,owners", [("application/strategic-merge-patch+json", 2),
                                          ("application/merge-patch+json", 1)])
def test_patch_merges_or_replaces(kube, client, media, owners):
    first, second = kube.create_job(JOB1), kube.create_job(JOB2)
    kube.create_service("s", owners=[first])
    ref = {"apiVersion": "batch/v1", "kind": "Job", "name": JOB2,
           "uid": second["metadata"]["uid"]}
    answer = client("PATCH", f"{CORE}/services/s", {"metadata": {"ownerReferences": [ref]}}, media)
    assert len(answer.json["metadata"]["ownerReferences"]) == owners
    assert kube.service("s") == answer.json


@pytest.mark.parametrize("media,metadata,status,reason", [
    ("application/json", {}, 415, "UnsupportedMediaType"),
    ("application/merge-patch+json", {"resourceVersion": "1"}, 409, "Conflict"),
    ("application/merge-patch+json", {"uid": "1"}, 422, "Invalid"),
    ("application/merge-patch+json", {"ownerReferences": [{
        "apiVersion": "batch/v1", "kind": "Job", "name": "x", "uid": ""}]}, 422, "Invalid"),
])
def test_bad_patches(kube, client, media, metadata, status, reason):
    before = kube.create_service("s")
    response = client("PATCH", f"{CORE}/services/s", {"metadata": metadata}, media)
    assert (response.status, response.json["reason"]) == (status, reason)
    assert kube.service("s") == before


# ---- creating ----

def event(**metadata):
    return {"metadata": metadata, "involvedObject": {"kind": "Job", "name": JOB1,
                                                     "namespace": "panda"}}


def test_events(kube, client):
    path = f"{CORE}/events"
    for _ in range(2):
        assert client("POST", path, event(generateName="x.")).status == 201
    assert client("POST", path, event(name="fixed")).status == 201
    again = client("POST", path, event(name="fixed"))
    assert (again.status, again.json["reason"]) == (409, "AlreadyExists")
    assert len(kube.events()) == 3
    bad = event(name="y")
    del bad["involvedObject"]["namespace"]
    for body in (bad, event(), {**event(name="z"), "eventTime": "2026-01-01T00:00:00.000000Z"}):
        assert client("POST", path, body).status == 422
    assert client("POST", path, {**event(name="t"), "firstTimestamp": "today"}).status == 400
    kube.api.terminating.add("panda")
    assert client("POST", path, event(name="late")).json["reason"] == "Forbidden"
    kube.api.namespaces = {"other"}
    assert client("POST", path, event(name="late")).json["details"]["kind"] == "namespaces"
    assert len(kube.events()) == 3


@both
def test_a_posted_job_runs(kube):
    admin = Client(kube, kube.admin_token)
    manifest = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": JOB1}, "spec": {
        "template": {"metadata": {"labels": {"app": "x"}}, "spec": {
            "restartPolicy": "Never", "containers": [{"name": "c", "image": "i"}]}}}}
    assert admin("POST", BATCH, manifest).status == 201
    assert admin("POST", BATCH, manifest).status == 409
    kube.wait_for(lambda: kube.job(JOB1)["status"].get("ready") == 1)
    assert kube.pods(JOB1)[0]["status"]["phase"] == "Running"
    assert admin.get(METRICS).json["items"]


# ---- who may do what ----

def test_rules_are_enforced(kube, client):
    kube.create_job(JOB1)
    asked = {"spec": {"resourceAttributes": {"namespace": "panda", "group": "batch",
                                             "resource": "jobs", "verb": "get", "name": JOB1}}}
    review = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
    assert client.get(f"{BATCH}/{JOB1}").status == 200
    assert client("POST", review, asked).json["status"]["allowed"] is True
    kube.deny("batch", "jobs", "get")
    assert client.get(f"{BATCH}/{JOB1}").status == 403
    assert client("POST", review, asked).json["status"] == {"allowed": False}
    assert client("POST", review, {"spec": {}}).status == 422
    kube.allow("batch", "jobs", "get", names=[JOB1])
    assert client.get(f"{BATCH}/{JOB1}").status == 200
    assert client.get(f"{BATCH}/other").status == 403


def test_resource_names_and_lists(kube, client):
    kube.set_rules([("batch", "jobs", "list", [JOB1])])
    assert client.get(BATCH).status == 403
    assert client.get(f"{BATCH}?fieldSelector=metadata.name%3D{JOB1}").status == 200
    assert client.get(f"{BATCH}?fieldSelector=metadata.name%3D{JOB2}").status == 403


@pytest.mark.parametrize("token,status", [("", 403), (None, 403), ("bad", 401)])
def test_bad_tokens(kube, token, status):
    client = Client(kube)
    client.token = token
    response = client.get(f"{BATCH}/{JOB1}")
    assert response.status == status and "WWW-Authenticate" not in response.headers
    assert ("system:anonymous" in response.json["message"]) == (status == 403)


def test_token_rotation(kube, client):
    directory = kube.service_account_dir
    assert os.readlink(directory / "token") == "..data/token"
    before = os.readlink(directory / "..data")
    kube.rotate_token()
    assert os.readlink(directory / "..data") != before
    assert not (directory / before).exists()
    assert client.get(BATCH).status == 401
    client.token = (directory / "token").read_text()
    assert client.get(BATCH).status == 200
    assert (directory / "namespace").read_text() == "panda"
    kube.write_service_account(token="")
    assert (directory / "token").read_bytes() == b""
    kube.write_service_account(token=None)
    assert not (directory / "token").exists()


# ---- TLS ----

def test_ca_rotation(kube, client, tmp_path):
    assert client.get(BATCH).status == 200
    old = tmp_path / "old.crt"
    old.write_bytes((kube.service_account_dir / "ca.crt").read_bytes())
    kube.rotate_ca()
    assert client.get(BATCH).status == 200          # an open connection does not notice
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(kube, cafile=str(old)).get(BATCH)
    assert Client(kube).get(BATCH).status == 200
    kube.wait_for(lambda: kube.stats.failed_handshakes == 1)
    assert (kube.stats.accepted, kube.stats.handshakes) == (3, 2)


@pytest.mark.parametrize("which,why", [("expired", "expired"), ("other_name", "IP address")])
def test_bad_certificates(kube, which, why):
    kube.use_certificate(getattr(kube.pki, which))
    with pytest.raises(ssl.SSLCertVerificationError, match=why):
        Client(kube).get(BATCH)
    kube.use_certificate(kube.pki.server)
    assert Client(kube).get(BATCH).status == 200


def test_another_authority(kube, tmp_path):
    ca = Pki(tmp_path / "pki").new_ca()
    with pytest.raises(ssl.SSLCertVerificationError):
        Client(kube, cafile=str(ca.cert)).get(BATCH)


# ---- faults ----

# Python's ssl module shows a TCP reset as an end of file: test_resets_are_resets() looks closer
RESETS = (ConnectionResetError, http.client.RemoteDisconnected, ssl.SSLError, BrokenPipeError)


def test_answers(kube, client):
    kube.create_job(JOB1)
    fault = kube.fault(faults.unavailable(), verb="get", resource="jobs", name=JOB1, nth=2)
    statuses = [client.get(f"{BATCH}/{name}").status
                for name in (JOB1, JOB2, JOB1, JOB1)]
    assert statuses == [200, 404, 503, 200]
    assert [r.seq for r in fault.hits] == [3]
    with kube.faulty(faults.status(500, "InternalError", "no"), when=lambda r: "x=1" in r.target):
        assert client.get(f"{BATCH}?x=1").json["code"] == 500
        assert client.get(BATCH).status == 200
    assert client.get(f"{BATCH}?x=1").status == 200
    for action, status in ((faults.throttled(32), 429), (faults.timeout_text(), 504),
                           (faults.etcd_timeout(), 504), (faults.page(), 404)):
        kube.fault(action)
        response = client.get(BATCH)
        assert response.status == status
        assert response.headers["Retry-After"] == ("32" if status == 429 else None)
    assert kube.stats.accepted == 1


@pytest.mark.parametrize("action,error,done", [
    (faults.reset_before_answer(), RESETS, False),
    (faults.close_before_answer(), RESETS, False),
    (faults.hang_then_close(0.05), RESETS, False),
    (faults.never_answer(), TimeoutError, False),
    (faults.lose_answer(), RESETS, True),
    (faults.reset_mid_body(5), RESETS + (http.client.IncompleteRead,), True),
    (faults.cut_body(5), http.client.IncompleteRead, True),
], ids=lambda p: getattr(p, "kind", None))
def test_answers_that_do_not_arrive(kube, action, error, done):
    kube.create_job(JOB1)
    fault = kube.fault(action, verb="delete")
    client = Client(kube, timeout=0.3)
    with pytest.raises(error):
        client.delete(f"{BATCH}/{JOB1}", delete_options("Background"))
    client.close()
    assert (kube.job(JOB1) is None) == done
    assert len(fault.hits) == 1
    assert kube.wait_request(verb="delete", done=True).aborted == "server"


@pytest.mark.parametrize("action,reset,some", [
    (faults.reset_before_answer(), True, False), (faults.lose_answer(), True, False),
    (faults.reset_mid_body(5), True, True), (faults.reset_after_answer(), True, True),
    (faults.close_before_answer(), False, False), (faults.cut_body(5), False, True),
], ids=lambda p: getattr(p, "kind", None))
def test_resets_are_resets(action, reset, some):
    with FakeKube(tls=False) as kube:
        kube.fault(action)
        with socket.create_connection(("127.0.0.1", kube.port), 5) as sock:
            sock.sendall(f"GET {BATCH} HTTP/1.1\r\nAuthorization: Bearer {kube.token}\r\n\r\n"
                         .encode())
            data = b""
            try:
                while piece := sock.recv(10000):
                    data += piece
                end = "eof"
            except ConnectionResetError:
                end = "reset"
    assert (end == "reset", data.startswith(b"HTTP/1.1 200 OK\r\n")) == (reset, some)


def test_late_answers_and_drips(kube, client):
    kube.create_job(JOB1)
    for action in (faults.hang(0.1), faults.late_answer(0.1), faults.drip(10000)):
        kube.fault(action)
        start = time.monotonic()
        assert client.get(f"{BATCH}/{JOB1}").json == kube.job(JOB1)
        assert time.monotonic() - start >= 0.1


def test_reset_behind_the_answer(kube, client):
    kube.fault(faults.reset_after_answer())
    assert client.get(BATCH).status == 200
    with pytest.raises(RESETS):
        client.http.auto_open = 0
        client.get(BATCH)


def test_other_bodies(kube, client):
    for action, content in ((faults.empty_body(), b""), (faults.body([1]), b"[1]"),
                            (faults.not_json(), b'{"kind":"Job","metadata":{"name":')):
        kube.fault(action)
        response = client.get(BATCH)
        assert (response.status, response.content) == (200, content)


def test_a_huge_body(kube, client):
    kube.fault(faults.huge_body(3_000_000))
    assert len(client.get(BATCH).content) > 3_000_000
    kube.fault(faults.huge_body())
    response = client.send("GET", BATCH)
    assert response.status == 200
    response.read(5_000_000)
    client.close()
    kube.wait_request(verb="list", done=True, count=2)


def test_refused_connections(kube, client):
    assert client.get(BATCH).status == 200
    port = kube.port
    kube.refuse_connections()
    assert client.get(BATCH).status == 200
    with pytest.raises(ConnectionRefusedError):
        Client(kube).get(BATCH)
    kube.allow_connections()
    assert kube.port == port
    assert Client(kube).get(BATCH).status == 200
    kube.reset_connections()
    with pytest.raises(RESETS):
        client.http.auto_open = 0
        client.get(BATCH)


@pytest.mark.parametrize("what,error", [("reset", OSError), ("close", OSError),
                                        ("garbage", ssl.SSLError), ("blackhole", TimeoutError)])
def test_connection_faults(kube, what, error):
    kube.connection_fault(what)
    with pytest.raises(error):
        Client(kube, timeout=0.2).get(BATCH)
    assert Client(kube).get(BATCH).status == 200
    assert kube.stats.accepted == 2 and len(kube.requests) == 1


def test_frozen_connections(kube, client):
    stream = client.watch("")
    kube.wait_watch()
    kube.freeze_connections()
    kube.create_job(JOB1)
    client.http.sock.settimeout(0.1)
    with pytest.raises(TimeoutError):
        stream.next()


def test_hooks(kube, client):
    seen = []

    def newcomer(fake, request):
        seen.append((request.verb, fake.job(JOB1)["metadata"]["uid"]))
        fake.recreate_job(JOB1)
    old = kube.create_job(JOB1)["metadata"]["uid"]
    kube.before(newcomer, verb="delete", resource="jobs")
    response = client.delete(f"{BATCH}/{JOB1}", delete_options("Background", uid=old))
    assert response.status == 409 and seen == [("delete", old)]
    kube.after(lambda fake, request: fake.vanish("job", JOB1), verb="get")
    assert client.get(f"{BATCH}/{JOB1}").status == 200
    assert client.get(f"{BATCH}/{JOB1}").status == 404


def test_a_broken_hook_is_not_silent():
    kube = FakeKube().start()
    kube.before(lambda fake, request: 1 / 0)
    with pytest.raises(RESETS):
        Client(kube).get(BATCH)
    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        kube.stop()


# ---- faults of watches ----

def test_a_watch_in_pieces(kube, client):
    kube.create_job(JOB1)
    kube.fault(faults.watch_split(7), verb="watch")
    response = client.send("GET", f"{BATCH}?watch=1")
    raw = b""
    client.http.sock.settimeout(5)
    while not raw.endswith(b"\n"):
        piece = response.read1(1000)
        assert 1 <= len(piece) <= 7
        raw += piece
    assert json.loads(raw)["object"] == kube.job(JOB1)


def test_joined_lines(kube, client):
    kube.create_job(JOB1)
    kube.create_job(JOB2)
    kube.fault(faults.watch_joined(), verb="watch")
    response = client.send("GET", f"{BATCH}?watch=1")
    assert response.read1(100_000).count(b"\n") == 2


def test_bytes_into_a_watch(kube, client):
    kube.create_job(JOB1)
    kube.create_job(JOB2)
    kube.fault(faults.watch_after(1, b"junk\n"), verb="watch")
    stream = client.watch("")
    lines = [stream.response.readline() for _ in range(3)]
    assert lines[1] == b"junk\n" and b"ADDED" in lines[0] and b"ADDED" in lines[2]
    assert kube.inject_watches(b"more\n") == 1
    assert stream.response.readline() == b"more\n"


def test_watches_cut_and_silenced(kube):
    kube.create_job(JOB1)
    kube.fault(faults.watch_after(1, "end"), verb="watch", nth=1)
    assert len(Client(kube).watch("").rest()) == 1
    kube.fault(faults.watch_after(1, "reset"), verb="watch", nth=1)
    stream = Client(kube).watch("")
    assert stream.next()["type"] == "ADDED"
    with pytest.raises(RESETS + (http.client.IncompleteRead,)):
        stream.response.read()
    kube.fault(faults.watch_after(0, "silence"), verb="watch", nth=1)
    stream = Client(kube, timeout=0.1).watch("timeoutSeconds=0")
    with pytest.raises(TimeoutError):
        stream.next()
    streams = [Client(kube).watch(f"fieldSelector=metadata.name%3D{n}") for n in (JOB1, "none")]
    kube.wait_watch(name="none")
    assert kube.end_watches(name="none") == 1
    assert streams[1].rest() == []
    assert kube.end_watches(name=JOB1) == 1
    assert len(streams[0].rest()) == 1


# ---- metrics ----

def stamps(client, count):
    items = [client.get(METRICS).json["items"][0] for _ in range(count)]
    return [i["timestamp"] for i in items]


def test_sample_times(kube, client):
    kube.create_job(JOB1)
    kube.freeze_clock(1_800_000_007)
    assert client.get(METRICS).headers["Date"] == "Fri, 15 Jan 2027 08:00:07 GMT"
    assert stamps(client, 1) == ["2027-01-15T08:00:00Z"]
    kube.freeze_clock(1_800_000_014.9)
    assert stamps(client, 1) == ["2027-01-15T08:00:00Z"]
    kube.metrics.freeze()
    kube.freeze_clock(1_800_000_100)
    assert stamps(client, 1) == ["2027-01-15T08:00:00Z"]
    kube.metrics.timestamp = "moving"
    assert stamps(client, 1) == ["2027-01-15T08:01:30Z"]
    kube.metrics.timestamp = ("age", 90)
    assert stamps(client, 1) == ["2027-01-15T08:00:10Z"]
    kube.metrics.timestamp = None
    assert stamps(client, 1) == [None]
    kube.metrics.advance(start_age=60, step=2)
    assert stamps(client, 3) == [f"2027-01-15T08:00:4{n}Z" for n in (0, 2, 4)]
    kube.metrics.timestamp = lambda n, now: "garbage"
    assert stamps(client, 1) == ["garbage"]
    kube.unfreeze_clock()
    kube.clock_offset = -3600
    assert abs(kube.now() + 3600 - time.time()) < 5


def test_samples(kube, client):
    kube.create_job(JOB1, containers=("a", "b"), cpu="7m", parallelism=2)
    def usage():
        return [{c["name"]: c["usage"]["cpu"] for c in i["containers"]}
                for i in client.get(METRICS).json["items"]]
    assert usage() == [{"a": "7m", "b": "0"}] * 2
    first, second = (p["metadata"]["name"] for p in kube.pods())
    kube.set_cpu(first, {"b": "1e-3"})
    assert usage() == [{"b": "1e-3"}, {"a": "7m", "b": "0"}]
    kube.set_cpu(first, None)
    assert len(usage()) == 1
    kube.metrics.drop_pods.add(second)
    assert usage() == []
    kube.metrics.drop_pods.clear()
    kube.set_pod(second, "Failed")
    assert usage() == []
    kube.metrics.items = [{"containers": []}]
    assert client.get(METRICS).json["items"] == [{"containers": []}]


# ---- pods, logs, the rest ----

def test_pod_states(kube):
    kube.create_job(JOB1, containers=("a", "b"), states={"b": "CrashLoopBackOff"})
    pod, = kube.pods(JOB1)
    assert [s["state"] for s in pod["status"]["containerStatuses"]][1] == {
        "waiting": {"reason": "CrashLoopBackOff"}}
    assert [c["status"] for c in pod["status"]["conditions"] if c["type"] == "Ready"] == ["False"]
    kube.set_pod(pod["metadata"]["name"], states={"a": "terminated:7", "b": None})
    state, = kube.pods(JOB1)[0]["status"]["containerStatuses"]
    assert state["state"]["terminated"]["exitCode"] == 7


@both
def test_the_steps_of_an_end(kube, client):
    stream = client.watch(f"resourceVersion={kube.resource_version}")
    kube.create_job(JOB1)
    started = stream.take(3)
    kube.fail_job(JOB1, until="interim")
    interim = stream.next()["object"]["status"]
    assert "active" not in interim
    want = ["FailureTarget"] if kube.version == "1.34" else []
    assert [c["type"] for c in interim.get("conditions", [])] == want
    kube.finish_job(JOB1, success=False)
    done = stream.next()["object"]["status"]
    assert [c["type"] for c in done["conditions"]] == want + ["Failed"]
    assert [e["object"]["status"].get("ready") for e in started] == [None, 0, 1]


def test_the_request_log(kube, client):
    client.token = kube.token
    client("POST", f"{CORE}/events", event(name="e"), headers={"User-Agent": "me/1"})
    request = kube.wait_request(verb="create", resource="events", done=True)
    assert (request.method, request.path, request.namespace) == ("POST", f"{CORE}/events", "panda")
    assert request.user == "system:serviceaccount:panda:cleanup-sa"
    assert request.body["metadata"]["name"] == "e" and request.status == 201
    assert request.headers["user-agent"] == "me/1" and request.connection == 1
    assert kube.events()[0]["metadata"]["managedFields"][0]["manager"] == "me"
    with pytest.raises(AssertionError, match="2 requests"):
        kube.wait_request(verb="create", count=2, timeout=0.05)


def test_plain_http_and_expect():
    with FakeKube(tls=False) as kube:
        with socket.create_connection(("127.0.0.1", kube.port), 5) as sock:
            body = json.dumps(event(name="e")).encode()
            sock.sendall(f"POST {CORE}/events HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n"
                         f"Authorization: Bearer {kube.token}\r\n"
                         f"Content-Length: {len(body)}\r\n\r\n".encode())
            assert sock.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
            sock.sendall(body)
            assert sock.recv(100).startswith(b"HTTP/1.1 201 Created\r\n")
        with socket.create_connection(("127.0.0.1", kube.port), 5) as sock:
            sock.sendall(b"nonsense\r\n\r\n")
            assert sock.recv(100).startswith(b"HTTP/1.1 400 ")


def test_command_line(tmp_path):
    with subprocess.Popen([sys.executable, "-m", "fakekube", "--dir", str(tmp_path)], cwd=HERE,
                          stdout=subprocess.PIPE, text=True) as process:
        try:
            assert select.select([process.stdout], [], [], 10)[0]
            lines = [process.stdout.readline() for _ in range(5)]
        finally:
            process.send_signal(signal.SIGTERM)
        process.stdout.read()
    assert process.returncode == 0
    exports = dict(word.split("=", 1) for line in lines if line.startswith("export ")
                   for word in shlex.split(line)[1:])
    assert set(exports) == {"KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT",
                            "SERVICE_ACCOUNT_DIR", "JOB_ID"}
    assert pathlib.Path(exports["SERVICE_ACCOUNT_DIR"], "token").exists()

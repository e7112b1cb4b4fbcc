"""A field that is only wanted for one thing does not cost the others; and an event of the watch
alone decides nothing. Section 3 of the contract.

Each scenario was seen to fail with the program before the planner; what that did is said in each.
"""
import copy
import json

import pytest

from conftest import JOB, SELF, SERVICE
from test_readings import many_checks

# ---- 15: fields that cannot be used ----

def selector(size):
    """Labels of so many bytes as a selector, each one legal."""
    labels, n = {}, 0
    while sum(len(k) + len(v) + 2 for k, v in labels.items()) < size - 1:
        labels[f"team.example.com/label-{n:03}"] = "v" * 40
        n += 1
    return labels


def with_selector(world, labels, **job):
    world.pair(labels=labels, **job)
    world.kube.edit("job", JOB, lambda j: j["spec"]["selector"]["matchLabels"].update(labels))


@pytest.mark.parametrize("size", [512, 600, 1000, 2000, 5000])
def test_a_long_selector_does_not_hide_the_end(world, size):
    """From 512 bytes on the whole Job could not be decoded: its end was never seen."""
    with_selector(world, selector(size), cpu="900m")
    cleaner = world.run()
    cleaner.wait_log(msg="job state", to="live")
    world.kube.wait_watch(resource="jobs")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


@pytest.mark.parametrize("size", [512, 600, 900])
def test_one_that_fits_into_a_url_is_used(world, size):
    with_selector(world, selector(size), cpu="2m")
    cleaner = world.run()
    assert cleaner.wait() == 0
    assert world.summary()["trigger"] == "idle"
    assert all(len(r.query["labelSelector"][0]) > size - 60 for r in world.checks())


def test_one_that_does_not_is_no_idle_trigger_and_said(world):
    with_selector(world, selector(5000), cpu="2m")
    cleaner = world.run()
    cleaner.wait_log(msg="job state", to="live")
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=4)
    assert world.deletions() == [] and world.checks() == []


def put(*path_and_value):
    *path, last, value = path_and_value

    def change(job):
        for step in path:
            job = job.setdefault(step, {})
        job[last] = value
    return change


ODD = {
    "annotations are no strings": put("metadata", "annotations", {"x": 5, "y": None, "z": ["a"]}),
    "annotations are a list": put("metadata", "annotations", ["x"]),
    "labels are numbers": put("metadata", "labels", {"x": 5}),
    "a ttl in words": put("spec", "ttlSecondsAfterFinished", "two minutes"),
    "a ttl of centuries": put("spec", "ttlSecondsAfterFinished", 2**62),
    "active in words": put("status", "active", "one"),
    "ready in words": put("status", "ready", "one"),
    "ready is negative": put("status", "ready", -1),
    "a start that is no time": put("status", "startTime", 5),
    "a creation that is no time": put("metadata", "creationTimestamp", "yesterday"),
    "conditions of odd types": put("status", "conditions", [
        None, 5, "Complete", [], {}, {"type": 5, "status": "True"}, {"type": "Complete"},
        {"type": "Complete", "status": True}, {"type": "Failed", "status": None},
        {"type": ["Complete"], "status": "True"}, {"type": "Novel", "status": "True"}]),
    "a selector by expressions": put("spec", "selector", {"matchExpressions": [
        {"key": "x", "operator": "Exists"}]}),
    "a selector of odd types": put("spec", "selector", {"matchLabels": {"x": 5}}),
    "a selector that is a list": put("spec", "selector", ["x"]),
    "no spec": put("spec", {"parallelism": 1}),
    "suspend in words": put("spec", "suspend", "perhaps"),
}


@pytest.mark.parametrize("change", ODD.values(), ids=ODD)
def test_an_odd_field_does_not_hide_the_end(world, change):
    """Of a ttl, a count, a time, an annotation or a selector: its end was never seen."""
    world.pair(cpu="900m")
    world.kube.edit("job", JOB, change)
    cleaner = world.run()
    cleaner.wait_log(msg="job state", to="live")
    world.kube.wait_watch(resource="jobs")
    world.kube.edit("job", JOB, lambda j: j["status"].update(conditions=[
        *j["status"].get("conditions", []),
        {"type": "Complete", "status": "True", "lastTransitionTime": "soon"}]))
    assert cleaner.wait() == 0
    assert SERVICE not in world.left() and not world.kube.job(JOB)


@pytest.mark.parametrize("value", [5, ["true"], {"a": 1}, False])
def test_a_hold_of_another_type_holds(world, value):
    """The safe side."""
    world.pair(cpu="2m")
    world.kube.edit("job", JOB, put("metadata", "annotations", {"cleanup-grpc/hold": value}))
    cleaner = world.run()
    cleaner.wait_log(msg="held, by a value that is neither \"true\" nor an RFC 3339 time")
    world.kube.wait_request(verb="get", resource="jobs", name=JOB, count=3)
    assert world.deletions() == []


# ---- 16: an event alone ----

def test_one_that_came_and_went_makes_the_next_no_newcomer(world):
    """ADDED A, DELETED A, ADDED B while waiting: exit 0, and B was without a cleaner."""
    world.kube.create_service(SERVICE)
    world.kube.create_job(SELF, containers=("cleanup",))
    cleaner = world.run()
    world.kube.wait_watch(resource="jobs")

    def come_and_go():
        world.kube.create_job(JOB, cpu="900m")
        world.kube.vanish("job", JOB)
        return world.kube.create_job(JOB, cpu="900m")["metadata"]["uid"]
    uid = world.kube.call(come_and_go)
    cleaner.wait_log(msg="job state", to="live", uid=uid)
    many_checks(world, 3)
    assert cleaner.process.poll() is None and world.deletions() == []
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()


def event(world, type_, **metadata):
    """As by a replica that is behind, or ahead: what the watch says is not so."""
    job = copy.deepcopy(world.kube.job(JOB))
    job["metadata"].update(metadata)
    if type_ == "FINISHED":
        type_, job["status"]["conditions"] = "MODIFIED", [{"type": "Complete", "status": "True"}]
    return json.dumps({"type": type_, "object": job}).encode() + b"\n"


OTHER = "11111111-2222-3333-4444-555555555555"
UNTRUE = {
    "a newcomer": [("ADDED", {"uid": OTHER})],
    "gone": [("DELETED", {})],
    "gone, and a newcomer": [("DELETED", {}), ("ADDED", {"uid": OTHER})],
    "being deleted": [("MODIFIED", {"deletionTimestamp": "2026-01-01T00:00:00Z"})],
    "finished": [("FINISHED", {})],
    "another one that has finished": [("FINISHED", {"uid": OTHER})],
    "held": [("MODIFIED", {"annotations": {"cleanup-grpc/hold": "true"}})],
}


@pytest.mark.parametrize("events", UNTRUE.values(), ids=UNTRUE)
def test_what_no_read_bears_out_is_not_so(world, events):
    """It ended, exit 0: of a newcomer; or tore down what lived."""
    world.pair(cpu="900m")
    cleaner = world.watched()
    cleaner.wait_log(msg="service adopted")
    world.kube.inject_watches(b"".join(event(world, t, **m) for t, m in events))
    many_checks(world, 8)
    assert cleaner.process.poll() is None
    assert world.deletions() == [] and world.kube.service(SERVICE)
    assert cleaner.log(msg="held") == []
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()

"""The largest answers that are valid, in the memory that the template grants. Section 7 of the
contract.

A list of metrics just below 4 MiB took the program before the planner to 128 MB; it was bound by
what a body may have, not by what a job can.
"""
import json
import os

import pytest

from conftest import JOB, SERVICE
from fakekube import faults
from test_patience import for_a
from test_readings import METRICS, now

pytestmark = pytest.mark.skipif("ASAN_OPTIONS" in os.environ, reason="the sanitizers' memory")

LIMIT = 32 << 10        # kB: the template's limit; the dynamic libraries of this build count, too
MIB = 1 << 20


def peak(cleaner):
    for line in open(f"/proc/{cleaner.process.pid}/status"):
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    return 0


def padded(make, size):
    """make(n) as JSON, with the largest n that keeps it below so many bytes."""
    one, two = (len(json.dumps(make(n))) for n in (10, 20))
    return json.dumps(make(int((size - one) / ((two - one) / 10)) + 5)).encode()


def metrics_list(world, containers):
    def make(n):
        return {"kind": "PodMetricsList", "apiVersion": "metrics.k8s.io/v1beta1", "metadata": {},
                "items": [{"metadata": {"name": f"p{i:07}"}, "timestamp": now(world),
                           "window": "15s", "containers": [
                               {"name": f"c{c}", "usage": {"cpu": "1u"}}
                               for c in range(containers)]} for i in range(n)]}
    return make


@pytest.mark.parametrize("size", [4 * MIB, 256 << 10])
@pytest.mark.parametrize("containers", [1, 1000])
def test_metrics(world, size, containers):
    """128 MB."""
    world.pair(cpu="2m")
    make = metrics_list(world, containers)
    world.kube.fault(faults.body(padded(make, size)), times=None, **METRICS)
    cleaner = world.run(MIN_DISTINCT_SAMPLES=1)
    world.kube.wait_request(count=2, done=True, timeout=30, **METRICS)
    for_a(world, 0.5)
    assert peak(cleaner) < LIMIT
    if size > MIB:
        cleaner.wait_log(msg="cpu unknown")
    else:       # a thousandth of a millicore for each container
        cleaner.wait_log(msg="idle check")
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0


def fat_env(job, size):
    env = [{"name": f"A{n}", "value": "v"} for n in range(size // 27)]
    job["spec"]["template"]["spec"]["containers"][0]["env"] = env


def fat_annotation(job, size):
    job["metadata"].setdefault("annotations", {})["x"] = "y" * size


def fat_annotations(job, size):
    """256 KiB are the limit of all of them."""
    job["metadata"].setdefault("annotations", {}).update(
        {f"n{n}": "" for n in range((256 << 10) // 13)})
    fat_annotation(job, size - (256 << 10))


def fat_fields(job, size):
    job["metadata"]["managedFields"].append({
        "manager": "x", "operation": "Update", "apiVersion": "batch/v1", "fieldsType": "FieldsV1",
        "time": "2026-01-01T00:00:00Z", "fieldsV1": {f"f:x{n}": {} for n in range(size // 15)}})


# 1.5 MiB are etcd's limit. Nothing is as costly as many small objects: 33 times their text, so that
# 1.4 MiB of them would take 45 MB; a Job has 10 kB of them.
FAT = {"env": (fat_env, 600 << 10), "one annotation": (fat_annotation, MIB * 14 // 10),
       "annotations": (fat_annotations, MIB * 14 // 10), "managedFields": (fat_fields, 600 << 10)}


@pytest.mark.parametrize("fatten,size", FAT.values(), ids=FAT)
def test_a_fat_job(world, fatten, size):
    """GET, LIST and the lines of the watch."""
    world.pair(cpu="900m")
    world.kube.edit("job", JOB, lambda job: fatten(job, size))
    cleaner = world.run(CHECK_INTERVAL_SECONDS=1)
    cleaner.wait_log(msg="service adopted")
    world.kube.wait_watch(resource="jobs")
    for n in range(3):
        world.kube.touch("job", JOB)
        for_a(world, 0.3)
    assert peak(cleaner) < LIMIT
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    assert SERVICE not in world.left()


@pytest.mark.parametrize("count", [100, 400])
def test_the_pods_of_a_wide_job(world, count):
    """Each about 4 kB, as a real one is."""
    world.pair(cpu="5u", parallelism=count)
    cleaner = world.run(CHECK_INTERVAL_SECONDS=1, MAX_CPU_USAGE_COUNT=2)
    cleaner.wait_log(msg="idle check", check="2/2", timeout=30)
    world.kube.wait_request(done=True, verb="list", resource="pods", group="")
    size = [len(r.answer) for r in world.requests(verb="list", resource="pods", group="")]
    assert max(size) > count * 3000
    assert peak(cleaner) < LIMIT
    assert cleaner.wait(40) == 0

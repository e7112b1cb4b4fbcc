"""No hot loops: whatever is switched off, forbidden or odd about a job, a cleaner asks at its pace.

All combinations of a way to be set up and of a kind of job are watched at the same time: once with
all permissions, and once where the Job may not be read.
"""
import collections
import itertools
import time

import pytest

from bench import memory
from conftest import required_rules

SETTINGS = {
    "defaults": {},
    "no checks": {"ENABLE_CPU_USAGE_CHECK": "false"},
    "no checks but pending": {"ENABLE_CPU_USAGE_CHECK": "false", "PENDING_TIMEOUT_SECONDS": "2"},
    "dry run, no checks": {"DRY_RUN": "true", "ENABLE_CPU_USAGE_CHECK": "false"},
    "dry run": {"DRY_RUN": "true"},
    "kept": {"COMPLETED_GRACE_SECONDS": "60"},
}
JOBS = ("busy", "idle", "held", "suspended", "pending", "completed", "none", "without a service")
FORBIDDEN = (None, ("batch", "jobs", "get"))    # other roles are the simulator's: hot-loop
SECONDS = 3
MOST = 30       # requests on one connection in that time, with a teardown; a hot loop makes hundreds


def create(kube, job_id, kind):
    job = f"grpc-job-{job_id}"
    kube.create_job(f"cleanup-job-{job_id}", containers=("cleanup",))
    if kind != "none":
        kube.create_job(job, cpu="2m" if kind in ("idle", "held") else "900m",
                        phase="Pending" if kind == "pending" else "Running")
    if kind != "without a service":
        kube.create_service(f"grpc-service-{job_id}")
    if kind == "held":
        kube.annotate(job, values={"cleanup-grpc/hold": "true"})
    elif kind == "suspended":
        kube.suspend_job(job)
    elif kind == "completed":
        kube.complete_job(job)


@pytest.mark.xdist_group("calm")
@pytest.mark.parametrize("forbidden", FORBIDDEN, ids=lambda right: " ".join(right or ["nothing"]))
def test_nothing_makes_a_hot_loop(world, forbidden):
    kube = world.kube
    kube.metrics.resolution = 1     # or nothing would become idle in that time
    kube.set_rules([r for r in required_rules() if r != forbidden])
    cases = {f"{n}-70788": case for n, case in enumerate(itertools.product(SETTINGS, JOBS), 1)}
    for job_id, (_, kind) in cases.items():
        create(kube, job_id, kind)
    cleaners = {job_id: world.run(JOB_ID=job_id, CHECK_INTERVAL_SECONDS=1, **SETTINGS[settings])
                for job_id, (settings, _) in cases.items()}
    time.sleep(SECONDS)
    before = {j: memory.cpu_of(c.process.pid) for j, c in cleaners.items()}
    start = len(kube.requests)
    time.sleep(SECONDS)
    asked = collections.Counter(r.connection for r in kube.requests[start:])
    used = {j: memory.cpu_of(c.process.pid) - before[j] for j, c in cleaners.items()}
    busiest, requests = asked.most_common(1)[0]
    assert requests <= MOST, [r.target for r in kube.requests[start:] if r.connection == busiest][:5]
    assert len(asked) <= 2 * len(cases)
    assert not {cases[j]: cpu for j, cpu in used.items() if cpu > SECONDS / 4}
    assert sum(used.values()) <= SECONDS / 2    # many that spin get little each

"""TARGET_CONTAINER: a server beside a sidecar that never ends (istio-proxy, linkerd). Sections 2, 4 and
5 of the contract."""
import json

import pytest

from conftest import JOB, SERVICE
from test_readings import many_checks, pod_of

PODS = {"verb": "list", "resource": "pods", "group": ""}
DELETE_JOB = {"verb": "delete", "resource": "jobs", "name": JOB}
BOTH = ("grpc-server", "istio-proxy")
JUDGED = {"TARGET_CONTAINER": "grpc-server"}


def pair(world, server="900m", proxy="30m", **job):
    """A server and a proxy that is never idle."""
    return world.pair(cpu={"grpc-server": server, "istio-proxy": proxy}, containers=BOTH, **job)


def server_ends(world, code=0):
    """As the kubelet, the job controller and metrics-server tell it."""
    world.kube.set_pod(pod_of(world), states={"grpc-server": f"terminated:{code}",
                                              "istio-proxy": "running"})
    world.kube.set_cpu(JOB, {"istio-proxy": "30m"})
    world.kube.set_status(JOB, ready=0)


# ---- Its CPU is the job's ----

def test_without_it_the_sidecar_keeps_the_job(world):
    pair(world, server="2m")
    world.run().wait_log(msg="active", cpu="32m")
    many_checks(world)
    assert world.deletions() == []


def test_with_it_the_sidecars_cpu_does_not_count(world):
    pair(world, server="2m")
    cleaner = world.run(**JUDGED)
    assert cleaner.wait() == 0
    assert {line["cpu"] for line in cleaner.log(msg="idle check")} == {"2m"}
    assert world.summary()["trigger"] == "idle"


def test_a_sidecar_that_is_idle_does_not_end_a_busy_server(world):
    pair(world, proxy="0")
    cleaner = world.run(**JUDGED)
    cleaner.wait_log(msg="active", cpu="900m")
    many_checks(world)
    assert world.deletions() == []


def test_several_pods_are_judged_by_the_sum_of_that_container(world):
    pair(world, server="3m", parallelism=2)
    world.run(**JUDGED).wait_log(msg="active", cpu="6m")


def test_a_pod_whose_metrics_lack_it_makes_the_reading_unknown(world):
    pair(world, server="1m", parallelism=2)
    world.kube.set_cpu(pod_of(world), {"istio-proxy": "0"})
    cleaner = world.run(**JUDGED)
    cleaner.wait_log(msg="cpu unknown", why="TARGET_CONTAINER is not in the metrics of each pod")
    many_checks(world)
    assert world.deletions() == []


def test_one_that_no_pod_has_is_named_and_nothing_is_ever_idle(world):
    pair(world, server="0", proxy="0")
    cleaner = world.run(TARGET_CONTAINER="grpc-sever")
    line = cleaner.wait_log(msg="TARGET_CONTAINER is no container of the job's pods")
    assert line["level"] == "warn" and line["container"] == "grpc-sever"
    assert line["there"] == "grpc-server istio-proxy" and line["pod"] == pod_of(world)
    many_checks(world)
    assert world.deletions() == []
    assert len(cleaner.log(msg=line["msg"])) == 1


# ---- It has ended ----

@pytest.mark.parametrize("code,trigger", [(0, "completed"), (3, "failed")])
def test_when_it_has_ended_so_has_the_job(world, code, trigger):
    pair(world)
    cleaner = world.watched(**JUDGED)
    cleaner.wait_log(msg="active")
    server_ends(world, code)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert world.summary()["trigger"] == trigger
    assert cleaner.log(msg="teardown")[0]["why"] == f"container grpc-server ended with exit code {code}"
    event, = world.kube.events()
    assert event["reason"] == {"completed": "CleanupCompleted", "failed": "CleanupFailed"}[trigger]
    delete, = world.requests(**DELETE_JOB)
    assert delete.body["preconditions"].keys() == {"uid", "resourceVersion"}
    world.kube.wait_for(lambda: SERVICE not in world.left())


def test_it_is_noticed_at_once(world):
    """By status.ready, on the watch that there is."""
    pair(world)
    cleaner = world.watched(CHECK_INTERVAL_SECONDS=60, **JUDGED)
    cleaner.wait_log(msg="active")
    before = len(world.requests(**PODS))
    server_ends(world)
    assert cleaner.wait(10) == 0
    looks = [r for r in world.requests(**PODS) if "controller-uid" in str(r.query)]
    assert len(looks) - before <= 4      # one that tells, the last look, what follows the Job


def test_without_status_ready_the_metrics_hint_and_else_a_minute_is_enough(world):
    pair(world)
    world.kube.set_status(JOB, ready=None)
    cleaner = world.run(speed=20, CHECK_INTERVAL_SECONDS=10, ENABLE_CPU_USAGE_CHECK="false",
                        **JUDGED)
    world.kube.wait_request(**PODS)
    world.kube.set_pod(pod_of(world), states={"grpc-server": "terminated:0"})
    assert cleaner.wait(10) == 0
    assert world.summary()["trigger"] == "completed"


def test_a_job_that_works_costs_one_list_a_minute(world):
    pair(world)
    cleaner = world.run(speed=30, CHECK_INTERVAL_SECONDS=10, **JUDGED)
    many_checks(world, 14)               # 140 s
    assert len(world.requests(**PODS)) <= 4
    assert cleaner.process.poll() is None


def not_for_good(world):
    world.kube.edit("pod", pod_of(world), lambda p: p["spec"].update(restartPolicy="OnFailure"))


def with_tries_left(world):
    world.kube.edit("job", JOB, lambda j: j["spec"].update(backoffLimit=6))


@pytest.mark.parametrize("again", [not_for_good, with_tries_left])
def test_one_that_would_be_started_again_has_not_ended(world, again):
    pair(world)
    again(world)
    cleaner = world.watched(**JUDGED)
    cleaner.wait_log(msg="active")
    server_ends(world, 3)
    many_checks(world)
    assert world.deletions() == [] and cleaner.process.poll() is None


def test_a_pod_that_is_being_replaced_is_not_the_end(world):
    """A node is drained: the server ends first, then its pod, and the next one starts."""
    pair(world)
    cleaner = world.watched(**JUDGED)
    cleaner.wait_log(msg="active")
    pod = pod_of(world)
    world.kube.edit("pod", pod, lambda p: p["metadata"].update(
        deletionTimestamp="2099-01-01T00:00:00Z", finalizers=["example.com/kept"]))
    server_ends(world)
    many_checks(world)
    assert world.deletions() == []


def test_a_newer_pod_in_the_last_moment_wins(world):
    """The Job's version is a precondition, as for an idle one."""
    pair(world)
    cleaner = world.watched(**JUDGED)
    cleaner.wait_log(msg="active")

    def replaced(kube, _):
        kube.vanish("pod", pod_of(world))
        kube.create_pod(JOB)
        kube.set_cpu(JOB, {"grpc-server": "900m", "istio-proxy": "30m"})
        kube.set_status(JOB, ready=1)
    world.kube.before(replaced, **DELETE_JOB)
    server_ends(world)
    world.kube.wait_request(**DELETE_JOB)
    cleaner.wait_log(msg="active", count=2)
    many_checks(world, 4)
    assert [r.status for r in world.requests(**DELETE_JOB)] == [409]


def test_a_hold_does_not_keep_what_has_ended_and_a_grace_does(world):
    pair(world)
    world.annotate(hold="true")
    cleaner = world.run(COMPLETED_GRACE_SECONDS=2, **JUDGED)
    cleaner.wait_log(msg="held")
    world.kube.wait_watch(resource="jobs")
    server_ends(world)
    line = cleaner.wait_log(msg="TARGET_CONTAINER has ended")
    assert line["exit_code"] == 0 and line["container"] == "grpc-server"
    assert world.kube.service(SERVICE) and world.deletions() == []  # nothing goes while it is there
    assert cleaner.wait() == 0
    assert cleaner.log(msg="teardown")[0]["_at"] - line["_at"] > 0.9   # of whole seconds
    world.wait_gone()


def ends_without(world, *right):
    """The server ends beside a cleaner that lacks a right. Returns that."""
    pair(world)
    world.kube.deny(*right)
    cleaner = world.watched(**JUDGED)
    cleaner.wait_log(msg="active")
    server_ends(world)
    return cleaner


def test_a_delete_that_is_refused_leaves_all_as_it_is(world):
    cleaner = ends_without(world, "batch", "jobs", "delete")
    cleaner.wait_log(msg="permission missing", verb="delete", resource="jobs")
    assert world.kube.service(SERVICE) and cleaner.process.poll() is None
    world.kube.wait_for(lambda: [e["reason"] for e in world.kube.events()] == ["CleanupRefused"])


def test_where_pods_may_not_be_listed_nothing_tells_and_check_says_so(world):
    ends_without(world, "", "pods", "list")
    many_checks(world)
    assert world.deletions() == []
    check = world.run("--check", LOG_FORMAT="json", **JUDGED)
    check.wait()
    rows = [json.loads(line) for line in check.stdout.decode().splitlines()]
    row, = [r for r in rows if r["check"] == "may list pods"]
    assert row["state"] == "optional" and "TARGET_CONTAINER" in row["without_it"]


def test_a_dry_run_says_what_would_go(world):
    pair(world)
    server_ends(world)
    cleaner = world.run("--dry-run", **JUDGED)
    assert cleaner.wait() == 0
    assert cleaner.log(msg="teardown")[0]["trigger"] == "completed"
    assert world.deletions() == [] and cleaner.log(msg="dry run: would delete", job=JOB)

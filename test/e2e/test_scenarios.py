"""The promises of docs/contract.md, on the fake control plane and on a real one."""
import signal

import pytest

from manifests import required_rules

from .conftest import INTERVAL, JOB, SELF, SERVICE
from .control_plane import wait_for

ACTIVE = "900m"
IDLE = "2m"
LITTLE = {("batch", "jobs", "get"), ("batch", "jobs", "delete"), ("", "services", "get"),
          ("", "services", "delete"), ("", "pods", "list"), ("metrics.k8s.io", "pods", "list")}
TAKEN = {"deleted", "absent"}       # the collector may be faster with a Service that was adopted


def checks(cleaner):
    """How many readings the log tells of."""
    return len([line for line in list(cleaner.lines)
                if line.get("msg") in ("active", "idle check")])


def more_checks(cleaner, count):
    before = checks(cleaner)
    wait_for(lambda: checks(cleaner) >= before + count, f"{count} more checks", 15, INTERVAL / 4)


def stays(cleaner, seconds):
    """It is watching all this time, and decides nothing."""
    with pytest.raises(AssertionError, match="no line"):
        cleaner.wait_log(msg="teardown", timeout=seconds)
    assert cleaner.process.poll() is None


# ---- What ends a job ----

@pytest.mark.parametrize("success,trigger,reason", [(True, "completed", "CleanupCompleted"),
                                                    (False, "failed", "CleanupFailed")])
def test_a_job_that_ends_is_torn_down(stage, success, trigger, reason):
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched()
    stage.finish(success)
    assert cleaner.wait() == 0
    stage.wait_gone()
    summary = stage.summary()
    assert (summary["trigger"], summary["job"], summary["self"]) == (trigger, "deleted", "deleted")
    assert summary["service"] in TAKEN
    assert stage.events() == [("Normal", reason, f"the Job {trigger}")]
    assert [line for line in cleaner.lines if line["level"] in ("warn", "error")
            and line["msg"] != "pod outlived its job, deleted"] == []


def test_a_job_that_nobody_uses_is_torn_down(stage):
    stage.needs("metrics")
    stage.deploy(cpu=IDLE)
    cleaner = stage.run()
    assert cleaner.wait() == 0
    stage.wait_gone()
    assert stage.summary()["trigger"] == "idle"
    assert len(cleaner.log(msg="idle check")) == 5
    (kind, reason, message), = stage.events()
    assert (kind, reason) == ("Normal", "CleanupIdle")
    assert message.startswith("CPU 2m <= 4m at 5 checks over ")


def test_a_job_that_is_used_stays(stage):
    stage.needs("metrics")
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched()
    more_checks(cleaner, 8)
    assert set(stage.objects()) == {JOB, SERVICE, SELF} and stage.events() == []


def test_a_container_that_waits_is_not_idle(stage):
    """The last look: its metrics say nothing is used, since it has crashed and will be back."""
    stage.needs("metrics")
    stage.deploy(cpu="0")
    stage.cluster.set_pod(stage.pods()[0], "Running", waiting="CrashLoopBackOff")
    cleaner = stage.run()
    cleaner.wait_log(msg="cpu unknown", why="a container waits")
    assert set(stage.objects()) == {JOB, SERVICE, SELF} and stage.events() == []


def test_a_hold_keeps_a_job_until_it_is_removed(stage):
    stage.needs("metrics")
    stage.deploy(cpu="0")
    cleaner = stage.run(MAX_CPU_USAGE_COUNT="10")
    cleaner.wait_log(msg="idle check", check="3/10")
    stage.hold("true")
    cleaner.wait_log(msg="held", value="true")
    stays(cleaner, 10 * INTERVAL)
    stage.hold(None)
    cleaner.wait_log(msg="hold ended")
    cleaner.wait_log(msg="idle check", check="1/10", count=2)
    assert cleaner.wait() == 0
    assert stage.summary()["trigger"] == "idle"
    stage.wait_gone()


def test_a_job_whose_pod_never_starts_is_torn_down(stage):
    """With and without status.ready, which servers before 1.23 do not have."""
    stage.deploy(cpu=None, phase="Pending")
    cleaner = stage.run(PENDING_TIMEOUT_SECONDS="30" if not stage.cluster.controllers else "1.5")
    assert cleaner.wait() == 0
    assert stage.summary()["trigger"] == "pending"
    stage.wait_gone()


def test_a_job_that_was_ready_is_not_pending(stage):
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched(PENDING_TIMEOUT_SECONDS="1")
    stays(cleaner, 2.5)


# ---- What others do to it ----

def test_a_job_deleted_without_its_pods_leaves_none(stage):
    """kubectl delete --cascade=orphan, which is also the API's default for a Job."""
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched(fast=True)
    stage.ns.delete("Job", JOB, "Orphan")
    assert cleaner.wait() == 0
    assert stage.summary()["trigger"] == "gone"
    stage.wait_gone()


def test_what_is_created_anew_under_the_same_names_is_not_touched(stage):
    """The cleaner is stopped for a moment, so that it finds all three replaced at once."""
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched()
    cleaner.wait_log(msg="service adopted")
    old = stage.uids()
    cleaner.signal(signal.SIGSTOP)
    for kind, name in (("Service", SERVICE), ("Job", JOB), ("Job", SELF)):
        stage.ns.delete(kind, name)
    stage.deploy(cpu="0")
    new = stage.uids()
    cleaner.signal(signal.SIGCONT)
    assert cleaner.wait() == 0
    assert stage.uids() == new and not set(old.values()) & set(new.values())
    assert not any("deletionTimestamp" in obj["metadata"] for obj in stage.objects().values())
    assert stage.pods() != []
    assert stage.events() == []


def test_an_adopted_service_goes_with_its_job_when_no_cleaner_runs(stage):
    stage.needs("controllers")
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched()
    cleaner.wait_log(msg="service adopted")
    owner, = stage.ns.get("Service", SERVICE)["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("Job", JOB, stage.uid)
    cleaner.signal(signal.SIGKILL)
    assert cleaner.wait() == -signal.SIGKILL
    stage.ns.delete("Job", JOB)
    wait_for(lambda: set(stage.objects()) == {SELF}, "the Service collected", 20)


# ---- What it may do ----

def test_little_is_enough(stage):
    """Nobody knows 1.1's Role: get and delete, and what it read. A refusal is told when a second
    answer has confirmed it, and once."""
    stage.needs("metrics", "controllers")   # it does not have pods delete
    stage.cluster.set_rules(LITTLE)
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.run()
    for verb, resource in (("list", "jobs"), ("patch", "services")):
        cleaner.wait_log(msg="permission missing", verb=verb, resource=resource)
    stage.set_cpu(IDLE)
    assert cleaner.wait() == 0
    stage.wait_gone()
    missed = [(line["verb"], line["resource"]) for line in cleaner.log(msg="permission missing")]
    assert sorted(missed) == [("create", "events"), ("list", "jobs"), ("patch", "services")]


def test_without_the_right_to_delete_jobs_it_says_what_is_left(stage):
    stage.cluster.set_rules(required_rules() - {("batch", "jobs", "delete")})
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched(TEARDOWN_TIMEOUT_SECONDS="3")
    stage.finish()
    assert cleaner.wait() == 1
    assert set(stage.objects()) == {JOB, SELF}
    assert (stage.summary()["job"], stage.summary()["service"]) == ("forbidden", "deleted")
    assert cleaner.log(msg="permission missing", verb="delete", resource="jobs")
    assert ("Warning", "CleanupIncomplete",
            f"left behind: Job {JOB} (forbidden)") in stage.events()


def test_check_is_content_with_rbac_yml(stage):
    stage.needs("metrics")
    status, rows = stage.check()
    assert {what for what, row in rows.items() if row["state"] != "ok"} == set()
    assert status == 0 and "metrics API answers" in rows


@pytest.mark.parametrize("rule,row,state,status", [
    (("batch", "jobs", "delete"), f"may delete jobs.batch {JOB}", "missing", 1),
    (("metrics.k8s.io", "pods", "list"), "may list pods.metrics.k8s.io", "optional", 0)])
def test_check_names_the_rule_that_is_missing(stage, rule, row, state, status):
    stage.cluster.set_rules(required_rules() - {rule})
    code, rows = stage.check()
    group, resource, verb = rule
    assert (code, rows[row]["state"]) == (status, state)
    assert rows[row]["rule"] == (f'{{apiGroups: ["{group}"], resources: ["{resource}"], '
                                 f'verbs: ["{verb}"]}}')


# ---- When something breaks ----

def test_pods_that_no_controller_ends_are_ended(stage):
    """The controllers are down: the Job goes, and its pods run on, until the cleaner ends them."""
    stage.needs("metrics", "controllers that stop")
    stage.deploy(cpu=IDLE)
    stage.cluster.stop_controllers()
    cleaner = stage.run(fast=True)
    assert cleaner.wait() == 0
    assert len(cleaner.log(msg="pod outlived its job, deleted")) == 1
    assert all("deletionTimestamp" in pod["metadata"] for pod in stage.pods())
    assert JOB not in stage.objects() and SERVICE not in stage.objects()


def test_metrics_that_are_down_are_never_idle(stage):
    stage.needs("metrics")
    stage.deploy(cpu="0")
    stage.cluster.metrics.up = False
    cleaner = stage.run()
    cleaner.wait_log(msg="cpu unknown", why="the metrics API did not answer")
    assert cleaner.wait_log(msg="metrics API trouble")["status"] == 503
    stage.finish()
    assert cleaner.wait() == 0
    assert stage.summary()["trigger"] == "completed"
    stage.wait_gone()


def test_a_restart_of_the_api_server_is_survived(stage):
    stage.needs("restart")
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched()
    stage.cluster.restart_api(while_down=lambda: cleaner.wait_log(msg="API server trouble"))
    cleaner.wait_log(msg="recovered", timeout=40)
    assert set(stage.objects()) == {JOB, SERVICE, SELF}
    stage.finish()
    assert cleaner.wait(40) == 0
    assert stage.summary()["trigger"] == "completed"
    stage.wait_gone()


def test_a_token_that_is_refused_is_read_again(stage):
    good, = stage.cluster.secrets()
    stage.deploy(cpu=ACTIVE)
    stage.cluster.write_token("not." + good)
    cleaner = stage.run()
    cleaner.wait_log(msg="API server trouble", status=401)
    stage.cluster.write_token()
    cleaner.wait_log(msg="job state", to="live")
    stays(cleaner, 3)       # and asks once more for our own Job's uid
    stage.finish()
    assert cleaner.wait() == 0
    stage.wait_gone()


def test_a_signal_while_it_watches_changes_nothing(stage):
    stage.deploy(cpu=ACTIVE)
    before = stage.objects()
    cleaner = stage.watched(ADOPT_SERVICE="false")
    cleaner.signal()
    assert cleaner.wait(5) == 143
    assert stage.objects() == before and len(stage.pods()) == 1

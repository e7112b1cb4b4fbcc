"""The promises of docs/contract.md, on the fake control plane and on a real one."""
import signal

import pytest

from manifests import SWEEP, render, required_rules

from .conftest import INTERVAL, JOB, JOB_ID, SELF, SERVICE
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


def test_the_count_starts_anew_with_another_pod(stage):
    stage.needs("metrics")
    stage.deploy(cpu=IDLE)
    cleaner = stage.run(MAX_CPU_USAGE_COUNT="8")
    cleaner.wait_log(msg="idle check", check="3/8")
    stage.cluster.replace_pod(stage.pods()[0])
    assert "cleared" in cleaner.wait_log(msg="idle check", check="1/8", count=2)
    assert cleaner.wait() == 0
    assert stage.summary()["trigger"] == "idle"
    stage.wait_gone()


@pytest.mark.parametrize("ready", [True, False])
def test_a_job_that_runs_is_not_pending(stage, ready):
    """Its readiness probe may fail by now: it ran."""
    stage.deploy(cpu=ACTIVE)
    stage.cluster.set_pod(stage.pods()[0], "Running", ready=ready)
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
    stage.delete(SERVICE, JOB, SELF)
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


@pytest.mark.parametrize("rights,status", [(set(), 0), ({("", "pods", "delete")}, 1)])
def test_our_pods_beside_a_newcomer_are_ended(stage, rights, status):
    """Orphaned, they would keep their GPU: it is over when they are gone, or may not be."""
    stage.cluster.set_rules(required_rules() - rights)
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched(fast=True, TEARDOWN_TIMEOUT_SECONDS="60")
    pods, old = stage.pods(), stage.uid
    cleaner.signal(signal.SIGSTOP)
    stage.delete(SERVICE, SELF)
    stage.delete(JOB, policy="Orphan")
    stage.deploy(cpu="0")
    new = stage.uids()
    cleaner.signal(signal.SIGCONT)
    assert cleaner.wait() == status
    assert stage.uids() == new and len(stage.pods()) == 1
    if status:
        assert [p["metadata"]["uid"] for p in stage.pods(old)] == [p["metadata"]["uid"] for p in pods]
        assert cleaner.log(msg="permission missing", verb="delete", resource="pods")
    else:
        wait_for(lambda: stage.pods(old) == [], "our pods are gone", 20)


def test_a_job_that_came_and_went_is_no_newcomers_reason(stage):
    """Events alone say: A is there, A is gone, B is there. B has a cleaner: this one."""
    stage.deploy(cpu=ACTIVE)
    stage.delete(SERVICE, JOB)
    cleaner = stage.run()
    cleaner.wait_log(msg="request", rule="the Job is read again at least once a minute")
    cleaner.signal(signal.SIGSTOP)
    stage.deploy(cpu=ACTIVE, cleanup=False)
    stage.delete(SERVICE, JOB)
    stage.deploy(cpu=ACTIVE, cleanup=False)
    cleaner.signal(signal.SIGCONT)
    assert cleaner.wait_log(msg="job state", to="live")["uid"] == stage.uid
    stage.finish()
    assert cleaner.wait() == 0
    stage.wait_gone()


def test_a_foreground_deletion_is_left_to_whoever_waits_for_it(stage):
    """A DELETE of ours would make it a background one, and kubectl return with the pod there."""
    stage.needs("controllers")
    stage.deploy(cpu=ACTIVE)
    pod = stage.pods()[0]["metadata"]["name"]
    stage.keep("Pod", pod)
    cleaner = stage.watched()
    stage.ns.delete("Job", JOB, "Foreground")
    cleaner.wait_log(msg="teardown", trigger="gone")
    with pytest.raises(AssertionError):
        wait_for(lambda: "foregroundDeletion" not in stage.ns.get("Job", JOB)["metadata"]["finalizers"],
                 "", 2)
    stage.release("Pod", pod)
    assert cleaner.wait() == 0
    stage.wait_gone()
    assert (stage.summary()["trigger"], stage.summary()["job"]) == ("gone", "absent")


def test_a_finalizer_on_the_job_holds_up_neither_service_nor_pods(stage):
    """Whoever put it there may look at what the Job has left: its pod stays."""
    stage.deploy(cpu=ACTIVE)
    stage.keep("Job", JOB)
    cleaner = stage.watched(fast=True)
    stage.finish()
    wait_for(lambda: set(stage.objects()) == {JOB, SELF}, "the Service gone before the Job", 20)
    assert len(stage.pods()) == 1 and cleaner.process.poll() is None
    stage.release("Job", JOB)
    assert cleaner.wait() == 0
    stage.wait_gone()


def test_a_finished_job_that_is_kept_may_be_deleted_by_others(stage):
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched(COMPLETED_GRACE_SECONDS="3600")
    stage.finish()
    cleaner.wait_log(msg="finished job is kept")
    wait_for(lambda: set(stage.objects()) == {JOB, SELF}, "the Service gone", 20)
    assert cleaner.process.poll() is None
    stage.ns.delete("Job", JOB)
    assert cleaner.wait() == 0
    stage.wait_gone()


# ---- What it may do ----

@pytest.mark.parametrize("rule,used", [
    (("metrics.k8s.io", "pods", "list"), {"msg": "idle check"}),
    (("", "services", "patch"), {"msg": "service adopted"}),
    (("", "pods", "list"), {"msg": "no longer refused", "verb": "list", "resource": "pods"})])
def test_a_right_that_is_granted_later_needs_no_restart(stage, rule, used):
    """A refusal is believed for a minute."""
    stage.needs("metrics")
    group, resource, verb = rule
    stage.cluster.set_rules(required_rules() - {rule})
    stage.deploy(cpu="4m")
    cleaner = stage.run(fast=True, MAX_CPU_USAGE_COUNT="1000")
    cleaner.wait_log(msg="permission missing", verb=verb, resource=resource, api_group=group)
    assert cleaner.log(**used) == []
    stage.cluster.set_rules(required_rules())
    cleaner.wait_log(**used)
    stage.finish()
    assert cleaner.wait() == 0
    stage.wait_gone()


@pytest.mark.parametrize("code", [403, 422])
def test_an_idle_job_that_may_not_be_deleted_lives_on_with_its_service(stage, code):
    """An admission webhook refuses; its words are told once, and no recovery in between."""
    stage.needs("metrics", "admission")
    stage.deploy(cpu=IDLE)
    stage.cluster.deny("delete", "Job", JOB, code)
    cleaner = stage.run(fast=True)
    refusal = cleaner.wait_log(msg="request refused", verb="delete", resource="jobs")
    assert refusal["status"] == code and "denied the request: not today" in refusal["error"]
    cleaner.wait_log(msg="refused", verb="delete")     # once more, and still it is no news
    assert set(stage.objects()) == {JOB, SERVICE, SELF} and len(stage.pods()) == 1
    assert not cleaner.log(msg="recovered") and len(cleaner.log(msg="request refused")) == 1
    (kind, _, message), = stage.events()
    assert kind == "Warning" and "not today" in message
    stage.cluster.allow()
    assert cleaner.wait() == 0
    assert stage.summary()["trigger"] == "idle"
    stage.wait_gone()


def test_an_adoption_that_is_refused_is_told_in_the_servers_words(stage):
    stage.needs("admission")
    stage.deploy(cpu=ACTIVE)
    stage.cluster.deny("patch", "Service", SERVICE, 422)
    cleaner = stage.watched(fast=True)
    refusal = cleaner.wait_log(msg="request refused", verb="patch", resource="services")
    assert (refusal["status"], refusal["level"]) == (422, "warn")
    assert "denied the request: not today" in refusal["error"]
    stage.finish()
    assert cleaner.wait() == 0
    stage.wait_gone()


def test_while_nobody_can_tell_whose_the_name_is_nothing_is_touched(stage):
    """The watch says that the Job is gone; no read may say who has its name now."""
    stage.needs("controllers")
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched(fast=True)
    cleaner.wait_log(msg="service adopted")
    stage.cluster.set_rules(required_rules() - {("batch", "jobs", "get"), ("batch", "jobs", "list")})
    stage.delete(JOB, SELF)
    wait_for(lambda: not stage.objects(), "the Service collected", 20)
    stage.deploy(cpu="0")
    new = stage.uids()
    cleaner.wait_log(msg="permission missing", verb="get", resource="jobs")
    stays(cleaner, 2)
    assert stage.uids() == new and len(stage.pods()) == 1
    stage.cluster.set_rules(required_rules())
    assert cleaner.wait() == 0
    assert stage.uids() == new and len(stage.pods()) == 1


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
    unbound = "token is bound to pod (none)"    # ours is of no pod: guard.yml would let nothing go
    assert {what for what, row in rows.items() if row["state"] != "ok"} <= {unbound}
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


# ---- A sweep ----

def test_a_sweep_takes_what_nobody_is_left_to_remove(stage):
    """A Service, a pod that runs on, a cleaner that has ended; not a job that lives, nor what is
    young."""
    living, (_, young, _) = render("13-70789")[0], render("14-70790")
    del young["spec"]["ports"][0]["nodePort"]
    stage.cluster.set_rules(required_rules(SWEEP))
    with stage.cluster.more_than_a_minute_ago():
        stage.deploy(cpu=ACTIVE)
        stage.cluster.finish(SELF, success=True)
        stage.delete(JOB, policy="Orphan")
        stage.cluster.create_job(living, "Running")
    stage.ns.create(young)
    assert len(stage.pods()) == 1

    def swept(*args):
        status, rows = stage.rows("--sweep", *args, JOB_ID=None, SWEEP_AFTER_SECONDS=60,
                                  TEARDOWN_TIMEOUT_SECONDS=10)
        return status, [(row["id"], row["service"], row["cleaner"], row["pods"]) for row in rows]

    assert swept("--dry-run") == (1, [(JOB_ID, True, True, 1)])
    assert set(stage.objects()) == {SERVICE, SELF} and len(stage.pods()) == 1
    assert swept() == (0, [(JOB_ID, True, True, 1)])
    stage.wait_gone()
    assert stage.ns.get("Job", living["metadata"]["name"])
    assert stage.ns.get("Service", young["metadata"]["name"])
    assert swept() == (0, [])


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
    assert cleaner.log(msg="permission missing") == []  # whatever it answers while it starts
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


def test_a_signal_when_the_job_is_gone_ends_the_teardown_first(stage):
    """People delete both Jobs at once: the Service is all that is left, and nobody comes back."""
    stage.deploy(cpu=ACTIVE)
    cleaner = stage.watched(ADOPT_SERVICE="false")
    cleaner.signal(signal.SIGSTOP)
    stage.delete(JOB)
    cleaner.signal()
    cleaner.signal(signal.SIGCONT)
    assert cleaner.wait() == 0
    stage.wait_gone()


def test_a_signal_while_it_watches_changes_nothing(stage):
    stage.deploy(cpu=ACTIVE)
    before = stage.objects()
    cleaner = stage.watched(ADOPT_SERVICE="false")
    cleaner.signal()
    assert cleaner.wait(5) == 143
    assert stage.objects() == before and len(stage.pods()) == 1

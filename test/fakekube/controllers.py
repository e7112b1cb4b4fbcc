"""What runs beside the API server: garbage collector, job and TTL controllers, a kubelet.

All of it is event-driven: each change schedules one sync() a moment (`gc_delay`) later.
"""
import uuid

from . import builders
from .store import BY_KIND, JOBS, PODS, STORED, key_of, parse_rfc3339, rfc3339

ORPHAN, FOREGROUND = "orphan", "foregroundDeletion"
POLICY_FINALIZERS = {"Orphan": ORPHAN, "Foreground": FOREGROUND, "Background": None}


def finished(job):
    return any(c["type"] in ("Complete", "Failed") and c["status"] == "True"
               for c in job.get("status", {}).get("conditions", []))


def pod_grace_seconds(pod, wanted):
    """A pod that no kubelet runs, or that has ended, has nothing to be graceful about."""
    if "nodeName" not in pod["spec"] or pod["status"]["phase"] in ("Succeeded", "Failed"):
        return 0
    return pod["spec"].get("terminationGracePeriodSeconds", 30) if wanted is None else wanted


def delete_object(store, kind, obj, policy=None, grace=None):
    """Deletes as the registry does; returns (the object, whether it is gone).

    Without a policy a finalizer of an earlier deletion decides, then the kind's default: Orphan
    for a batch/v1 Job, Background for the others. Each policy replaces the other's finalizer,
    so Background frees a Job that hangs in "orphan".
    """
    old = obj["metadata"].get("finalizers", [])
    if policy is None:
        policy = ("Orphan" if ORPHAN in old else "Foreground" if FOREGROUND in old
                  else "Orphan" if kind is JOBS else "Background")
    finalizers = [f for f in old if f not in (ORPHAN, FOREGROUND)]
    if POLICY_FINALIZERS[policy]:
        finalizers.append(POLICY_FINALIZERS[policy])
    seconds = pod_grace_seconds(obj, grace) if kind is PODS else 0
    if not finalizers and seconds == 0:
        return store.remove(kind, obj), True

    def mark(new):
        meta = new["metadata"]
        meta["finalizers"] = finalizers
        if seconds < meta.get("deletionGracePeriodSeconds", seconds + 1):
            meta["deletionTimestamp"] = rfc3339(store.clock.now() + seconds)
            meta["deletionGracePeriodSeconds"] = seconds
    return store.edit(kind, obj, mark), False


class Controllers:
    def __init__(self, store, version, later):
        self.store, self.version, self._later = store, version, later
        self.gc_delay = 0.02        # a real one was seen at 0.2 s
        self.pod_grace = 0.05       # how long a pod really takes to die, whatever its grace
        self.ttl = False            # the TTL controller
        self.ttl_scale = 1.0        # real seconds per second of ttlSecondsAfterFinished
        self.hands_off = set()      # uids of jobs that no controller touches
        self.lost = set()           # uids of pods whose node is lost: no kubelet ends them
        self._enabled = self._kubelet = True
        self._scheduled = False
        self._ttl_started = set()
        store.listeners.append(self._on_event)

    # ---- switches ----

    @property
    def enabled(self):
        return self._enabled

    @enabled.setter
    def enabled(self, on):
        self._enabled = on
        self._schedule()

    @property
    def kubelet(self):
        return self._kubelet

    @kubelet.setter
    def kubelet(self, on):
        self._kubelet = on
        if on:
            for pod in self.store.list(PODS):
                self._watch_pod(pod)

    # ---- wiring ----

    def _on_event(self, kind, event):
        self._schedule()
        if (kind is PODS and event.type == "MODIFIED"
                and "deletionTimestamp" not in event.old["metadata"]):
            self._watch_pod(event.obj)

    def _schedule(self):
        if self._enabled and not self._scheduled:
            self._scheduled = True
            self._later(self.gc_delay, self._run)

    def _run(self):
        self._scheduled = False
        if self._enabled:
            self.sync()

    def sync(self):
        self._start_new_jobs()
        self._collect()
        self._release_pods()
        if self.ttl:
            self._start_ttl()

    # ---- the kubelet ----

    def _watch_pod(self, pod):
        if "deletionTimestamp" in pod["metadata"] and self._kubelet:
            self._later(self.pod_grace, self._pod_died, pod)

    def _pod_died(self, pod):
        """The containers have ended: the kubelet deletes the object for good, grace 0."""
        pod = self.store.get(PODS, *key_of(pod))
        if (pod is None or not self._kubelet or "deletionTimestamp" not in pod["metadata"]
                or pod["metadata"]["uid"] in self.lost):
            return
        delete_object(self.store, PODS, pod, grace=0)

    # ---- the garbage collector ----

    def _owner(self, namespace, ref):
        kind = BY_KIND.get((ref["apiVersion"], ref["kind"]))
        owner = kind and self.store.get(kind, namespace, ref["name"])
        return owner if owner and owner["metadata"]["uid"] == ref["uid"] else None

    def _dependents(self, uid):
        return [(kind, obj) for kind in STORED for obj in self.store.list(kind)
                if any(r["uid"] == uid for r in obj["metadata"].get("ownerReferences", []))]

    def _collect(self):
        for kind in STORED:
            for obj in self.store.list(kind):
                finalizers = obj["metadata"].get("finalizers", [])
                if "deletionTimestamp" not in obj["metadata"]:
                    continue
                if ORPHAN in finalizers:
                    for dep_kind, dep in self._dependents(obj["metadata"]["uid"]):
                        self._drop_owners(dep_kind, dep, {obj["metadata"]["uid"]})
                    self._drop_finalizer(kind, obj, ORPHAN)
        for kind in STORED:
            for obj in self.store.list(kind):
                refs = obj["metadata"].get("ownerReferences", [])
                if refs:
                    self._judge(kind, obj, refs)
        for kind in STORED:
            for obj in self.store.list(kind):
                if FOREGROUND in obj["metadata"].get("finalizers", []) and not any(
                        r["uid"] == obj["metadata"]["uid"] and r.get("blockOwnerDeletion")
                        for _, dep in self._dependents(obj["metadata"]["uid"])
                        for r in dep["metadata"]["ownerReferences"]):
                    self._drop_finalizer(kind, obj, FOREGROUND)

    def _judge(self, kind, obj, refs):
        """No owner left, or only owners that wait in foreground deletion: delete it, with its
        own grace. Some left: drop the references to the others."""
        owners = {r["uid"]: self._owner(obj["metadata"]["namespace"], r) for r in refs}
        gone = {uid for uid, owner in owners.items() if owner is None}
        waiting = {uid for uid, owner in owners.items()
                   if owner and FOREGROUND in owner["metadata"].get("finalizers", [])}
        if gone | waiting == set(owners):
            if "deletionTimestamp" not in obj["metadata"]:
                delete_object(self.store, kind, obj, policy="Background")
        elif gone:
            self._drop_owners(kind, obj, gone)

    def _drop_owners(self, kind, obj, uids):
        def change(new):
            meta = new["metadata"]
            meta["ownerReferences"] = [r for r in meta["ownerReferences"]
                                       if r["uid"] not in uids]
            if not meta["ownerReferences"]:
                del meta["ownerReferences"]
                builders.disown(new, "metadata", "ownerReferences")
        self.store.edit(kind, obj, change)

    def _drop_finalizer(self, kind, obj, name):
        def change(new):
            left = [f for f in new["metadata"].get("finalizers", []) if f != name]
            new["metadata"]["finalizers"] = left
            if not left:
                builders.disown(new, "metadata", "finalizers")
        self.store.edit(kind, obj, change)

    # ---- the job controller ----

    def _release_pods(self):
        """Takes the tracking finalizer from pods that are being deleted or have no Job."""
        for pod in self.store.list(PODS):
            meta = pod["metadata"]
            if builders.TRACKING in meta.get("finalizers", []):
                owned = any(self._owner(meta["namespace"], r)
                            for r in meta.get("ownerReferences", []))
                if not owned or "deletionTimestamp" in meta:
                    self._drop_finalizer(PODS, pod, builders.TRACKING)

    def _start_new_jobs(self):
        for job in self.store.list(JOBS):
            if (not job["status"] and "deletionTimestamp" not in job["metadata"]
                    and job["metadata"]["uid"] not in self.hands_off):
                self.start_job(job, "Running")

    def set_status(self, job, change):
        """Rewrites the Job's status: `change` gets a copy of it without the fixed fields."""
        def edit(new):
            status = {k: v for k, v in new["status"].items()
                      if k not in ("terminating", "uncountedTerminatedPods")}
            change(status)
            builders.set_job_status(new, status, self.version, self.store.clock.now())
        return self.store.edit(JOBS, job, edit)

    def start_job(self, job, phase, ready=True, states=None):
        """startTime, the pods, and the status that follows from their phase."""
        now = self.store.clock.now()
        if job["spec"].get("suspend"):
            return self.set_status(job, lambda s: s.update(ready=0, conditions=[
                builders.condition("Suspended", now, "JobSuspended", "Job suspended")]))
        count = job["spec"].get("parallelism", 1)
        pods = []
        for _ in range(count):
            pod = builders.job_pod(job, self.version, now)
            pod["metadata"]["uid"] = str(uuid.uuid4())
            pods.append(self.store.create(PODS, pod))

        def active(status):
            status.update(startTime=rfc3339(now), active=count, ready=0)
        job = self.set_status(job, active)
        if phase != "Pending":
            for pod in pods:
                self.store.edit(PODS, pod, lambda p: builders.set_pod_status(
                    p, "Pending" if phase == "ContainerCreating" else phase, now, states,
                    None if ready else False))
            if phase == "Running" and ready:
                job = self.set_status(job, lambda s: s.update(ready=count))
        return job

    def pods_of(self, job):
        uid = job["metadata"]["uid"]
        return [p for p in self.store.list(PODS, job["metadata"]["namespace"])
                if any(r["uid"] == uid for r in p["metadata"].get("ownerReferences", []))]

    def end_pods(self, job, success):
        now = self.store.clock.now()
        for pod in self.pods_of(job):
            self.store.edit(PODS, pod, lambda p: builders.set_pod_status(
                p, "Succeeded" if success else "Failed", now))

    def begin_finish(self, job, success):
        """The event between the end of the pod and the terminal condition: nothing is active,
        the pod is counted but not yet accounted for. 1.27+ has decided already."""
        uids = [p["metadata"]["uid"] for p in self.pods_of(job)]

        def change(new):
            now = self.store.clock.now()
            status = {k: v for k, v in new["status"].items()
                      if k not in ("active", "terminating", "conditions")}
            status |= {"ready": 0,
                       "uncountedTerminatedPods": {"succeeded" if success else "failed": uids}}
            conditions = list(new["status"].get("conditions", []))
            if builders.is_new(self.version):
                conditions.append(self._verdict(
                    "SuccessCriteriaMet" if success else "FailureTarget", success, now))
            if conditions:
                status["conditions"] = conditions
            builders.set_job_status(new, status, self.version, now)
        return self.store.edit(JOBS, job, change)

    def end_finish(self, job, success):
        for pod in self.pods_of(job):
            self._drop_finalizer(PODS, pod, builders.TRACKING)

        def change(status):
            now = self.store.clock.now()
            status["conditions"] = [*status.get("conditions", []), self._verdict(
                "Complete" if success else "Failed", success, now)]
            status["succeeded" if success else "failed"] = job["spec"]["parallelism"]
            if success:
                status["completionTime"] = rfc3339(now)
            status.pop("active", None)
            status["ready"] = 0
        return self.set_status(job, change)

    def _verdict(self, type_, success, now):
        if not success:
            return builders.condition(type_, now, "BackoffLimitExceeded",
                                      "Job has reached the specified backoff limit")
        if builders.is_new(self.version):
            return builders.condition(type_, now, "CompletionsReached",
                                      "Reached expected number of succeeded pods")
        return builders.condition(type_, now)

    # ---- the TTL controller: Foreground, with the uid as a precondition ----

    def _start_ttl(self):
        for job in self.store.list(JOBS):
            ttl, uid = job["spec"].get("ttlSecondsAfterFinished"), job["metadata"]["uid"]
            if ttl is None or not finished(job) or uid in self._ttl_started:
                continue
            self._ttl_started.add(uid)
            ended = max(parse_rfc3339(c["lastTransitionTime"])
                        for c in job["status"]["conditions"])
            left = ended + ttl - self.store.clock.now()
            self._later(max(0, left) * self.ttl_scale, self._expire, job)

    def _expire(self, job):
        now = self.store.get(JOBS, *key_of(job))
        if now and now["metadata"]["uid"] == job["metadata"]["uid"]:
            delete_object(self.store, JOBS, now, policy="Foreground")

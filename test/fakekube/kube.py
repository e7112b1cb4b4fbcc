"""FakeKube: the server in a thread, and the synchronous API that tests use."""
import asyncio
import concurrent.futures
import contextlib
import copy
import itertools
import os
import pathlib
import shutil
import tempfile
import threading
import time
import traceback
import uuid

from . import builders, faults, rbac
from .api import Api
from .controllers import Controllers, delete_object
from .faults import Match, Trigger
from .metrics import Metrics
from .pki import default_pki
from .server import Server
from .store import BY_KIND, EVENTS, JOBS, PODS, SERVICES, Clock, Store, key_of, rfc3339

KIND_NAMES = {"job": JOBS, "service": SERVICES, "pod": PODS, "event": EVENTS}


class FakeKube:
    """See the package's docstring. Use it as a context manager, or start() and stop()."""

    def __init__(self, version="1.34", namespace="panda", *, dir=None, host="127.0.0.1",
                 tls=True, pki=None, certificate=None, ca=None, user="cleanup-sa", rules=None):
        self.version, self.namespace = version, namespace
        self.prefix = ""        # of every path: whoever leaves it out gets a 404
        self.pki = pki or (default_pki() if tls else None)
        self._own_dir = None if dir else tempfile.mkdtemp(prefix="fakekube-")
        self.dir = pathlib.Path(dir or self._own_dir)
        self.clock = Clock()
        self.store = Store(self.clock)
        self.metrics = Metrics(self.store)
        self.rbac = rbac.Rbac()
        self._controllers = Controllers(self.store, version, self._later)
        self.api = Api(self.store, self.rbac, self._controllers, self.metrics, version)
        self.server = Server(self, self.store, self.api, host, tls)
        self.server.notify = self._notify
        self._loop = asyncio.new_event_loop()
        self._thread = None
        self._changed = threading.Condition()
        self._sa_numbers = itertools.count()
        self.service_account_dir = self.dir / "serviceaccount"
        self.user = rbac.service_account(namespace, user)
        self.rbac.set_rules(self.user, rbac.CLEANUP_RULES if rules is None else rules)
        self.admin = "kubernetes-admin"
        self.rbac.set_rules(self.admin, [("*", "*", "*")])
        self.token = self.rbac.new_token(self.user)
        self.admin_token = self.rbac.new_token(self.admin)
        self.ca = ca or (self.pki.ca if tls else None)
        if tls:
            self.use_certificate(certificate or self.pki.server)
        self.write_service_account()

    # ---- life ----

    def start(self):
        self._thread = threading.Thread(target=self._run, name="fakekube", daemon=True)
        self._thread.start()
        self._await(self.server.listen())
        return self

    def _run(self):
        asyncio.set_event_loop(self._loop)
        self._loop.run_forever()

    def stop(self):
        if self._thread:
            self._await(self.server.stop())
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join(10)
            self._thread = None
            self._loop.close()
        if self._own_dir:
            shutil.rmtree(self._own_dir, ignore_errors=True)
        if self.server.errors:
            raise AssertionError("the fake, or a hook, failed:\n" + "\n".join(self.server.errors))

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()

    @property
    def port(self):
        return self.server.port

    @property
    def url(self):
        host = f"[{self.server.host}]" if ":" in self.server.host else self.server.host
        return f"http{'s' if self.server.ssl else ''}://{host}:{self.port}"

    def env(self):
        """What a pod finds in its environment."""
        return {"KUBERNETES_SERVICE_HOST": self.server.host,
                "KUBERNETES_SERVICE_PORT": str(self.port),
                "SERVICE_ACCOUNT_DIR": str(self.service_account_dir)}

    # ---- the server's thread ----

    def _on_thread(self):
        return threading.current_thread() is self._thread

    def call(self, fn, *args, **kwargs):
        """Runs fn on the server's thread (between two requests) and returns its result."""
        if self._thread is None or self._on_thread():
            return fn(*args, **kwargs)
        done = concurrent.futures.Future()

        def run():
            try:
                done.set_result(fn(*args, **kwargs))
            except BaseException as e:      # pylint: disable=broad-except
                done.set_exception(e)
        self._loop.call_soon_threadsafe(run)
        return done.result(30)

    def _await(self, coroutine):
        if self._on_thread():
            raise RuntimeError("this cannot be called from a hook")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(30)

    def _later(self, seconds, fn, *args):
        def safely():
            try:
                fn(*args)
            except Exception:       # pylint: disable=broad-except
                self.server.errors.append(traceback.format_exc())
        if self._thread is None:
            return
        if self._on_thread():
            self._loop.call_later(seconds, safely)
        else:
            self._loop.call_soon_threadsafe(self._loop.call_later, seconds, safely)

    def later(self, seconds, fn, *args):
        """Runs fn on the server's thread after so many seconds."""
        self._later(seconds, fn, *args)

    def _notify(self):
        with self._changed:
            self._changed.notify_all()

    def wait_for(self, predicate, timeout=10.0, what="the condition"):
        """Waits until predicate() is true and returns its value; AssertionError after
        `timeout`. It is asked again after every request and change, and every 50 ms."""
        if self._on_thread():
            raise RuntimeError("a hook must not wait")
        deadline = time.monotonic() + timeout
        while True:
            value = predicate()
            if value:
                return value
            left = deadline - time.monotonic()
            if left <= 0:
                log = "\n".join(str(r) for r in self.requests[-20:])
                raise AssertionError(f"not within {timeout} s: {what}; last requests:\n{log}")
            with self._changed:
                self._changed.wait(min(left, 0.05))

    # ---- the clock ----

    def now(self):
        return self.clock.now()

    @property
    def clock_offset(self):
        return self.clock.offset

    @clock_offset.setter
    def clock_offset(self, seconds):
        self.clock.offset = seconds

    def freeze_clock(self, at=None):
        self.clock.frozen = self.now() if at is None else at

    def unfreeze_clock(self):
        self.clock.frozen = None

    # ---- switches ----

    @property
    def controllers(self):
        """False: no controller-manager. Back to True: it catches up."""
        return self._controllers.enabled

    @controllers.setter
    def controllers(self, on):
        self.call(setattr, self._controllers, "enabled", on)

    @property
    def kubelet(self):
        """False: pods that are deleted stay terminating."""
        return self._controllers.kubelet

    @kubelet.setter
    def kubelet(self, on):
        self.call(setattr, self._controllers, "kubelet", on)

    @property
    def ttl_controller(self):
        return self._controllers.ttl

    @ttl_controller.setter
    def ttl_controller(self, on):
        self._controllers.ttl = on
        self.call(self._controllers.sync)

    pod_grace = property(lambda self: self._controllers.pod_grace,
                         lambda self, v: setattr(self._controllers, "pod_grace", v))
    gc_delay = property(lambda self: self._controllers.gc_delay,
                        lambda self, v: setattr(self._controllers, "gc_delay", v))
    ttl_scale = property(lambda self: self._controllers.ttl_scale,
                         lambda self, v: setattr(self._controllers, "ttl_scale", v))
    bookmark_period = property(lambda self: self.server.bookmark_period,
                               lambda self, v: setattr(self.server, "bookmark_period", v))
    bookmark_before = property(lambda self: self.server.bookmark_before,
                               lambda self, v: setattr(self.server, "bookmark_before", v))

    watch_second = property(lambda self: self.server.watch_second,
                            lambda self, v: setattr(self.server, "watch_second", v))

    def compact(self):
        """Every resourceVersion known so far becomes too old to watch from."""
        self.call(self.store.compact)

    @property
    def resource_version(self):
        return self.store.rv

    # ---- tokens, CA, certificate, rights ----

    def write_service_account(self, **files):
        """As a kubelet does: a new directory, and "..data" switched to it in one rename.
        token=, ca=, namespace= override the content (bytes or str; None leaves the file out)."""
        content = {"token": self.token, "ca.crt": self.ca.pem if self.ca else b"",
                   "namespace": self.namespace}
        content |= {"ca.crt" if k == "ca" else k: v for k, v in files.items()}
        base = self.service_account_dir
        base.mkdir(parents=True, exist_ok=True)
        stamp = time.strftime("..%Y_%m_%d_%H_%M_%S", time.gmtime())
        fresh = base / f"{stamp}.{os.getpid()}{next(self._sa_numbers):06}"
        fresh.mkdir()
        for name, value in content.items():
            if value is not None:
                (fresh / name).write_bytes(value.encode() if isinstance(value, str) else value)
            if not (base / name).is_symlink():
                (base / name).symlink_to(f"..data/{name}")
        old = base / os.readlink(base / "..data") if (base / "..data").is_symlink() else None
        (base / "..data_tmp").symlink_to(fresh.name)
        (base / "..data_tmp").rename(base / "..data")
        if old:
            shutil.rmtree(old)

    def rotate_token(self, keep_old=False, write=True):
        """A new token; the old one is refused from now on unless keep_old."""
        old, self.token = self.token, self.call(self.rbac.new_token, self.user)
        if write:
            self.write_service_account()
        if not keep_old:
            self.call(self.rbac.revoke, old)
        return self.token

    def bind_token(self, pod):
        """A token as a kubelet gets it for this pod, in the file; None: one of the old, unbound kind."""
        bound = {"namespace": self.namespace, "pod": {"name": pod, "uid": str(uuid.uuid4())},
                 "serviceaccount": {"name": self.user.rpartition(":")[2], "uid": str(uuid.uuid4())}}
        claims = ({"kubernetes.io": bound} if pod else
                  {"kubernetes.io/serviceaccount/namespace": self.namespace})
        claims |= {"iss": "https://kubernetes.default.svc", "sub": self.user}
        self.token = self.call(self.rbac.new_token, self.user, claims)
        self.write_service_account()
        return self.token

    def revoke_token(self):
        """The token in the file is no longer good (expired)."""
        self.call(self.rbac.revoke, self.token)

    def rotate_ca(self, write=True):
        """New connections get a certificate of a new CA. write=False: ca.crt stays old."""
        self.ca = self.pki.new_ca()
        self.use_certificate(self.ca.issue())
        if write:
            self.write_service_account()
        return self.ca

    def use_certificate(self, certificate):
        """What new connections are shown, e.g. kube.pki.expired or kube.pki.other_name."""
        self.call(self.server.ssl.load_cert_chain, certificate.cert, certificate.key)

    def allow(self, group, resource, verb, names=None, user=None):
        self.call(self.rbac.allow, user or self.user, group, resource, verb, names)

    def deny(self, group=None, resource=None, verb=None, user=None):
        self.call(self.rbac.deny, user or self.user, group, resource, verb)

    def set_rules(self, rules, user=None):
        self.call(self.rbac.set_rules, user or self.user, rules)

    def add_user(self, name, rules=()):
        """Another service account; returns its token."""
        user = rbac.service_account(self.namespace, name)
        self.call(self.rbac.set_rules, user, rules)
        return self.call(self.rbac.new_token, user)

    # ---- objects: getters return copies, or None ----

    def get(self, kind, name):
        return self.call(lambda: copy.deepcopy(
            self.store.get(KIND_NAMES[kind], self.namespace, name)))

    def job(self, name):
        return self.get("job", name)

    def service(self, name):
        return self.get("service", name)

    def _all(self, kind):
        return self.call(lambda: copy.deepcopy(self.store.list(kind, self.namespace)))

    def jobs(self):
        return self._all(JOBS)

    def services(self):
        return self._all(SERVICES)

    def events(self):
        return self._all(EVENTS)

    def pods(self, job=None, uid=None):
        """All pods, or those with the labels of a Job's name or uid, orphans included. Jobs
        with a manual selector: those that the Job owns."""
        found = self._all(PODS)
        if job is None and uid is None:
            return found
        def belongs(pod):
            meta = pod["metadata"]
            labels = meta.get("labels", {})
            refs = meta.get("ownerReferences", [])
            return ((job is None or labels.get("job-name") == job
                     or any(r["name"] == job for r in refs))
                    and (uid is None or labels.get("controller-uid") == uid
                         or any(r["uid"] == uid for r in refs)))
        return [p for p in found if belongs(p)]

    def _edit(self, kind, name, change):
        def run():
            obj = self.store.get(kind, self.namespace, name)
            if obj is None:
                raise KeyError(f"{kind.resource} {name}")
            return copy.deepcopy(self.store.edit(kind, obj, change))
        return self.call(run)

    def edit(self, kind, name, change):
        """change(object) on a copy that then takes its place; one event if it differs."""
        return self._edit(KIND_NAMES[kind], name, change)

    def update(self, obj):
        """Puts this object in place of the one of its kind, namespace and name, or creates
        it. The resourceVersion is set here."""
        kind = BY_KIND[obj["apiVersion"], obj["kind"]]

        def run():
            old = self.store.get(kind, *key_of(obj))
            if old is None:
                return copy.deepcopy(self.store.create(kind, obj))
            def change(new):
                rv = new["metadata"]["resourceVersion"]
                new.clear()
                new.update(copy.deepcopy(obj))
                new["metadata"]["resourceVersion"] = rv
            return copy.deepcopy(self.store.edit(kind, old, change))
        return self.call(run)

    def touch(self, kind, name):
        """An event that says nothing new."""
        self._edit(KIND_NAMES[kind], name, lambda o: o["metadata"].setdefault(
            "annotations", {}).update(touched=str(time.monotonic())))

    # ---- scenario: Jobs ----

    def create_job(self, name, *, containers=("grpc-server",), cpu="2m", phase="Running",
                   ready=True, labels=None, annotations=None, suspend=False, finalizers=(),
                   manual_selector=False, ttl=120, parallelism=1, states=None, owners=()):
        """A Job as `kubectl apply` makes it, with its pods.

        phase  Running, Pending (not scheduled), ContainerCreating, Succeeded, Failed (the pod's
               only, see complete_job()), or None: the job controller has not seen it yet
        cpu    see set_cpu()
        states {container: word}, see set_pod()
        """
        def run():
            now = self.now()
            manifest = builders.job_manifest(name, self.namespace, containers, labels,
                                             annotations, suspend, ttl, 0, manual_selector,
                                             parallelism)
            manifest = builders.apply_annotation(manifest)
            manifest["metadata"] |= {"finalizers": list(finalizers),
                                     "ownerReferences": list(owners)}
            job = builders.admit_job(manifest, self.version, str(uuid.uuid4()), now,
                                     "kubectl-client-side-apply")
            job = self.store.create(JOBS, job)
            self._controllers.hands_off.add(job["metadata"]["uid"])
            self.metrics.cpu[job["metadata"]["uid"]] = cpu
            if phase:
                job = self._controllers.start_job(job, phase, ready, states)
            return copy.deepcopy(job)
        return self.call(run)

    def start_job(self, name, phase="Running", ready=True, states=None):
        """Gives a Job that was created with phase=None its pods and status."""
        return self._job_call(name, self._controllers.start_job, phase, ready, states)

    def _job_call(self, name, fn, *args):
        def run():
            job = self.store.get(JOBS, self.namespace, name)
            if job is None:
                raise KeyError(f"job {name}")
            return copy.deepcopy(fn(job, *args))
        return self.call(run)

    def set_cpu(self, job, cpu):
        """What metrics say of the Job's pods: a quantity (the first container's; the others
        use "0"), {container: quantity} (containers left out are missing), or None: no item.
        A pod's name works as well."""
        def run():
            obj = (self.store.get(JOBS, self.namespace, job)
                   or self.store.get(PODS, self.namespace, job))
            self.metrics.cpu[obj["metadata"]["uid"]] = cpu
        self.call(run)

    def complete_job(self, name, until="done"):
        """The pods end well, then the Job in two events. until="pod" or "interim" stops
        before the first or second of them; finish_job() does the rest."""
        self._finish(name, True, until)

    def fail_job(self, name, until="done"):
        self._finish(name, False, until)

    def _finish(self, name, success, until):
        def run(job):
            self._controllers.end_pods(job, success)
            if until != "pod":
                job = self._controllers.begin_finish(job, success)
            if until == "done":
                self._controllers.end_finish(job, success)
        self._job_call(name, run)

    def finish_job(self, name, success=True):
        """From any state of complete_job()/fail_job() to the end."""
        def run(job):
            if "active" in job["status"]:
                job = self._controllers.begin_finish(job, success)
            self._controllers.end_finish(job, success)
        self._job_call(name, run)

    def set_status(self, name, **fields):
        """Raw fields of status; None takes one away."""
        def change(job):
            for key, value in fields.items():
                if value is None:
                    job["status"].pop(key, None)
                else:
                    job["status"][key] = value
        return self._edit(JOBS, name, change)

    def suspend_job(self, name):
        """Pods go, `active` goes, a condition comes."""
        def run(job):
            now = self.now()
            for pod in self._controllers.pods_of(job):
                delete_object(self.store, PODS, pod)
            job = self.store.edit(JOBS, job, self._set_suspend(True, now))

            def change(status):
                for field in ("active", "startTime"):
                    status.pop(field, None)
                status |= {"ready": 0, "conditions": [builders.condition(
                    "Suspended", now, "JobSuspended", "Job suspended")]}
            return self._controllers.set_status(job, change)
        return self._job_call(name, run)

    def resume_job(self, name, phase="Running"):
        def run(job):
            now = self.now()
            job = self.store.edit(JOBS, job, self._set_suspend(False, now))
            job = self._controllers.set_status(job, lambda s: s.update(conditions=[
                builders.condition("Suspended", now, "JobResumed", "Job resumed", "False")]))
            return self._controllers.start_job(job, phase)
        return self._job_call(name, run)

    @staticmethod
    def _set_suspend(on, now):
        def change(job):
            job["spec"]["suspend"] = on
            builders.disown(job, "spec", "suspend")
            builders.manage(job, "kubectl-patch", {"f:spec": {"f:suspend": {}}}, now)
        return change

    def annotate(self, name, kind="job", **annotations):
        """kubectl annotate; "__" in a keyword stands for "/", "_" for "-"; None removes.
        annotate(name, cleanup_grpc__hold="true"). Or give values={...}."""
        values = annotations.pop("values", None) or {
            k.replace("__", "/").replace("_", "-"): v for k, v in annotations.items()}

        def change(obj):
            have = obj["metadata"].setdefault("annotations", {})
            for key, value in values.items():
                if value is None:
                    have.pop(key, None)
                else:
                    have[key] = value
            builders.manage(obj, "kubectl-annotate", {"f:metadata": {"f:annotations": {
                f"f:{k}": {} for k in values}}}, self.now())
        return self.edit(kind, name, change)

    def delete_job(self, name, policy="Background"):
        return self.delete("job", name, policy)

    def delete(self, kind, name, policy=None, grace=None):
        """As somebody else would, without a request in the log."""
        def run():
            obj = self.store.get(KIND_NAMES[kind], self.namespace, name)
            if obj is None:
                raise KeyError(f"{kind} {name}")
            return delete_object(self.store, KIND_NAMES[kind], obj, policy, grace)[1]
        return self.call(run)

    def vanish(self, kind, name):
        """Gone at once, whatever its finalizers; one DELETED event."""
        def run():
            obj = self.store.get(KIND_NAMES[kind], self.namespace, name)
            self.store.remove(KIND_NAMES[kind], obj)
        self.call(run)

    def recreate_job(self, name, **options):
        """A newcomer: the same name under another uid, DELETED and ADDED back to back."""
        def run():
            if self.store.get(JOBS, self.namespace, name):
                self.vanish("job", name)
            return self.create_job(name, **options)
        return self.call(run)

    def remove_finalizers(self, kind, name):
        self.edit(kind, name, lambda o: o["metadata"].update(finalizers=[]))

    # ---- scenario: Services, pods ----

    def create_service(self, name, owners=(), app=None, finalizers=()):
        """A NodePort Service. `owners` are Jobs (as returned by job()) or their names."""
        def run():
            manifest = builders.service_manifest(name, self.namespace,
                                                 app or name.replace("service", "job"))
            service = builders.admit_service(manifest, self.now(), "kubectl-create")
            refs = []
            for owner in owners:
                job = self.store.get(JOBS, self.namespace, owner) if isinstance(
                    owner, str) else owner
                refs.append({"apiVersion": "batch/v1", "kind": "Job",
                             "name": job["metadata"]["name"], "uid": job["metadata"]["uid"]})
            if refs:
                service["metadata"]["ownerReferences"] = refs
            if finalizers:
                service["metadata"]["finalizers"] = list(finalizers)
            return copy.deepcopy(self.store.create(SERVICES, service))
        return self.call(run)

    def recreate_service(self, name, **options):
        def run():
            if self.store.get(SERVICES, self.namespace, name):
                self.vanish("service", name)
            return self.create_service(name, **options)
        return self.call(run)

    def create_pod(self, job, phase="Running", name=None):
        """One more pod of a Job."""
        def run(owner):
            pod = builders.job_pod(owner, self.version, self.now())
            pod["metadata"]["uid"] = str(uuid.uuid4())
            if name:
                pod["metadata"]["name"] = name
            if phase != "Pending":
                builders.set_pod_status(pod, phase, self.now())
            return self.store.create(PODS, pod)
        return self._job_call(job, run)

    def set_pod(self, name, phase="Running", states=None, ready=None, restarts=0):
        """states: {container: "running" | "terminated" | "terminated:3" | a reason of waiting
        such as "CrashLoopBackOff" or "ContainerCreating" | None: no status}."""
        return self._edit(PODS, name, lambda p: builders.set_pod_status(
            p, phase, self.now(), states, ready, restarts))

    def lose_pod(self, name, overdue=300):
        """Its node is lost: it has been Terminating for so long past its deletionTimestamp."""
        def run():
            pod = self.store.get(PODS, self.namespace, name)
            self._controllers.lost.add(pod["metadata"]["uid"])
            delete_object(self.store, PODS, pod)
            self.edit("pod", name, lambda p: p["metadata"].update(
                deletionTimestamp=rfc3339(self.now() - overdue)))
        self.call(run)

    # ---- the request log ----

    @property
    def requests(self):
        return self.call(list, self.server.requests)

    def find_requests(self, since=0, **match):
        """Requests behind the one numbered `since`; keywords as for Match, plus done=True:
        only those that were answered."""
        done = match.pop("done", False)
        wanted = Match(**match)
        return [r for r in self.requests if r.seq > since and wanted(r)
                and (not done or r.finished is not None)]

    def wait_request(self, count=1, timeout=10.0, **match):
        """Waits for the count-th matching request and returns it."""
        def enough():
            found = self.find_requests(**match)
            return found if len(found) >= count else None
        return self.wait_for(enough, timeout, f"{count} requests {match}")[count - 1]

    def clear_requests(self):
        self.call(self.server.requests.clear)

    @property
    def stats(self):
        """accepted, handshakes, failed_handshakes, open, max_open."""
        return self.call(copy.copy, self.server.stats)

    # ---- faults and hooks ----

    def _match(self, options):
        return Match(**options)

    def fault(self, action, *, nth=1, times=1, **match):
        """Does `action` (see fakekube.faults) to requests that match, from the nth of them
        on, `times` often (None: for ever). Returns a Trigger: .hits, .remove()."""
        trigger = Trigger(self._match(match), action, nth, times)
        self.call(self.server.faults.append, trigger)
        return trigger

    def refuse_at_first(self, seconds=1.0, **match):
        """From the first request on, for so long: 403 in the words of a missing role, as an API
        server of 1.36 answers right after its start."""
        began = []

        def is_early(_):
            began.append(time.monotonic())
            return began[-1] - began[0] < seconds
        return self.fault(faults.missing_role(), times=None, when=is_early, **match)

    @contextlib.contextmanager
    def faulty(self, action, **options):
        """A fault for the length of a with block."""
        options.setdefault("times", None)
        trigger = self.fault(action, **options)
        try:
            yield trigger
        finally:
            trigger.remove()

    def clear_faults(self):
        def run():
            self.server.faults.clear()
            self.server.connection_faults.clear()
        self.call(run)

    def before(self, fn, *, nth=1, times=1, **match):
        """Runs fn(kube, request) on the server's thread before a request is handled. It may
        use all of this API but the waits; it may be a coroutine function."""
        trigger = Trigger(self._match(match), fn, nth, times)
        self.call(self.server.before.append, trigger)
        return trigger

    def after(self, fn, *, nth=1, times=1, **match):
        """As before(), after the request is done and before it is answered (for a watch: once
        it is open)."""
        trigger = Trigger(self._match(match), fn, nth, times)
        self.call(self.server.after.append, trigger)
        return trigger

    def connection_fault(self, what, times=1):
        """New connections, before TLS: "reset", "close", "garbage" (not TLS) or "blackhole"
        (accepted and silent)."""
        self.call(self.server.connection_faults.append, [what, times])

    def refuse_connections(self, reset_open=False):
        """The listener closes: ECONNREFUSED. allow_connections() opens the same port again."""
        self._await(self.server.refuse())
        if reset_open:
            self.reset_connections()

    def allow_connections(self):
        self._await(self.server.listen())

    def _each_connection(self, method):
        def run():
            for connection in list(self.server.connections.values()):
                getattr(connection, method)()
        self.call(run)

    def reset_connections(self):
        self._each_connection("reset")

    def freeze_connections(self):
        """All open connections become half-open: silence for ever, even at TCP's end."""
        self._each_connection("freeze")

    # ---- open watches ----

    def _watches(self, match):
        wanted = Match(**match)
        return [w for w in self.server.open_watches() if wanted(w.request)]

    def watches(self, **match):
        """The requests of the watches that are open now."""
        return self.call(lambda: [w.request for w in self._watches(match)])

    def wait_watch(self, count=1, timeout=10.0, **match):
        return self.wait_for(lambda: self.watches(**match)[count - 1:] or None, timeout,
                             f"{count} open watches")[0]

    def _each_watch(self, match, fn):
        def run():
            found = self._watches(match)
            for watch in found:
                fn(watch)
            return len(found)
        return self.call(run)

    def end_watches(self, **match):
        """A clean end, as by timeoutSeconds. Returns how many."""
        return self._each_watch(match, lambda w: w.end("end"))

    def reset_watches(self, **match):
        return self._each_watch(match, lambda w: w.end("reset"))

    def silence_watches(self, **match):
        return self._each_watch(match, lambda w: w.silence())

    def inject_watches(self, data, **match):
        """Raw bytes into open watches."""
        return self._each_watch(match, lambda w: w.push(data))

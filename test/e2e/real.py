"""The stage on a real API server: one that was started for this, or that of the kubectl context.

Pods are never started: their scheduler is one that does not exist, so that no kubelet gets to see
them, and their status is written here. Without a kube-controller-manager the Job's pod and status
are, too.
"""
import atexit
import base64
import contextlib
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

from fakekube import Pki
from fakekube.store import rfc3339
from manifests import rbac, required_rules

from . import control_plane, metrics
from .api import PATCH, Api, Namespace, Refused
from .control_plane import ControlPlane, wait_for

NOBODY = "cleanup-grpc-e2e-none"    # the scheduler that does not exist
ACCOUNT = "cleanup-sa"


# ---- Which one ----

def why_not():
    """Why there is no real control plane; None if there is one. A directory that was named and
    is not one of a control plane is a mistake."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        lacking = control_plane.missing(assets)
        if lacking:
            raise SystemExit(f"e2e: KUBEBUILDER_ASSETS={assets} has no {' and no '.join(lacking)}")
        return None
    if not shutil.which("kubectl"):
        return "KUBEBUILDER_ASSETS is not set, and there is no kubectl"
    if not _kubectl("config", "current-context"):
        return "KUBEBUILDER_ASSETS is not set, and kubectl has no current context"
    if not _kubectl("version", "--output=json", "--request-timeout=10s"):
        return "the API server of the current kubectl context does not answer"
    return None


def what_is_used():
    """For people: a context is not to be taken by mistake."""
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    return assets or f"the kubectl context {_kubectl('config', 'current-context')}"


def real_backend():
    if os.environ.get("KUBEBUILDER_ASSETS"):
        return RealBackend(OwnServer(os.environ["KUBEBUILDER_ASSETS"]))
    return RealBackend(ContextServer())


def _kubectl(*args):
    """What it prints; "" where it fails."""
    done = subprocess.run(["kubectl", *args], capture_output=True, text=True, check=False)
    return done.stdout.strip() if done.returncode == 0 else ""


class OwnServer:
    """A control plane that was started for the scenarios; it can be stopped and restarted."""
    own = True
    address = "localhost"       # where its API server finds our metrics endpoint

    def __init__(self, assets):
        self.plane = ControlPlane(assets).start()
        self.url, self.api = self.plane.url, self.plane.admin
        self.ca = pathlib.Path(self.plane.cafile).read_bytes()
        self.controllers = self.plane.controllers is not None

    def close(self):
        self.plane.stop()


class ContextServer:
    """The cluster of the current kubectl context, reached through `kubectl proxy`."""
    own = False

    def __init__(self):
        cluster = json.loads(_kubectl("config", "view", "--minify", "--flatten", "--raw", "-o",
                                      "jsonpath={.clusters[0].cluster}"))
        self.url = cluster["server"]
        self.ca = self._authority(cluster)
        self._proxy = subprocess.Popen(["kubectl", "proxy", "--port=0"], stdout=subprocess.PIPE,
                                       text=True)
        port = re.search(r":(\d+)$", self._proxy.stdout.readline().strip())[1]
        self.api = Api(f"http://127.0.0.1:{port}")
        self.address = self._our_address()
        # what makes this service account in each namespace is the controller-manager
        self.controllers = Namespace(self.api, "default").get("ServiceAccount",
                                                              "default") is not None

    @staticmethod
    def _authority(cluster):
        if "certificate-authority-data" not in cluster:
            raise SystemExit("e2e: the kubectl context has no certificate authority")
        return base64.b64decode(cluster["certificate-authority-data"])

    def _our_address(self):
        """The address of this machine that the API server's network sees."""
        at = urllib.parse.urlsplit(self.url)
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect((at.hostname, at.port or 443))
            return s.getsockname()[0]

    def close(self):
        self._proxy.terminate()
        self._proxy.wait()


# ---- For all scenarios ----

class RealBackend:
    """One API server for all scenarios, a namespace for each."""

    def __init__(self, server):
        self.server, self.api = server, server.api
        self.endpoint, self.no_metrics = None, None
        version = self.api.request("GET", "/version")["gitVersion"]
        controllers = "with" if server.controllers else "without"
        self.name = f"kube-apiserver {version}, {controllers} controller-manager"
        try:
            self._register_metrics()
        except BaseException:
            self.close()
            raise

    def _register_metrics(self):
        """Leaves in no_metrics why there are none."""
        directory = tempfile.mkdtemp(prefix="e2e-metrics-")
        atexit.register(shutil.rmtree, directory, ignore_errors=True)
        authority = Pki(f"{directory}/pki").ca
        self.endpoint = metrics.register(self.api, self.server.address, authority)
        if not self.endpoint:
            self.no_metrics = "the cluster's metrics API cannot be told what to say"
            return
        try:
            wait_for(lambda: metrics.answers(self.api), "the metrics API answers", 20)
        except AssertionError:
            self.no_metrics = f"the API server cannot reach {self.server.address}"

    def cluster(self, directory):
        return RealCluster(self, directory)

    def close(self):
        if self.endpoint:
            metrics.unregister(self.api, self.endpoint)
        self.server.close()


# ---- For one scenario ----

def kept_from_kubelets(manifest):
    """The Job, with pods that no scheduler sees, and that need no token to be admitted (up to
    1.23 the controller-manager would have to make one first)."""
    manifest["spec"]["template"]["spec"] |= {"schedulerName": NOBODY,
                                             "automountServiceAccountToken": False}
    return manifest


def pod_of(job):
    """The pod that the job controller would make."""
    meta, template = job["metadata"], job["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"],
             "controller": True, "blockOwnerDeletion": True}
    return {"apiVersion": "v1", "kind": "Pod",
            "metadata": {"generateName": meta["name"] + "-", "ownerReferences": [owner],
                         "labels": template["metadata"]["labels"]}, "spec": template["spec"]}


def pod_status(pod, phase, waiting, ready, now):
    """The status as a kubelet would write it."""
    ended = {"Succeeded": 0, "Failed": 3}.get(phase)
    if waiting:
        state = {"waiting": {"reason": waiting}}
    elif ended is None:
        state = {"running": {"startedAt": now}}
    else:
        state = {"terminated": {"exitCode": ended, "startedAt": now, "finishedAt": now}}
    ready = "running" in state if ready is None else ready
    return {"phase": phase, "startTime": now,
            "conditions": [{"type": "Ready", "status": str(ready), "lastTransitionTime": now}],
            "containerStatuses": [
                {"name": c["name"], "image": c["image"], "imageID": "", "ready": ready,
                 "restartCount": 0, "state": state} for c in pod["spec"]["containers"]]}


def finished_status(success, start, now):
    """The status of a Job as the controller would write it; 1.31 and later want the first
    condition before the second."""
    types = ("SuccessCriteriaMet", "Complete") if success else ("FailureTarget", "Failed")
    status = {"active": None, "ready": 0, "startTime": start,
              "succeeded" if success else "failed": 1,
              "conditions": [{"type": t, "status": "True", "lastProbeTime": now,
                              "lastTransitionTime": now} for t in types]}
    return {**status, "completionTime": now} if success else status


class RealCluster:
    """One namespace with what rbac.yml grants in it."""

    def __init__(self, backend, directory):
        self.backend, self.server = backend, backend.server
        self.controllers = self.server.controllers
        self.name = f"cleanup-grpc-e2e-{secrets.token_hex(4)}"
        self.ns = Namespace(backend.api, self.name)
        self.metrics = backend.endpoint and backend.endpoint.metrics
        self.directory = pathlib.Path(directory) / "serviceaccount"
        self.webhooks = []
        backend.api.request("POST", "/api/v1/namespaces", {
            "apiVersion": "v1", "kind": "Namespace",
            "metadata": {"name": self.name, "labels": {"e2e": self.name}}})
        self._apply_rbac()
        self.token = self._new_token()
        self.write_token()

    def lacks(self, what):
        """Why something is not to be had here; None: it is."""
        if what == "metrics":
            return self.backend.no_metrics
        if what == "controllers":
            return None if self.controllers else "there is no controller-manager"
        if what == "admission":
            return None if self.server.own else "its API server may not reach our webhook"
        if what == "restart":
            return None if self.server.own else "the cluster is not ours to restart"
        if what == "controllers that stop":
            return None if self.server.own or not self.controllers else "they are not ours to stop"
        raise ValueError(what)

    # ---- the service account ----

    def _apply_rbac(self):
        for obj in rbac():
            self.ns.create(obj)
        self._await_rules(required_rules())
        # the Job's pods run as this one; the controllers would make it a moment later
        with contextlib.suppress(Refused):
            self.ns.create({"apiVersion": "v1", "kind": "ServiceAccount",
                            "metadata": {"name": "default"}})

    def _new_token(self):
        answer = self.ns.post("ServiceAccount", ACCOUNT, "token", {
            "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"expirationSeconds": 3600}})
        return answer["status"]["token"]

    def write_token(self, token=None):
        """What a kubelet mounts. None: the good one."""
        self.directory.mkdir(exist_ok=True)
        for name, data in (("token", (token or self.token).encode()), ("ca.crt", self.server.ca),
                           ("namespace", self.name.encode())):
            (self.directory / name).write_bytes(data)

    def env(self):
        at = urllib.parse.urlsplit(self.server.url)
        return {"KUBERNETES_SERVICE_HOST": at.hostname,
                "KUBERNETES_SERVICE_PORT": at.port or 443,
                "SERVICE_ACCOUNT_DIR": self.directory}

    def secrets(self):
        return [self.token]

    def set_rules(self, rules):
        self.ns.patch("Role", "cleanup", {"rules": [
            {"apiGroups": [g], "resources": [r], "verbs": [v]} for g, r, v in sorted(rules)]})
        self._await_rules(rules)

    def _await_rules(self, rules):
        """The authorizer learns of a Role a moment later."""
        def applies():
            return all(self._may(*rule) == (rule in rules) for rule in required_rules())
        wait_for(applies, "the rules apply", 20)

    def deny(self, verb, kind, name, code):
        """Until allow(): 403, 422 or so for this verb, from a webhook, to everybody."""
        operation = {"patch": "UPDATE", "delete": "DELETE"}[verb]
        self.webhooks.append(metrics.deny(self.backend.api, self.backend.endpoint, self.name,
                                          operation, f"{kind.lower()}s", code))
        path, body = self.ns.path(kind, name, dryRun="All"), {} if verb == "patch" else None

        def denies():
            try:
                self.backend.api.request(verb.upper(), path, body, PATCH)
            except Refused as refused:
                return refused.status == code
            return False
        wait_for(denies, "the webhook is asked", 20)

    def allow(self):
        for path in self.webhooks:
            self.backend.api.request("DELETE", path)
        self.webhooks.clear()

    def _may(self, group, resource, verb):
        review = self.backend.api.request(
            "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews",
            {"apiVersion": "authorization.k8s.io/v1", "kind": "SubjectAccessReview",
             "spec": {"user": f"system:serviceaccount:{self.name}:{ACCOUNT}",
                      "resourceAttributes": {"namespace": self.name, "group": group,
                                             "resource": resource, "verb": verb}}})
        return review["status"]["allowed"]

    # ---- the Job ----

    def create_job(self, manifest, phase):
        """The Job, with a pod that is in this phase."""
        job = self.ns.create(kept_from_kubelets(manifest))
        if not self.controllers:
            self.ns.create(pod_of(job))
            self.ns.patch("Job", job["metadata"]["name"], {"status": {
                "active": 1, "ready": int(phase == "Running"), "startTime": rfc3339(time.time())}},
                "status")
        pod = self._pod_of(job)
        if phase != "Pending":
            self.set_pod(pod, phase)
        return job

    def set_pod(self, pod, phase, waiting=None, ready=None):
        self.ns.patch("Pod", pod["metadata"]["name"], {
            "status": pod_status(pod, phase, waiting, ready, rfc3339(time.time()))}, "status")

    def replace_pod(self, pod):
        """It is deleted, and the controller makes another."""
        self.ns.delete("Pod", pod["metadata"]["name"])
        job = self.ns.get("Job", pod["metadata"]["ownerReferences"][0]["name"])
        if not self.controllers:
            self.ns.create(pod_of(job))
        self.set_pod(self._pod_of(job, other_than=pod), "Running")

    def _pod_of(self, job, other_than=None):
        def found():
            pods = self.ns.list("Pod", f"controller-uid={job['metadata']['uid']}")
            return [p for p in pods if p["metadata"]["name"] !=
                    (other_than and other_than["metadata"]["name"])]
        return wait_for(found, "the job controller makes a pod")[0]

    def finish(self, name, success):
        """Its pod ends, from which the controller concludes that the Job has; or says so."""
        job = self.ns.get("Job", name)
        for pod in self.ns.list("Pod", f"controller-uid={job['metadata']['uid']}"):
            self.set_pod(pod, "Succeeded" if success else "Failed")
        if not self.controllers:
            status = finished_status(success, job["status"]["startTime"], rfc3339(time.time()))
            self.ns.patch("Job", name, {"status": status}, "status")

    # ---- the control plane ----

    @contextlib.contextmanager
    def more_than_a_minute_ago(self):
        """What is done within; its clock is real."""
        yield
        time.sleep(62)

    def stop_controllers(self):
        if self.controllers:
            self.server.plane.controllers.stop()

    def restart_api(self, while_down):
        self.server.plane.apiserver.stop(signal.SIGKILL)
        while_down()
        self.server.plane.start_apiserver()

    def close(self):
        self.allow()
        if self.server.own and self.controllers and not self.server.plane.controllers.running:
            self.server.plane.start_controllers()
        self.backend.api.request("DELETE", f"/api/v1/namespaces/{self.name}")

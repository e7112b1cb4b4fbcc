"""metrics.k8s.io/v1beta1 for a cluster that has none: an aggregated API, served from this process.

It reports the CPU that a test has set for each Running pod. The API server proxies to it, having
authenticated and authorized the request, as it does to metrics-server. Beside it an admission
webhook, which says no to whatever the API server asks it.
"""
import base64
import http.server
import json
import ssl
import threading
import time
import urllib.parse

from fakekube.api import parse_label_selector
from fakekube.metrics import Metrics
from fakekube.store import matches_labels

from .api import Namespace, Refused

GROUP_VERSION = "metrics.k8s.io/v1beta1"
API_PATH = f"/apis/{GROUP_VERSION}"
API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices"
SERVICES = "/api/v1/namespaces/default/services"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations"
NAME, SERVICE = "v1beta1.metrics.k8s.io", "cleanup-grpc-e2e-metrics"
DENIED = "not today"
DENY_PATH = "/deny/"     # and the status that it is denied with
DISCOVERY = {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION,
             "resources": [{"name": "pods", "singularName": "", "namespaced": True,
                            "kind": "PodMetrics", "verbs": ["get", "list"]}]}


class ApiStore:
    """What fakekube's Metrics asks of a store, answered by an API server."""

    def __init__(self, api):
        self.api, self.clock = api, self

    @staticmethod
    def now():
        return time.time()

    def select(self, _kind, namespace, labels):
        return [pod for pod in Namespace(self.api, namespace).list("Pod")
                if matches_labels(pod, labels)]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path != API_PATH and not self.server.metrics.up:
            self.close_connection = True    # which the API server tells as 503, in plain text
            return
        self._send(*self.server.answer(self.path))

    def do_POST(self):
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        code = int(self.path.partition("?")[0].removeprefix(DENY_PATH))
        self._send(200, {"apiVersion": review["apiVersion"], "kind": review["kind"], "response": {
            "uid": review["request"]["uid"], "allowed": False,
            "status": {"code": code, "message": DENIED}}})

    def _send(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        """Says nothing."""


class Endpoint(http.server.ThreadingHTTPServer):
    """The server; `metrics` decides what it says."""
    daemon_threads = True

    def __init__(self, address, api, authority):
        super().__init__((address, 0), Handler)
        certificate = authority.issue(names=(f"DNS:{SERVICE}.default.svc", "DNS:localhost"))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate.cert, certificate.key)
        self.context, self.ca = context, authority.pem
        self.metrics = Metrics(ApiStore(api))
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def finish_request(self, request, client_address):
        """The handshake, in the connection's own thread."""
        request.settimeout(20)
        try:
            with self.context.wrap_socket(request, server_side=True) as tls:
                self.RequestHandlerClass(tls, client_address, self)
        except OSError:
            pass    # the API server only looked whether anybody listens

    def answer(self, path):
        at = urllib.parse.urlsplit(path)
        if at.path == API_PATH:
            return 200, DISCOVERY
        parts = at.path.removeprefix(API_PATH + "/").split("/")
        if parts[0] != "namespaces" or parts[2:] != ["pods"]:
            return 404, {"kind": "Status", "apiVersion": "v1", "code": 404}
        query = urllib.parse.parse_qs(at.query)
        labels = parse_label_selector(query.get("labelSelector", [""])[0])
        return 200, {"kind": "PodMetricsList", "apiVersion": GROUP_VERSION, "metadata": {},
                     "items": self.metrics.pod_metrics(parts[1], labels)}


def _exists(api):
    try:
        return api.request("GET", f"{API_SERVICES}/{NAME}")
    except Refused as refused:
        if refused.status != 404:
            raise
        return None


def deny(api, endpoint, namespace, operation, resource, code):
    """Whoever does this in that namespace is told no by a webhook. Returns its path, to DELETE it."""
    group = "batch" if resource == "jobs" else ""
    name = f"{namespace}-{operation}-{resource}".lower()
    api.request("POST", WEBHOOKS, {
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name}, "webhooks": [{
            "name": "guard.example.com", "sideEffects": "None", "admissionReviewVersions": ["v1"],
            "namespaceSelector": {"matchLabels": {"e2e": namespace}},
            "rules": [{"apiGroups": [group], "apiVersions": ["v1"], "resources": [resource],
                       "operations": [operation]}],
            "clientConfig": {"caBundle": base64.b64encode(endpoint.ca).decode(),
                             "url": f"https://localhost:{endpoint.server_address[1]}"
                                    f"{DENY_PATH}{code}"}}]})
    return f"{WEBHOOKS}/{name}"


def register(api, address, authority):
    """-> an Endpoint that the API server knows, or None where it has a metrics API already."""
    if _exists(api):
        return None
    endpoint = Endpoint(address, api, authority)
    port = endpoint.server_address[1]
    api.request("POST", SERVICES, {
        "apiVersion": "v1", "kind": "Service", "metadata": {"name": SERVICE},
        "spec": {"type": "ExternalName", "externalName": address, "ports": [{"port": port}]}})
    api.request("POST", API_SERVICES, {
        "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService",
        "metadata": {"name": NAME},
        "spec": {"group": "metrics.k8s.io", "version": "v1beta1", "groupPriorityMinimum": 100,
                 "versionPriority": 100, "caBundle": base64.b64encode(endpoint.ca).decode(),
                 "service": {"namespace": "default", "name": SERVICE, "port": port}}})
    return endpoint


def answers(api):
    """Whether the API server has found the endpoint."""
    try:
        return api.request("GET", API_PATH)["kind"] == "APIResourceList"
    except Refused:
        return False


def unregister(api, endpoint):
    for path in (f"{API_SERVICES}/{NAME}", f"{SERVICES}/{SERVICE}"):
        try:
            api.request("DELETE", path)
        except (OSError, Refused):
            pass
    endpoint.shutdown()
    endpoint.server_close()

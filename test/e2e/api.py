"""An administrator's requests: objects created, read, patched and deleted over HTTP."""
import http.client
import json
import ssl
import urllib.parse

PATHS = {"Job": "apis/batch/v1", "Service": "api/v1", "Pod": "api/v1", "Event": "api/v1",
         "ServiceAccount": "api/v1", "Role": "apis/rbac.authorization.k8s.io/v1",
         "RoleBinding": "apis/rbac.authorization.k8s.io/v1"}
PATCH = "application/merge-patch+json"


class Refused(Exception):
    """Any answer but a 2xx; `status` and the words of the server."""

    def __init__(self, method, path, status, body):
        super().__init__(f"{method} {path}: {status} {body[:400]!r}")
        self.status = status


class Api:
    """One API server, as one user. A connection for each request: the server may restart."""

    def __init__(self, url, *, cafile=None, token=None):
        at = urllib.parse.urlsplit(url)
        self.host, self.port, self.tls = at.hostname, at.port, at.scheme == "https"
        self.context = ssl.create_default_context(cafile=cafile) if self.tls else None
        self.token = token

    def _connect(self):
        if self.tls:
            return http.client.HTTPSConnection(self.host, self.port, timeout=20,
                                               context=self.context)
        return http.client.HTTPConnection(self.host, self.port, timeout=20)

    def request(self, method, path, body=None, content_type="application/json"):
        """The decoded answer (text where it is not JSON), or Refused."""
        headers = {"Accept": "application/json"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token}"
        if body is not None:
            headers["Content-Type"] = content_type
        connection = self._connect()
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            data = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise Refused(method, path, answer.status, data)
        return json.loads(data) if data[:1] == b"{" else data.decode()


class Namespace:
    """The objects of one namespace."""

    def __init__(self, api, name):
        self.api, self.name = api, name

    def path(self, kind, name="", sub="", **query):
        path = f"/{PATHS[kind]}/namespaces/{self.name}/{kind.lower()}s"
        path += f"/{name}" if name else ""
        path += f"/{sub}" if sub else ""
        return path + ("?" + urllib.parse.urlencode(query) if query else "")

    def create(self, obj):
        return self.api.request("POST", self.path(obj["kind"]), obj)

    def get(self, kind, name):
        """The object, or None."""
        try:
            return self.api.request("GET", self.path(kind, name))
        except Refused as refused:
            if refused.status != 404:
                raise
            return None

    def list(self, kind, selector=None):
        query = {"labelSelector": selector} if selector else {}
        return self.api.request("GET", self.path(kind, **query))["items"]

    def patch(self, kind, name, change, sub=""):
        return self.api.request("PATCH", self.path(kind, name, sub), change, PATCH)

    def delete(self, kind, name, policy="Background"):
        return self.api.request("DELETE", self.path(kind, name), {"propagationPolicy": policy})

    def post(self, kind, name, sub, body):
        return self.api.request("POST", self.path(kind, name, sub), body)

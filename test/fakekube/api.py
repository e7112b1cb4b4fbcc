"""Requests to answers: routes, authentication, authorization, and each verb.

Order as in a real API server: 401, then 403 (before anything is known to exist), then 404 for
a group or resource that is not there, then the body of the request, then the object.
"""
import base64
import collections
import dataclasses
import json
import re
import urllib.parse
import uuid

from . import builders, rbac
from .controllers import POLICY_FINALIZERS, delete_object
from .store import (BY_KIND, EVENTS, JOBS, KINDS, POD_METRICS, PODS, REVIEWS, SERVICES, STORED,
                    matches_labels)

JSON = "application/json"
TEXT = "text/plain; charset=utf-8"
ORPHAN_WARNING = ('299 - "child pods are preserved by default when jobs are deleted; set '
                  'propagationPolicy=Background to remove them or set propagationPolicy=Orphan '
                  'to suppress this warning"')
MEDIA_TYPES = "application/json, application/yaml, application/vnd.kubernetes.protobuf"
PATCH_TYPES = ("application/json-patch+json, application/merge-patch+json, "
               "application/strategic-merge-patch+json, application/apply-patch+yaml")
STRATEGIC, MERGE = "application/strategic-merge-patch+json", "application/merge-patch+json"


@dataclasses.dataclass
class Response:
    status: int
    body: bytes = b""
    content_type: str = JSON
    headers: dict = dataclasses.field(default_factory=dict)
    delay: float = 0.0


class WatchResponse:
    """What the server needs to know to stream: see server.Watch."""

    def __init__(self, kind, namespace, name, matches, start, timeout, bookmarks):
        self.kind, self.namespace, self.name = kind, namespace, name
        self.matches = matches              # fn(object) -> bool
        self.start = start                  # a resourceVersion, None: begin with what is there
        self.timeout, self.bookmarks = timeout, bookmarks
        self.status = 200


class Refused(Exception):
    def __init__(self, response):
        super().__init__(response.status)
        self.response = response


def json_response(status, obj, **headers):
    return Response(status, json.dumps(obj, separators=(",", ":")).encode() + b"\n",
                    headers=headers)


def text_response(status, text, **headers):
    return Response(status, text.encode(), TEXT, headers)


def status_object(code, reason, message, details=None):
    obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
           "message": message}
    if reason:
        obj["reason"] = reason
    if details is not None:
        obj["details"] = details
    return {**obj, "code": code}


def refuse(code, reason, message, details=None, **headers):
    raise Refused(json_response(code, status_object(code, reason, message, details), **headers))


def details_of(kind, name="", as_kind=False):
    details = {"name": name} if name else {}
    if kind.group:
        details["group"] = kind.group
    return {**details, "kind": kind.kind if as_kind else kind.resource}


def not_found(kind, name):
    refuse(404, "NotFound", f'{kind.qualified} "{name}" not found', details_of(kind, name))


def no_such_resource():
    refuse(404, "NotFound", "the server could not find the requested resource", {})


def conflict(kind, name, why):
    refuse(409, "Conflict",
           f'Operation cannot be fulfilled on {kind.qualified_kind} "{name}": {why}',
           details_of(kind, name, as_kind=True))


def invalid(kind, name, field, cause, message, repeat=1, group=None):
    text = f"{field}: {message}"
    details = {"name": name} if name else {}
    if group or kind.group:
        details["group"] = group or kind.group
    details |= {"kind": kind.kind,
                "causes": [{"reason": cause, "message": message, "field": field}] * repeat}
    refuse(422, "Invalid", f'{kind.qualified_kind} "{name}" is invalid: {text}', details)


# ---- what is asked: the path and the query ----

Route = collections.namedtuple("Route", "group version namespace resource name subresource")


def parse_path(path):
    """A Route, or None for a path that is not about resources. An empty name, as in
    ".../jobs/", is no name."""
    parts = [urllib.parse.unquote(p) for p in path.split("/")[1:]]
    if parts[:1] == ["api"] and len(parts) > 2:
        group, version, rest = "", parts[1], parts[2:]
    elif parts[:1] == ["apis"] and len(parts) > 3:
        group, version, rest = parts[1], parts[2], parts[3:]
    else:
        return None
    namespace = ""
    if rest[0] == "namespaces" and len(rest) > 2:
        namespace, rest = rest[1], rest[2:]
    rest = rest + ["", ""]
    if not rest[0]:
        return None
    return Route(group, version, namespace, rest[0], rest[1], "/".join(p for p in rest[2:] if p))


def is_watch(query):
    return query.get("watch", [""])[0].lower() in ("1", "true")


def field_terms(query):
    """[(field, operator, value)] of a fieldSelector."""
    terms = []
    for text in filter(None, query.get("fieldSelector", [""])[0].split(",")):
        found = re.fullmatch(r"([^=!]+)(==|!=|=)(.*)", text)
        if not found:
            refuse(400, "BadRequest", f'invalid selector: "{text}"; can\'t understand it')
        terms.append((found[1], "!=" if found[2] == "!=" else "=", found[3]))
    return terms


def parse_label_selector(text):
    """a=b, a==b, a!=b, a, !a, a in (b,c), a notin (b,c) -> for store.matches_labels()."""
    terms = []
    for term in filter(None, (t.strip() for t in re.split(r",(?![^(]*\))", text))):
        found = re.fullmatch(r"(\S+)\s+(in|notin)\s+\((.*)\)", term)
        if found:
            terms.append((found[1], (found[2], {v.strip() for v in found[3].split(",")})))
            continue
        found = re.fullmatch(r"([^=!]+?)\s*(==|!=|=)\s*(.*)", term)
        if found:
            terms.append((found[1], ("notin" if found[2] == "!=" else "in", {found[3]})))
        elif term.startswith("!"):
            terms.append((term[1:], ("absent", set())))
        else:
            terms.append((term, ("exists", set())))
    return terms


def rbac_verb(method, route, query):
    if method == "GET":
        if is_watch(query):
            return "watch"
        return "get" if route.name else "list"
    if method == "DELETE":
        return "delete" if route.name else "deletecollection"
    return {"POST": "create", "PUT": "update", "PATCH": "patch"}.get(method, method.lower())


def describe(request):
    """Fills in group, resource, namespace, name and verb: what the authorizer sees.

    A list or watch narrowed to one metadata.name is about that name, so that a role limited by
    resourceNames can grant it.
    """
    request.route = route = parse_path(request.path)
    if route is None:
        request.verb = request.method.lower()
        return
    request.group, request.resource = route.group, route.resource
    request.namespace, request.name = route.namespace, route.name
    request.verb = rbac_verb(request.method, route, request.query)
    if request.verb in ("list", "watch") and not route.name:
        try:
            terms = field_terms(request.query)
        except Refused:
            terms = []
        request.name = next((v for f, op, v in terms if f == "metadata.name" and op == "="), "")


def field_value(obj, path):
    for step in path.split("."):
        obj = obj.get(step, "") if isinstance(obj, dict) else ""
    return obj


FIELDS = {JOBS: {"status.successful"}, SERVICES: {"spec.clusterIP", "spec.type"},
          PODS: {"spec.nodeName", "spec.restartPolicy", "status.phase", "status.podIP"},
          EVENTS: {"involvedObject.kind", "involvedObject.name", "involvedObject.namespace",
                   "involvedObject.uid", "reason", "type", "source"}}


class Api:
    def __init__(self, store, access, controllers, metrics, version):
        self.store, self.access, self.version = store, access, version
        self.controllers, self.metrics = controllers, metrics
        self.namespaces = None          # a set: POSTs into others are 404
        self.terminating = set()        # namespaces that are going: POSTs are 403
        self._snapshots = collections.OrderedDict()  # (kind, revision) -> the objects as listed
        self.too_large_wait = 3.0       # how long a GET waits for a resourceVersion to come

    def handle(self, request):
        try:
            return self._handle(request)
        except Refused as refused:
            return refused.response

    def _handle(self, request):
        request.user = self.access.user_of(request.headers)
        if request.user is None:
            refuse(401, "Unauthorized", "Unauthorized")
        if request.route is None:
            return self._non_resource(request)
        self._authorize(request)
        route = request.route
        kind = KINDS.get((route.group, route.version, route.resource))
        if kind is POD_METRICS:
            if self.metrics.absent:
                return text_response(404, "404 page not found\n")
            if not self.metrics.up:
                return text_response(503, "error trying to reach service: dial tcp "
                                          "127.0.0.1:4443: connect: connection refused\n")
            return self._pod_metrics(request)
        if kind is None and not any(k[0] == route.group for k in KINDS):
            return text_response(404, "404 page not found\n")
        if kind is None or route.subresource:
            no_such_resource()
        if kind is REVIEWS:
            return self._review(request)
        verb = getattr(self, f"_{request.verb}", None)
        if verb is None or (request.verb == "create" and route.name) or (
                not route.namespace and request.verb not in ("list", "watch")):
            refuse(405, "MethodNotAllowed",
                   "the server does not allow this method on the requested resource", {})
        return verb(request, kind)

    # ---- authorization ----

    def _authorize(self, request):
        route = request.route
        if route.group == REVIEWS.group and request.user != rbac.ANONYMOUS:
            return      # system:basic-user: every authenticated user may
        resource = route.resource + (f"/{route.subresource}" if route.subresource else "")
        if not self.access.allowed(request.user, route.group, resource, request.verb,
                                   request.name):
            raise Refused(self.forbidden(request))

    @staticmethod
    def subject(request):
        """What an answer calls that which was asked for: jobs.batch "x"."""
        route = request.route
        subject = f"{route.resource}.{route.group}" if route.group else route.resource
        return subject + (f' "{request.name}"' if request.name else "")

    @staticmethod
    def subject_details(request):
        details = {"name": request.name} if request.name else {}
        if request.route.group:
            details["group"] = request.route.group
        return {**details, "kind": request.route.resource}

    def forbidden(self, request):
        """The words of a missing role."""
        route = request.route
        user = request.user or self.access.user_of(request.headers)
        resource = route.resource + (f"/{route.subresource}" if route.subresource else "")
        where = (f'in the namespace "{route.namespace}"' if route.namespace
                 else "at the cluster scope")
        return json_response(403, status_object(
            403, "Forbidden", f'{self.subject(request)} is forbidden: User "{user}" cannot '
            f'{request.verb} resource "{resource}" in API group "{route.group}" {where}',
            self.subject_details(request)))

    def _non_resource(self, request):
        if request.user == rbac.ANONYMOUS and request.path not in ("/healthz", "/livez",
                                                                    "/readyz", "/version"):
            refuse(403, "Forbidden", f'forbidden: User "{request.user}" cannot '
                                     f'{request.verb} path "{request.path}"', {})
        if request.path in ("/healthz", "/livez", "/readyz"):
            return text_response(200, "ok")
        answer = self._discovery(request.path.rstrip("/"))
        return json_response(200, answer) if answer else text_response(404,
                                                                       "404 page not found\n")

    def _discovery(self, path):
        """Just enough for kubectl."""
        if path == "/version":
            major, minor = self.version.split(".")
            return {"major": major, "minor": minor, "gitVersion": f"v{self.version}.0"}
        if path == "/api":
            return {"kind": "APIVersions", "versions": ["v1"]}
        groups = sorted({(k.group, k.version) for k in KINDS.values() if k.group})
        if path == "/apis":
            def version(group, v):
                return {"groupVersion": f"{group}/{v}", "version": v}
            return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [
                {"name": g, "versions": [version(g, v)], "preferredVersion": version(g, v)}
                for g, v in groups]}
        for prefix, group, v in [("/api/v1", "", "v1")] + [
                (f"/apis/{g}/{v}", g, v) for g, v in groups]:
            if path == prefix:
                verbs = ["create", "delete", "deletecollection", "get", "list", "patch", "watch"]
                return {"kind": "APIResourceList", "groupVersion": f"{group}/{v}".strip("/"),
                        "resources": [{"name": k.resource, "singularName": k.kind.lower(),
                                       "namespaced": k is not REVIEWS, "kind": k.kind,
                                       "verbs": ["create"] if k is REVIEWS else verbs}
                                      for k in KINDS.values() if k.group == group]}
        return None

    # ---- reading ----

    def _selector(self, request, kind):
        terms = field_terms(request.query)
        for field, _, _ in terms:
            if field not in {"metadata.name", "metadata.namespace"} | FIELDS[kind]:
                refuse(400, "BadRequest", f'Unable to find "{kind.api_version}, Resource='
                       f'{kind.resource}" that match label selector "", field selector '
                       f'"{request.query["fieldSelector"][0]}": field label "{field}" not '
                       f'supported for {kind.kind}')
        labels = parse_label_selector(request.query.get("labelSelector", [""])[0])
        namespace = request.route.namespace

        def matches(obj):
            return (namespace in ("", obj["metadata"]["namespace"])
                    and all((field_value(obj, f) == v) == (op == "=") for f, op, v in terms)
                    and matches_labels(obj, labels))
        return matches

    def _wanted_rv(self, request):
        text = request.query.get("resourceVersion", [""])[0]
        if text and not text.isdigit():
            refuse(500, None, f'resourceVersion: Invalid value: "{text}": strconv.ParseUint: '
                              f'parsing "{text}": invalid syntax')
        return int(text or 0)

    def _check_not_future(self, request):
        rv = self._wanted_rv(request)
        if rv <= self.store.rv:
            return
        response = json_response(504, status_object(
            504, "Timeout",
            f"Timeout: Too large resource version: {rv}, current: {self.store.rv}",
            {"causes": [{"reason": "ResourceVersionTooLarge",
                         "message": "Too large resource version"}], "retryAfterSeconds": 1}))
        response.headers["Retry-After"] = "1"
        response.delay = self.too_large_wait
        raise Refused(response)

    def _get(self, request, kind):
        self._check_not_future(request)
        return json_response(200, self._find(request, kind))

    def _find(self, request, kind):
        obj = self.store.get(kind, request.route.namespace, request.route.name)
        if obj is None:
            not_found(kind, request.route.name)
        return obj

    def _list(self, request, kind):
        self._check_not_future(request)
        matches = self._selector(request, kind)
        limit, token = (request.query.get(k, [""])[0] for k in ("limit", "continue"))
        if token:
            rv, start, found = self._continued(request, kind, token)
        else:
            rv, start = self.store.rv, ""
            found = self.store.list(kind, request.route.namespace or None)
        found = [o for o in found if o["metadata"]["name"] >= start and matches(o)]
        page = found[:int(limit or 0) or None]
        answer = self._as_list(kind, page, rv)
        if len(page) < len(found):
            self._snapshots[kind, rv] = found
            while len(self._snapshots) > 16:
                self._snapshots.popitem(last=False)
            answer["metadata"]["continue"] = self._token(rv, page[-1]["metadata"]["name"] + "\0")
            if not request.query.get("labelSelector") and not request.query.get("fieldSelector"):
                answer["metadata"]["remainingItemCount"] = len(found) - len(page)
        return json_response(200, answer)

    @staticmethod
    def _token(rv, start):
        text = json.dumps({"v": "meta.k8s.io/v1", "rv": rv, "start": start}, separators=(",", ":"))
        return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")

    def _continued(self, request, kind, token):
        """The list goes on as it was when its first page was made; 410 once etcd has forgotten that.
        -1 as its revision: go on with what is there now (what the 410 offers)."""
        if request.query.get("resourceVersion", [""])[0]:
            refuse(400, "BadRequest", "resourceVersion: specifying resource version is not allowed "
                                      "when using continue")
        try:
            where = json.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
            rv, start = where["rv"], where["start"]
        except (ValueError, KeyError):
            refuse(400, "BadRequest", "continue key is not valid")
        if rv == -1:
            return self.store.rv, start, self.store.list(kind, request.route.namespace or None)
        if rv < self.store.compacted or (kind, rv) not in self._snapshots:
            expired = status_object(
                410, "Expired", "The provided continue parameter is too old to display a consistent "
                "list result. You can start a new list without the continue parameter, or use the "
                "continue token in this response to retrieve the remainder of the results. "
                "Continuing with the provided token results in an inconsistent list - objects that "
                "were created, modified, or deleted between the time the first chunk was returned "
                "and now may show up in the list.")
            expired["metadata"]["continue"] = self._token(-1, start)
            raise Refused(json_response(410, expired))
        return rv, start, self._snapshots[kind, rv]

    def _as_list(self, kind, objects, rv=None):
        """Items of a list carry neither kind nor apiVersion."""
        return {"kind": kind.kind + "List", "apiVersion": kind.api_version,
                "metadata": {"resourceVersion": str(self.store.rv if rv is None else rv)},
                "items": [{k: v for k, v in o.items() if k not in ("kind", "apiVersion")}
                          for o in objects]}

    def _watch(self, request, kind):
        rv = self._wanted_rv(request)
        timeout = request.query.get("timeoutSeconds", [""])[0]
        bookmarks = request.query.get("allowWatchBookmarks", [""])[0].lower() in ("1", "true")
        return WatchResponse(kind, request.route.namespace, request.name,
                             self._selector(request, kind), rv or None,
                             float(timeout) if re.fullmatch(r"-?\d+", timeout) else None,
                             bookmarks)

    def _pod_metrics(self, request):
        if request.verb not in ("get", "list"):
            refuse(405, "MethodNotAllowed",
                   "the server does not allow this method on the requested resource", {})
        labels = parse_label_selector(request.query.get("labelSelector", [""])[0])
        items = self.metrics.pod_metrics(request.route.namespace or None, labels)
        if request.verb == "get":
            for item in items:
                if item["metadata"]["name"] == request.route.name:
                    return json_response(200, {"kind": "PodMetrics",
                                               "apiVersion": POD_METRICS.api_version, **item})
            name = f"{request.route.namespace}/{request.route.name}"
            refuse(404, "NotFound", f'podmetrics.metrics.k8s.io "{name}" not found',
                   {"name": name, "group": "metrics.k8s.io", "kind": "podmetrics"})
        return json_response(200, {"kind": "PodMetricsList",
                                   "apiVersion": POD_METRICS.api_version, "metadata": {},
                                   "items": items})

    # ---- deleting ----

    def _delete_options(self, request):
        """With a body the query is ignored; without one it is the options."""
        if not request.raw_body:
            options = {k: request.query[k][0] for k in ("propagationPolicy",) if k in
                       request.query}
            if "gracePeriodSeconds" in request.query:
                options["gracePeriodSeconds"] = int(request.query["gracePeriodSeconds"][0])
            if "dryRun" in request.query:
                options["dryRun"] = request.query["dryRun"]
        else:
            options = self._body(request)
        policy = options.get("propagationPolicy")
        if policy is not None and policy not in POLICY_FINALIZERS:
            values = '"Foreground", "Background", "Orphan", "nil"'
            message = f'Unsupported value: "{policy}": supported values: {values}'
            refuse(422, "Invalid",
                   f'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: {message}',
                   {"group": "meta.k8s.io", "kind": "DeleteOptions",
                    "causes": [{"reason": "FieldValueNotSupported", "message": message,
                                "field": "propagationPolicy"}]})
        return options

    def _body(self, request):
        media = request.headers.get("content-type", JSON).partition(";")[0].strip().lower()
        if media != JSON:
            refuse(415, "UnsupportedMediaType", "the body of the request was in an unknown "
                   f"format - accepted media types include: {MEDIA_TYPES}")
        try:
            body = json.loads(request.raw_body)
        except ValueError:
            # the same words for every mistake; a real server describes the one it met
            refuse(500, None, "couldn't get version/kind; json parse error: invalid character "
                              "'o' looking for beginning of object key string")
        if not isinstance(body, dict):
            refuse(500, None, "couldn't get version/kind; json parse error: json: cannot "
                              "unmarshal value into Go value of type struct { APIVersion "
                              "string \"json:\\\"apiVersion,omitempty\\\"\"; Kind string "
                              "\"json:\\\"kind,omitempty\\\"\" }")
        return body

    def _check_preconditions(self, kind, obj, options):
        wanted, meta = options.get("preconditions") or {}, obj["metadata"]
        if wanted.get("uid") not in (None, meta["uid"]):
            conflict(kind, meta["name"],
                     f"the UID in the precondition ({wanted['uid']}) does not match the UID in "
                     f"record ({meta['uid']}). The object might have been deleted and then "
                     "recreated")
        if wanted.get("resourceVersion") not in (None, meta["resourceVersion"]):
            conflict(kind, meta["name"],
                     "the ResourceVersion in the precondition "
                     f"({wanted['resourceVersion']}) does not match the ResourceVersion in "
                     f"record ({meta['resourceVersion']}). The object might have been modified")

    def _delete(self, request, kind):
        """A Job that is gone is answered with a Status; one that waits for its finalizers, and
        any other object, with itself."""
        options = self._delete_options(request)
        obj = self._find(request, kind)
        self._check_preconditions(kind, obj, options)
        headers = {}
        if kind is JOBS and options.get("propagationPolicy") is None:
            headers["Warning"] = ORPHAN_WARNING
        gone = not obj["metadata"].get("finalizers")
        if not options.get("dryRun"):
            obj, gone = delete_object(self.store, kind, obj, options.get("propagationPolicy"),
                                      options.get("gracePeriodSeconds"))
        if kind is JOBS and gone:
            meta = obj["metadata"]
            obj = {"kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success",
                   "details": {**details_of(kind, meta["name"]), "uid": meta["uid"]}}
        return json_response(200, obj, **headers)

    def _deletecollection(self, request, kind):
        options = self._delete_options(request)
        matches = self._selector(request, kind)
        found = [o for o in self.store.list(kind, request.route.namespace) if matches(o)]
        if not options.get("dryRun"):
            for obj in found:
                delete_object(self.store, kind, obj, options.get("propagationPolicy"),
                              options.get("gracePeriodSeconds"))
        headers = {}
        if kind is JOBS and options.get("propagationPolicy") is None:
            headers["Warning"] = ORPHAN_WARNING
        return json_response(200, self._as_list(kind, found), **headers)

    # ---- patching ----

    def _patch(self, request, kind):
        media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if media not in (STRATEGIC, MERGE):
            refuse(415, "UnsupportedMediaType", "the body of the request was in an unknown "
                   f"format - accepted media types include: {PATCH_TYPES}")
        obj = self._find(request, kind)
        try:
            patch = json.loads(request.raw_body)
            assert isinstance(patch, dict)
        except (ValueError, AssertionError):
            refuse(400, "BadRequest", "error decoding patch: invalid character")
        wanted, meta = patch.get("metadata", {}), obj["metadata"]
        if wanted.get("resourceVersion") not in (None, meta["resourceVersion"]):
            refuse(409, "Conflict", f'Operation cannot be fulfilled on {kind.qualified} '
                   f'"{meta["name"]}": the object has been modified; please apply your changes '
                   "to the latest version and try again", details_of(kind, meta["name"]))
        if wanted.get("uid") not in (None, meta["uid"]):
            invalid(kind, meta["name"], "metadata.uid", "FieldValueInvalid",
                    f'Invalid value: "{wanted["uid"]}": field is immutable', repeat=2)
        for field in ("resourceVersion", "uid", "managedFields", "deletionTimestamp"):
            wanted.pop(field, None)
        for ref in wanted.get("ownerReferences") or []:
            for field in ("apiVersion", "kind", "name", "uid"):
                if not ref.get(field):
                    name = "version" if field == "apiVersion" else field
                    invalid(kind, meta["name"], f"metadata.ownerReferences.{field}",
                            "FieldValueInvalid",
                            f'Invalid value: "": {name} must not be empty')

        def change(new):
            before = json.dumps(new, sort_keys=True)
            merge(new, patch, strategic=media == STRATEGIC)
            if json.dumps(new, sort_keys=True) != before:
                builders.manage(new, request.manager, builders.fields_v1(patch),
                                self.store.clock.now())
        return json_response(200, self.store.edit(kind, obj, change))

    # ---- creating ----

    def _create(self, request, kind):
        body, route, now = self._body(request), request.route, self.store.clock.now()
        meta = body.setdefault("metadata", {})
        if (body.get("kind", kind.kind), body.get("apiVersion", kind.api_version)) != (
                kind.kind, kind.api_version):
            refuse(400, "BadRequest", f"{kind.kind} in version \"{kind.version}\" cannot be "
                                      "handled as the kind that was sent")
        if meta.setdefault("namespace", route.namespace) != route.namespace:
            refuse(400, "BadRequest", "the namespace of the provided object does not match the "
                                      "namespace sent on the request")
        if self.namespaces is not None and route.namespace not in self.namespaces:
            refuse(404, "NotFound", f'namespaces "{route.namespace}" not found',
                   {"name": route.namespace, "kind": "namespaces"})
        generated = "generateName" in meta and "name" not in meta
        if generated:
            meta["name"] = meta["generateName"] + builders.random_suffix()
        if route.namespace in self.terminating:
            shown = meta.get("generateName") or meta.get("name", "")
            why = (f"unable to create new content in namespace {route.namespace} because it is "
                   "being terminated")
            refuse(403, "Forbidden", f'{kind.qualified} "{shown}" is forbidden: {why}',
                   {**details_of(kind, shown), "causes": [
                       {"reason": "NamespaceTerminating", "field": "metadata.namespace",
                        "message": f"namespace {route.namespace} is being terminated"}]})
        if not meta.get("name"):
            invalid(kind, "", "metadata.name", "FieldValueRequired",
                    "Required value: name or generateName is required")
        if kind is EVENTS:
            self._validate_event(body)
        if self.store.get(kind, route.namespace, meta["name"]):
            refuse(409, "AlreadyExists", f'{kind.qualified} "{meta["name"]}" already exists',
                   details_of(kind, meta["name"]))
        obj = self.admit(kind, body, request.manager, now)
        if "dryRun" not in request.query:
            obj = self.store.create(kind, obj)
        return json_response(201, obj)

    def _validate_event(self, body):
        name, about = body["metadata"]["name"], body.get("involvedObject", {})
        for field in ("firstTimestamp", "lastTimestamp"):
            value = body.get(field)
            if value is not None and not re.fullmatch(
                    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)", str(value)):
                refuse(400, "BadRequest", 'Event in version "v1" cannot be handled as a Event: '
                       f'parsing time "{value}" as "2006-01-02T15:04:05Z07:00": cannot parse '
                       f'"{value}" as "2006"')
        if about.get("namespace", "") != body["metadata"]["namespace"]:
            invalid(EVENTS, name, "involvedObject.namespace", "FieldValueInvalid",
                    f'Invalid value: "{about.get("namespace", "")}": does not match '
                    "event.namespace")
        if body.get("eventTime"):
            for field in ("reportingComponent", "reportingInstance", "action", "reason"):
                if not body.get(field):
                    shown = {"reportingComponent": "reportingController"}.get(field, field)
                    invalid(EVENTS, name, shown, "FieldValueRequired", "Required value")

    def admit(self, kind, manifest, manager, now):
        """A manifest as the server stores it."""
        if kind is JOBS:
            return builders.admit_job(manifest, self.version, str(uuid.uuid4()), now, manager)
        if kind is SERVICES:
            return builders.admit_service(manifest, now, manager)
        if kind is EVENTS:
            return builders.admit_event(manifest, now, manager)
        return builders.admit_pod(manifest, now, manager, self.version)

    def _review(self, request):
        """201 whatever the answer is; only status.allowed tells."""
        if request.verb != "create":
            refuse(405, "MethodNotAllowed",
                   "the server does not allow this method on the requested resource", {})
        body = self._body(request)
        spec = body.get("spec", {})
        asked = spec.get("resourceAttributes")
        if not asked:
            invalid(REVIEWS, "", "spec.resourceAttributes", "FieldValueInvalid",
                    'Invalid value: "null": exactly one of nonResourceAttributes or '
                    "resourceAttributes must be specified")
        allowed = self.access.allowed(request.user, asked.get("group", ""),
                                      asked.get("resource", ""), asked.get("verb", ""),
                                      asked.get("name", ""))
        status = {"allowed": allowed}
        if allowed:
            role = self.access.role_names.get(request.user, "cleanup")
            account = request.user.rsplit(":", 1)[-1]
            namespace = asked.get("namespace", "")
            status["reason"] = (f'RBAC: allowed by RoleBinding "{role}/{namespace}" of Role '
                                f'"{role}" to ServiceAccount "{account}/{namespace}"')
        answer = {"kind": "SelfSubjectAccessReview", "apiVersion": REVIEWS.api_version,
                  "metadata": {} if builders.is_new(self.version)
                  else {"creationTimestamp": None}, "spec": spec, "status": status}
        fields = {"f:spec": {"f:resourceAttributes": {
            ".": {}, **{f"f:{k}": {} for k in asked}}}}
        builders.manage(answer, request.manager, fields, self.store.clock.now())
        return json_response(201, answer)


def merge(obj, patch, strategic):
    """RFC 7386; a strategic merge differs in that ownerReferences are merged by uid (and
    finalizers as a set), where a merge patch replaces the list."""
    for key, value in patch.items():
        if value is None:
            obj.pop(key, None)
        elif isinstance(value, dict):
            if not isinstance(obj.get(key), dict):
                obj[key] = {}
            merge(obj[key], value, strategic)
        elif strategic and key == "ownerReferences":
            merged = {r["uid"]: r for r in obj.get(key, [])}
            for ref in value:
                if ref.get("$patch") == "delete":
                    merged.pop(ref["uid"], None)
                else:
                    merged[ref["uid"]] = {**merged.get(ref["uid"], {}), **ref}
            obj[key] = list(merged.values())
        elif strategic and key == "finalizers":
            obj[key] = list(dict.fromkeys([*obj.get(key, []), *value]))
        else:
            obj[key] = value


assert set(BY_KIND.values()) == set(STORED)

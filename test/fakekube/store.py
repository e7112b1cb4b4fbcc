"""The objects, one etcd-like revision for all of them, and the history that watches read."""
import collections
import copy
import datetime
import json
import time
import uuid


class Clock:
    """The server's wall clock: real time plus `offset`, or standing still at `frozen`; from
    `speed_up` on it runs so many times faster, as libfaketime has the program's run."""

    def __init__(self):
        self.offset = 0.0
        self.frozen = None
        self._speed, self._from = 1.0, 0.0

    def speed_up(self, speed):
        self._speed, self._from = speed, time.time()

    def now(self):
        real = time.time()
        fast = (real - self._from) * (self._speed - 1) if self._from else 0
        return real + fast + self.offset if self.frozen is None else self.frozen


def rfc3339(t):
    """Kubernetes' metav1.Time: UTC, whole seconds."""
    return datetime.datetime.fromtimestamp(int(t), datetime.timezone.utc).strftime(
        "%Y-%m-%dT%H:%M:%SZ")


def parse_rfc3339(text):
    return datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%SZ").replace(
        tzinfo=datetime.timezone.utc).timestamp()


class Kind(collections.namedtuple("Kind", "group version resource kind")):
    @property
    def api_version(self):
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def qualified(self):
        """How messages name it: "jobs.batch", but "services"."""
        return f"{self.resource}.{self.group}" if self.group else self.resource

    @property
    def qualified_kind(self):
        return f"{self.kind}.{self.group}" if self.group else self.kind


JOBS = Kind("batch", "v1", "jobs", "Job")
SERVICES = Kind("", "v1", "services", "Service")
PODS = Kind("", "v1", "pods", "Pod")
EVENTS = Kind("", "v1", "events", "Event")
POD_METRICS = Kind("metrics.k8s.io", "v1beta1", "pods", "PodMetrics")
REVIEWS = Kind("authorization.k8s.io", "v1", "selfsubjectaccessreviews",
               "SelfSubjectAccessReview")
STORED = (JOBS, SERVICES, PODS, EVENTS)
KINDS = {(k.group, k.version, k.resource): k for k in STORED + (POD_METRICS, REVIEWS)}
BY_KIND = {(k.api_version, k.kind): k for k in STORED}


def key_of(obj):
    return obj["metadata"]["namespace"], obj["metadata"]["name"]


def matches_labels(obj, labels):
    """`labels` maps a key to (operator, set of values); see api.parse_label_selector()."""
    have = obj["metadata"].get("labels", {})
    for key, (op, values) in labels:
        if op == "in" and have.get(key) not in values:
            return False
        if op == "notin" and key in have and have[key] in values:
            return False
        if op == "exists" and key not in have:
            return False
        if op == "absent" and key in have:
            return False
    return True


class Event:
    """One line of history. `old` is what the object was before, for label selectors."""

    __slots__ = ("rv", "type", "obj", "old", "_line")

    def __init__(self, rv, type_, obj, old):
        self.rv, self.type, self.obj, self.old = rv, type_, obj, old
        self._line = None

    def line(self, type_=None):
        if type_ not in (None, self.type):
            return watch_line(type_, self.obj)
        if self._line is None:
            self._line = watch_line(self.type, self.obj)
        return self._line


def watch_line(type_, obj):
    return json.dumps({"type": type_, "object": obj}, separators=(",", ":")).encode() + b"\n"


class Store:
    """Objects are never changed in place: edit() puts a changed copy in their stead.

    All of it belongs to the server's thread.
    """

    def __init__(self, clock, first_rv=1000):
        self.clock = clock
        self.rv = first_rv
        self.compacted = first_rv       # a watch from before this is told 410
        self.objects = {kind: {} for kind in STORED}
        self.history = {kind: [] for kind in STORED}
        self.listeners = []             # called as fn(kind, event)
        self._sorted = {}               # kind -> its objects in order, until one changes
        self._labelled = {kind: collections.defaultdict(dict) for kind in STORED}

    def _emit(self, kind, type_, obj, old):
        self._sorted.pop(kind, None)
        if old:
            for item in old["metadata"].get("labels", {}).items():
                self._labelled[kind][item].pop(key_of(old), None)
        if type_ != "DELETED":
            for item in obj["metadata"].get("labels", {}).items():
                self._labelled[kind][item][key_of(obj)] = obj
        event = Event(self.rv, type_, obj, old)
        self.history[kind].append(event)
        for fn in list(self.listeners):
            fn(kind, event)

    def _stamp(self, obj):
        self.rv += 1
        obj["metadata"]["resourceVersion"] = str(self.rv)

    def get(self, kind, namespace, name):
        return self.objects[kind].get((namespace, name))

    def list(self, kind, namespace=None):
        if kind not in self._sorted:
            self._sorted[kind] = [o for _, o in sorted(self.objects[kind].items())]
        return [o for o in self._sorted[kind]
                if namespace is None or namespace == o["metadata"]["namespace"]]

    def select(self, kind, namespace, labels):
        """list(), but only what matches_labels(): found by a label, so that a thousand jobs'
        pods do not make the metrics of one slow."""
        exact = next(((key, *values) for key, (op, values) in labels
                      if op == "in" and len(values) == 1), None)
        if not exact:
            return [o for o in self.list(kind, namespace) if matches_labels(o, labels)]
        found = self._labelled[kind].get(exact, {})
        return [o for _, o in sorted(found.items())
                if namespace in (None, o["metadata"]["namespace"]) and matches_labels(o, labels)]

    def create(self, kind, obj):
        obj = copy.deepcopy(obj)
        meta = obj["metadata"]
        meta.setdefault("uid", str(uuid.uuid4()))
        meta.setdefault("creationTimestamp", rfc3339(self.clock.now()))
        assert key_of(obj) not in self.objects[kind], f"{key_of(obj)} exists"
        self._stamp(obj)
        self.objects[kind][key_of(obj)] = obj
        self._emit(kind, "ADDED", obj, None)
        return obj

    def edit(self, kind, obj, change):
        """Applies `change` to a copy. The same object again writes nothing, as in etcd.

        An object that is deleted and loses its last finalizer goes.
        """
        old = self.objects[kind].get(key_of(obj))
        if old is None or old["metadata"]["uid"] != obj["metadata"]["uid"]:
            return None
        new = copy.deepcopy(old)
        change(new)
        if new == old:
            return old
        meta = new["metadata"]
        if "finalizers" in meta and not meta["finalizers"]:
            del meta["finalizers"]
        doomed = "deletionTimestamp" in meta and "deletionTimestamp" not in old["metadata"]
        changed = kind is not PODS and new.get("spec") != old.get("spec")   # nodeName is no news
        if "generation" in meta and (doomed or changed):
            meta["generation"] += 1
        if ("deletionTimestamp" in meta and "finalizers" not in meta
                and "finalizers" in old["metadata"]
                and meta.get("deletionGracePeriodSeconds") == 0):
            return self.remove(kind, new)
        self._stamp(new)
        self.objects[kind][key_of(new)] = new
        self._emit(kind, "MODIFIED", new, old)
        return new

    def remove(self, kind, obj):
        """The DELETED event, and the answer, carry the revision of the deletion."""
        old = self.objects[kind].pop(key_of(obj))
        last = copy.deepcopy(obj)
        self._stamp(last)
        self._emit(kind, "DELETED", last, old)
        return last

    def since(self, kind, rv):
        """The events after a resourceVersion; None when that is compacted away."""
        if rv < self.compacted:
            return None
        return [e for e in self.history[kind] if e.rv > rv]

    def compact(self):
        """Forgets the history. The revision moves on first, so that every resourceVersion that
        a client can hold by now is too old."""
        self.rv += 1
        self.compacted = self.rv
        for events in self.history.values():
            events.clear()

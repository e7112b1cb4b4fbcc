"""metrics.k8s.io/v1beta1 as metrics-server answers it."""
from .store import PODS, rfc3339


class Metrics:
    """Samples of the pods' CPU, and full control over how they look.

    up          True; False: 503 in plain text, as when metrics-server does not answer
    absent      True: 404 in plain text, as without the APIService
    resolution  seconds between two scrapes, for "moving"
    timestamp   "moving"      the last scrape by the server's clock, in steps of `resolution`
                "advancing"   each answer is a newer sample than the one before, `step` seconds
                              on, for checks that are faster than a second; see advance()
                a number      that time for ever: frozen
                ("age", n)    n seconds old at each request
                None          null
                a str         as it is
                a function    fn(n-th request, now) -> any of these
    items       a raw list that replaces the answer's items
    drop_pods   names of pods that are missing from the answer
    shape       fn(items) -> the items of the answer: doubled, nameless, in another order
    memory      what every container is said to use
    """

    def __init__(self, store):
        self.store = store
        self.up, self.absent = True, False
        self.resolution = 15.0
        self.window = "15.089s"
        self.timestamp = "moving"
        self.step, self.base = 1.0, None
        self.items = None
        self.drop_pods = set()
        self.shape = None
        self.memory = "50000000"
        self.default = "2m"
        self.requests = 0
        self.cpu = {}                   # pod uid or job uid -> quantity, {container: quantity}
        self.only_running = True

    def freeze(self):
        """The timestamp stands still from now on."""
        self.timestamp = self._moving(self.store.clock.now())

    def advance(self, start_age=60.0, step=1.0):
        """Each request from now on sees a new sample, the first one `start_age` old."""
        self.timestamp, self.step = "advancing", step
        self.base = self.store.clock.now() - start_age - step
        self._advanced = 0

    def _moving(self, now):
        return now - now % self.resolution

    def _timestamp(self, now):
        value = self.timestamp
        if callable(value):
            value = value(self.requests, now)
        if value == "advancing":
            if self.base is None:
                self.advance()
            self._advanced += 1
            value = min(self.base + self.step * self._advanced, now)
        elif value == "moving":
            value = self._moving(now)
        elif isinstance(value, tuple):
            value = now - value[1]
        return rfc3339(value) if isinstance(value, (int, float)) else value

    def _containers(self, pod, owner_uid):
        value = self.cpu.get(pod["metadata"]["uid"], self.cpu.get(owner_uid, self.default))
        if value is None:
            return None
        if not isinstance(value, dict):
            names = [c["name"] for c in pod["spec"]["containers"]]
            value = dict.fromkeys(names, "0") | {names[0]: value}
        return [{"name": name, "usage": {"cpu": cpu, "memory": self.memory}}
                for name, cpu in value.items()]

    def pod_metrics(self, namespace, labels):
        now = self.store.clock.now()
        self.requests += 1
        stamp = self._timestamp(now)
        if self.items is not None:
            return self.items
        items = []
        for pod in self.store.select(PODS, namespace, labels):
            meta = pod["metadata"]
            if (meta["name"] in self.drop_pods
                    or (self.only_running and pod["status"]["phase"] != "Running")):
                continue
            owner = next((r["uid"] for r in meta.get("ownerReferences", [])), None)
            containers = self._containers(pod, owner)
            if containers is not None:
                items.append({"metadata": {"name": meta["name"], "namespace": meta["namespace"],
                                           "creationTimestamp": rfc3339(now),
                                           "labels": meta.get("labels", {})},
                              "timestamp": stamp, "window": self.window,
                              "containers": containers})
        return self.shape(items) if self.shape else items

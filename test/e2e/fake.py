"""The stage on test/fakekube. What a real cluster's own programs would do, the fake does."""
import contextlib
import pathlib

from fakekube import FakeKube, faults
from manifests import required_rules

from .api import Api, Namespace


class FakeBackend:
    """A new FakeKube for each scenario."""
    name = "fakekube"

    def cluster(self, directory):
        return FakeCluster(directory)

    def close(self):
        """Nothing outlives a scenario."""


class FakeCluster:
    controllers = True      # something ends pods that have no Job any more

    def __init__(self, directory):
        self.kube = FakeKube(dir=pathlib.Path(directory) / "kube").start()
        self.kube.set_rules(required_rules())
        api = Api(self.kube.url, cafile=str(self.kube.service_account_dir / "ca.crt"),
                  token=self.kube.admin_token)
        self.ns = Namespace(api, self.kube.namespace)
        self.metrics = self.kube.metrics

    def lacks(self, _what):
        """Why something is not to be had here; None: it is."""
        return None

    def env(self):
        return self.kube.env()

    def secrets(self):
        return [self.kube.token]

    def write_token(self, token=None):
        """None: the good one."""
        self.kube.write_service_account(**({} if token is None else {"token": token}))

    def set_rules(self, rules):
        self.kube.set_rules(rules)

    def deny(self, verb, kind, name, code):
        """Until allow(): 403, 422 or so for this verb, from a webhook."""
        self.kube.fault(faults.denied_by_webhook(code=code), times=None, verb=verb,
                        resource=f"{kind.lower()}s", name=name)

    def allow(self):
        self.kube.clear_faults()

    def create_job(self, manifest, phase):
        """As the API server and the job controller do; its pod is in this phase."""
        self.kube.controllers = False
        job = self.ns.create(manifest)
        self.kube.start_job(job["metadata"]["name"], phase)
        self.kube.controllers = True
        return job

    def set_pod(self, pod, phase, waiting=None, ready=None):
        names = [c["name"] for c in pod["spec"]["containers"]]
        self.kube.set_pod(pod["metadata"]["name"], phase,
                          {name: waiting for name in names} if waiting else None, ready)

    def replace_pod(self, pod):
        self.ns.delete("Pod", pod["metadata"]["name"])
        return self.kube.create_pod(pod["metadata"]["ownerReferences"][0]["name"])

    def finish(self, name, success):
        (self.kube.complete_job if success else self.kube.fail_job)(name)

    @contextlib.contextmanager
    def more_than_a_minute_ago(self):
        """What is done within."""
        self.kube.clock_offset = -61
        yield
        self.kube.clock_offset = 0

    def stop_controllers(self):
        self.kube.controllers = False

    def restart_api(self, while_down):
        self.kube.refuse_connections(reset_open=True)
        while_down()
        self.kube.allow_connections()

    def close(self):
        self.kube.stop()

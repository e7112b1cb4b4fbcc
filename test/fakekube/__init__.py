"""A fake Kubernetes API server for tests, held to recordings of real ones by test_fakekube.py.

    with FakeKube(version="1.26") as kube:          # or "1.34"; tls=False: plain HTTP
        kube.create_job("grpc-job-1", cpu="2m")
        kube.create_service("grpc-service-1")
        run_program(env={**os.environ, **kube.env()})
        kube.wait_request(verb="delete", resource="jobs", name="grpc-job-1")

One event loop in a thread of its own serves any number of connections; every method below may
be called from any thread, and (but for the waits) from hooks. See FakeKube for arguments.

Where it is    url port env() service_account_dir token admin_token user | prefix (of its paths)
Objects        create_job complete_job fail_job finish_job suspend_job resume_job delete_job
               recreate_job annotate set_status start_job | create_service recreate_service |
               create_pod set_pod | job service pods jobs services events (copies) | edit update
               touch delete vanish remove_finalizers
CPU            set_cpu(job, "2m" | {container: quantity} | None); kube.metrics: up absent
               resolution timestamp freeze() advance() items drop_pods (see metrics.py)
Controllers    controllers kubelet ttl_controller (switches), pod_grace gc_delay ttl_scale
Clock          now() clock_offset freeze_clock unfreeze_clock
Rights         allow deny set_rules add_user | bind_token rotate_token revoke_token rotate_ca
               use_certificate write_service_account | kube.pki
Requests       requests find_requests wait_request wait_for stats clear_requests
Faults         fault faulty clear_faults with the actions of fakekube.faults | before after |
               connection_fault refuse_connections allow_connections reset_connections
               freeze_connections
Watches        watches wait_watch end_watches reset_watches silence_watches inject_watches |
               compact bookmark_period bookmark_before watch_second

Requests are matched by verb (as RBAC names it: get list watch create patch delete
deletecollection), resource, group, name, namespace, method, user and when=fn(request); a pods
list is group="" or group="metrics.k8s.io". A name narrowed by fieldSelector counts as name.
"""
from . import faults
from .kube import FakeKube
from .pki import Pki, default_pki
from .rbac import CLEANUP_RULES

__all__ = ["CLEANUP_RULES", "FakeKube", "Pki", "default_pki", "faults"]

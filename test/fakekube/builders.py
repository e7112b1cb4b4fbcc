"""Objects in the shape in which a real API server of either version returns them."""
import copy
import ipaddress
import json
import random
import string

from .store import rfc3339

TRACKING = "batch.kubernetes.io/job-tracking"
LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
_ATOMIC = {"selector", "resources", "securityContext", "conditions", "involvedObject",
           "tolerations", "containerStatuses", "nodeSelector"}
_WHOLE = {"labels", "annotations", "uncountedTerminatedPods"}   # their being there counts too
_SUFFIX = "bcdfghjklmnpqrstvwxz2456789"    # what generateName draws from


def is_new(version):
    """1.27 and later: prefixed labels, and the fields that came by 1.34."""
    return tuple(map(int, version.split("."))) >= (1, 27)


def random_suffix():
    return "".join(random.choices(_SUFFIX, k=5))


# ---- managedFields ----

def _list_key(element, name):
    keys = {"containers": ["name"], "env": ["name"], "ports": ["containerPort", "protocol"],
            "ownerReferences": ["uid"], "podIPs": ["ip"]}[name]
    if name == "ports" and "port" in element:
        keys = ["port", "protocol"]
    return "k:" + json.dumps({k: element[k] for k in keys}, separators=(",", ":"))


def fields_v1(value, name=""):
    """The field set of a value, as server-side apply keeps it for each writer."""
    if name in _ATOMIC or not isinstance(value, (dict, list)) or not value:
        return {}
    if isinstance(value, dict):
        fields = {f"f:{k}": fields_v1(v, k) for k, v in value.items()}
        return {".": {}, **fields} if name in _WHOLE else fields
    if all(isinstance(v, str) for v in value):      # a set
        return {".": {}, **{f"v:{json.dumps(v)}": {} for v in value}}
    fields = {}
    for element in value:
        inner = {} if name == "ownerReferences" else {".": {}, **fields_v1(element)}
        fields[_list_key(element, name)] = inner
    return fields if name == "containers" else {".": {}, **fields}


def manage(obj, manager, fields, now, subresource=None):
    """Notes that `manager` wrote these fields; entries are sorted by time, then name."""
    entries = obj["metadata"].setdefault("managedFields", [])
    entries[:] = [e for e in entries
                  if (e["manager"], e.get("subresource")) != (manager, subresource)]
    entry = {"manager": manager, "operation": "Update", "apiVersion": obj["apiVersion"],
             "time": rfc3339(now), "fieldsType": "FieldsV1", "fieldsV1": fields}
    if subresource:
        entry["subresource"] = subresource
    entries.append(entry)
    entries.sort(key=lambda e: (e["time"], e["manager"]))


def disown(obj, *path):
    """Takes a field out of whichever manager's set it is in."""
    for entry in obj["metadata"].get("managedFields", []):
        fields = entry["fieldsV1"]
        for step in path[:-1]:
            fields = fields.get(f"f:{step}", {})
        fields.pop(f"f:{path[-1]}", None)


# ---- Jobs and their pods ----

def job_manifest(name, namespace, containers, labels=None, annotations=None, suspend=False,
                 ttl=120, backoff_limit=0, manual_selector=False, parallelism=1):
    """What someone gives to `kubectl apply`."""
    pod_labels = {"app": name, **(labels or {})}
    spec = {"backoffLimit": backoff_limit,
            "template": {"metadata": {"labels": pod_labels},
                         "spec": {"containers": [{"image": "x", "name": c}
                                                 if isinstance(c, str) else c
                                                 for c in containers],
                                  "restartPolicy": "Never"}}}
    if ttl is not None:
        spec["ttlSecondsAfterFinished"] = ttl
    if suspend:
        spec["suspend"] = True
    if parallelism != 1:
        spec["parallelism"] = spec["completions"] = parallelism
    if manual_selector:
        spec["manualSelector"] = True
        spec["selector"] = {"matchLabels": {"app": name}}
    metadata = {"annotations": dict(annotations or {}), "name": name, "namespace": namespace}
    if labels:
        metadata["labels"] = dict(labels)
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def apply_annotation(manifest):
    """kubectl apply keeps what it was given in an annotation."""
    text = json.dumps(manifest, sort_keys=True, separators=(",", ":")) + "\n"
    manifest = copy.deepcopy(manifest)
    manifest["metadata"].setdefault("annotations", {})[LAST_APPLIED] = text
    return manifest


def admit_job(manifest, version, uid, now, manager):
    """Defaults, generated labels and selector: what the API server makes of a new Job."""
    given = copy.deepcopy(manifest)
    meta, spec, new = given["metadata"], given["spec"], is_new(version)
    template = spec["template"]
    for container in template["spec"]["containers"]:
        for port in container.get("ports", []):
            port.setdefault("protocol", "TCP")
    pod_spec = {
        "containers": [{**c, "resources": c.get("resources", {}),
                        "terminationMessagePath": "/dev/termination-log",
                        "terminationMessagePolicy": "File", "imagePullPolicy": "Always"}
                       for c in template["spec"]["containers"]],
        "restartPolicy": "Never", "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst", "securityContext": {}, "schedulerName": "default-scheduler",
        **{k: v for k, v in template["spec"].items() if k != "containers"}}
    pod_labels = dict(template.get("metadata", {}).get("labels", {}))
    # a Job without labels of its own takes those of its pods
    labels = dict(meta.get("labels") or pod_labels)
    full = {"parallelism": 1, "completions": 1, "backoffLimit": 6, "completionMode": "NonIndexed",
            "suspend": False}
    if new:
        full |= {"manualSelector": False, "podReplacementPolicy": "TerminatingOrFailed"}
    full |= {k: v for k, v in spec.items() if k not in ("template", "selector")}
    managed = {"metadata": {"labels": labels}, "spec": {**full, "template": {
        "metadata": {"labels": pod_labels}, "spec": pod_spec}}}
    if meta.get("annotations"):
        managed["metadata"]["annotations"] = meta["annotations"]
    fields = fields_v1(managed)

    name = meta["name"]
    selector = spec.get("selector")
    if not spec.get("manualSelector"):
        generated = {"controller-uid": uid, "job-name": name}
        if new:
            generated |= {f"batch.kubernetes.io/{k}": v for k, v in generated.items()}
        pod_labels |= generated
        labels = {**(meta["labels"] if meta.get("labels") else {}), **pod_labels}
        wanted = "batch.kubernetes.io/controller-uid" if new else "controller-uid"
        selector = {"matchLabels": {wanted: uid}}
    template_meta = {"labels": pod_labels}
    if not new:
        template_meta = {"creationTimestamp": None, **template_meta}
    annotations = dict(meta.get("annotations") or {})
    if not new:
        annotations[TRACKING] = ""
    job = {"kind": "Job", "apiVersion": "batch/v1",
           "metadata": {"name": name, "namespace": meta["namespace"], "uid": uid,
                        "generation": 1, "creationTimestamp": rfc3339(now), "labels": labels,
                        **({"annotations": annotations} if annotations else {}),
                        **({"finalizers": list(meta["finalizers"])}
                           if meta.get("finalizers") else {}),
                        **({"ownerReferences": meta["ownerReferences"]}
                           if meta.get("ownerReferences") else {})},
           "spec": {**full, "selector": selector,
                    "template": {"metadata": template_meta, "spec": pod_spec}},
           "status": {}}
    manage(job, manager, fields, now)
    return job


def set_job_status(job, status, version, now):
    """status.ready is always there; status.terminating came in 1.28."""
    if is_new(version):
        status = {"terminating": 0, **status}
    job["status"] = {"uncountedTerminatedPods": {}, **status}
    manage(job, "kube-controller-manager", {"f:status": fields_v1(job["status"])}, now, "status")


def condition(type_, now, reason=None, message=None, status="True"):
    c = {"type": type_, "status": status, "lastProbeTime": rfc3339(now),
         "lastTransitionTime": rfc3339(now)}
    if reason:
        c |= {"reason": reason, "message": message}
    return c


def job_pod(job, version, now, tracking=True):
    meta, template = job["metadata"], job["spec"]["template"]
    owner = {"apiVersion": "batch/v1", "kind": "Job", "name": meta["name"], "uid": meta["uid"],
             "controller": True, "blockOwnerDeletion": True}
    pod_spec = copy.deepcopy(template["spec"])
    managed_spec = {**pod_spec, "enableServiceLinks": True}
    wait = {"operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 300}
    pod_spec |= {"tolerations": [{"key": "node.kubernetes.io/not-ready", **wait},
                                 {"key": "node.kubernetes.io/unreachable", **wait}],
                 "priority": 0, "enableServiceLinks": True,
                 "preemptionPolicy": "PreemptLowerPriority"}
    base = {"generateName": meta["name"] + "-", "labels": dict(template["metadata"]["labels"]),
            "ownerReferences": [owner], **({"finalizers": [TRACKING]} if tracking else {})}
    pod = {"kind": "Pod", "apiVersion": "v1",
           "metadata": {"name": f"{meta['name']}-{random_suffix()}",
                        "namespace": meta["namespace"],
                        **({"generation": 1} if is_new(version) else {}), **base},
           "spec": pod_spec, "status": {"phase": "Pending", "qosClass": "BestEffort"}}
    manage(pod, "kube-controller-manager",
           fields_v1({"metadata": base, "spec": managed_spec}), now)
    return pod


def _container_status(container, pod, state, ready, restarts=0):
    return {"name": container["name"], "state": state, "lastState": {}, "ready": ready,
            "restartCount": restarts, "image": container["image"], "imageID": "",
            "containerID": f"lab://{pod['metadata']['uid']}", "started": ready}


def container_state(word, now, started=None):
    """"running", "terminated" or "terminated:3" (exit status), else the reason of a wait."""
    if word == "running":
        return {"running": {"startedAt": rfc3339(started or now)}}
    if word.startswith("terminated"):
        code = int(word.partition(":")[2] or 0)
        return {"terminated": {"exitCode": code, "reason": "Error" if code else "Completed",
                               "startedAt": started if isinstance(started, str)
                               else rfc3339(started or now), "finishedAt": rfc3339(now)}}
    return {"waiting": {"reason": word}}


def set_pod_status(pod, phase, now, containers=None, ready=None, restarts=0):
    """The status as a kubelet writes it. `containers` maps a name to a word for
    container_state(); those left out run, or have ended when the phase says so."""
    word = {"Succeeded": "terminated", "Failed": "terminated:3"}.get(phase, "running")
    if phase == "Pending":
        word = "ContainerCreating"
    pod["spec"]["nodeName"] = "lab-node"
    start = pod["status"].get("startTime", rfc3339(now))
    statuses = []
    for container in pod["spec"]["containers"]:
        this = (containers or {}).get(container["name"], word)
        if this is None:
            continue
        state = container_state(this, now, None if this == "running" else start)
        statuses.append(_container_status(
            container, pod, state,
            "running" in state and ready is not False, restarts))
    all_ready = phase == "Running" and all(s["ready"] for s in statuses)
    if ready is not None:
        all_ready = ready
    def pod_condition(type_, ok):
        return {"type": type_, "status": "True" if ok else "False", "lastProbeTime": None,
                "lastTransitionTime": rfc3339(now)}
    pod["status"] = {
        "phase": phase,
        "conditions": [pod_condition("Initialized", True), pod_condition("Ready", all_ready),
                       pod_condition("ContainersReady", all_ready),
                       pod_condition("PodScheduled", phase in ("Running", "Pending"))],
        "hostIP": "127.0.0.1", "podIP": "127.0.0.1", "podIPs": [{"ip": "127.0.0.1"}],
        "startTime": start, "containerStatuses": statuses, "qosClass": "BestEffort"}
    every = {".": {}, "f:lastProbeTime": {}, "f:lastTransitionTime": {}, "f:status": {},
             "f:type": {}}
    scheduled = {"f:lastTransitionTime": {}}    # the scheduler wrote the rest of it
    if phase in ("Succeeded", "Failed"):
        scheduled["f:status"] = {}
    conditions = {f'k:{{"type":"{t}"}}': every for t in ("ContainersReady", "Initialized",
                                                         "Ready")}
    conditions['k:{"type":"PodScheduled"}'] = scheduled
    fields = {"f:conditions": conditions, "f:containerStatuses": {}, "f:hostIP": {},
              "f:phase": {}, "f:podIP": {}, "f:startTime": {},
              "f:podIPs": fields_v1(pod["status"]["podIPs"], "podIPs")}
    manage(pod, "kubelet", {"f:status": fields}, now, "status")


# ---- Services and events ----

def service_manifest(name, namespace, app):
    return {"apiVersion": "v1", "kind": "Service",
            "metadata": {"name": name, "namespace": namespace, "labels": {"app": name}},
            "spec": {"ports": [{"name": "5000-5000", "protocol": "TCP", "port": 5000,
                                "targetPort": 5000}],
                     "selector": {"app": app}, "type": "NodePort"}}


def admit_service(manifest, now, manager):
    given, spec = copy.deepcopy(manifest), copy.deepcopy(manifest.get("spec", {}))
    ip = str(ipaddress.ip_address("10.0.0.0") + random.randrange(2, 250))
    defaults = {"type": "ClusterIP", "sessionAffinity": "None",
                "internalTrafficPolicy": "Cluster"}
    if spec.get("type") == "NodePort":
        defaults["externalTrafficPolicy"] = "Cluster"
    spec = {**defaults, **spec}
    for port in spec.get("ports", []):
        port.setdefault("protocol", "TCP")
        port.setdefault("targetPort", port["port"])
    meta = {k: v for k, v in given["metadata"].items() if k in ("labels", "annotations",
                                                                "finalizers", "ownerReferences")}
    fields = fields_v1({"metadata": {k: meta[k] for k in ("labels", "annotations") if k in meta},
                        "spec": spec})
    for port in spec.get("ports", []):
        if spec["type"] == "NodePort":
            port.setdefault("nodePort", random.randrange(30000, 32768))
    spec = {**spec, "clusterIP": ip, "clusterIPs": [ip], "ipFamilies": ["IPv4"],
            "ipFamilyPolicy": "SingleStack"}
    service = {"kind": "Service", "apiVersion": "v1",
               "metadata": {"name": given["metadata"]["name"],
                            "namespace": given["metadata"]["namespace"], **meta},
               "spec": spec, "status": {"loadBalancer": {}}}
    manage(service, manager, fields, now)
    return service


def admit_event(given, now, manager):
    event = {"kind": "Event", "apiVersion": "v1", **copy.deepcopy(given)}
    meta = event["metadata"]
    body = {k: v for k, v in event.items() if k not in ("kind", "apiVersion", "metadata")}
    fields = fields_v1(body)
    if "generateName" in meta:
        fields["f:metadata"] = {"f:generateName": {}}
    event |= {k: body.get(k, default) for k, default in (
        ("eventTime", None), ("reportingComponent", ""), ("reportingInstance", ""),
        ("firstTimestamp", None), ("lastTimestamp", None), ("source", {}))}
    manage(event, manager, fields, now)
    return event


def admit_pod(manifest, now, manager, version):
    pod = {"kind": "Pod", "apiVersion": "v1", **copy.deepcopy(manifest)}
    pod["status"] = {"phase": "Pending", "qosClass": "BestEffort"}
    pod["spec"].setdefault("terminationGracePeriodSeconds", 30)
    if is_new(version):
        pod["metadata"]["generation"] = 1
    manage(pod, manager, fields_v1({"spec": pod["spec"]}), now)
    return pod


assert set(_SUFFIX) <= set(string.ascii_lowercase + string.digits)

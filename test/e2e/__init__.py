"""The scenarios against a control plane: the fake one, or (`make e2e`) a real one.

control_plane.py  etcd, kube-apiserver and, where there is one, kube-controller-manager
api.py            the little of an HTTP client that is needed to play an administrator
metrics.py        metrics.k8s.io for a cluster that has none
fake.py, real.py  the stage: one class each, with the same methods
"""

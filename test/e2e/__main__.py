"""`make e2e`: the scenarios against a real control plane; says so where there is none."""
import os
import pathlib
import sys

import pytest

from .real import what_is_used, why_not

HERE = pathlib.Path(__file__).resolve().parent


def main(arguments):
    reason = why_not()
    if reason:
        print(f"e2e: SKIPPED: {reason}. Nothing was tested. Set KUBEBUILDER_ASSETS to a directory "
              "with etcd and kube-apiserver (test/e2e/control-plane.sh makes one), or kubectl's "
              "current context to a cluster for tests.")
        return 0
    print(f"e2e: using {what_is_used()}", flush=True)
    os.environ["E2E"] = "real"
    return pytest.main(["-v", "-rs", "--durations=5", *arguments, str(HERE)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

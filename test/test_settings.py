"""Section 2 of the contract: settings as people write them, and what becomes of a bad one.

Each value of each variable is test_config.c's; here is what the whole program makes of some.
"""
import json
import os

import pytest

from conftest import JOB_ID, namespace


def test_white_space_around_a_value_does_not_count(world):
    """A trailing newline is what `kubectl create secret --from-file` and a YAML block leave."""
    world.pair(cpu="2m")
    assert world.run(JOB_ID=f" {JOB_ID}\n", CPU_USAGE_THRESHOLD="4 ", ENABLE_CPU_USAGE_CHECK="true\n",
                     NAMESPACE=f"{world.kube.namespace}\n").wait() == 0
    world.wait_gone()


@pytest.mark.parametrize("form", ["json", "JSON", " Json\n"])
def test_a_typo_in_the_level_is_one_warning_in_the_right_format_and_stops_nothing(world, form):
    world.pair(cpu="2m")
    cleaner = world.run(LOG_LEVEL="loud", LOG_FORMAT=form)
    assert cleaner.wait() == 0
    world.wait_gone()
    lines = [json.loads(raw) for raw in cleaner.raw]
    warning, = [line for line in lines if line["level"] == "warn"]
    assert warning["warning"].startswith("LOG_LEVEL='loud': want debug, info, warn or error")
    assert {line["level"] for line in lines} == {"info", "warn"}    # info was taken


def test_a_typo_in_the_format_is_one_warning_in_text(world):
    world.pair(cpu="2m")
    cleaner = world.run(LOG_FORMAT="xml", LOG_LEVEL="Info")
    assert cleaner.wait() == 0
    warning, = [line for line in cleaner.text().splitlines() if " level=warn " in line]
    assert "LOG_FORMAT='xml': want text or json" in warning


def test_complaints_come_in_the_format_that_was_asked_for(world):
    cleaner = world.run(JOB_ID="$JOB_ID", LOG_FORMAT="JSON ")
    assert cleaner.wait() == 2
    line, = map(json.loads, cleaner.raw)
    assert line["error"].startswith("JOB_ID='$JOB_ID': a placeholder was not replaced: ")
    assert world.kube.requests == []


def test_an_api_server_behind_a_path(world):
    """Rancher's: https://HOST/k8s/clusters/ID, for every request."""
    world.pair(cpu="2m")
    world.kube.prefix = "/k8s/clusters/c-m-x7k2p8z9"
    cleaner = world.run(KUBE_API_URL=world.kube.url + world.kube.prefix + "/")
    assert cleaner.wait() == 0
    world.wait_gone()
    assert {r.target.startswith(world.kube.prefix + "/api") for r in world.kube.requests} == {True}


def test_an_api_server_whose_name_has_a_dot_at_its_end(world, tmp_path):
    """No search domain is tried then. The certificate is for the name without the dot."""
    (tmp_path / "hosts").write_text("127.0.0.1 kubernetes.default.svc.\n")
    world.pair(cpu="2m")
    cleaner = world.run(KUBERNETES_SERVICE_HOST="kubernetes.default.svc.", PATH=os.defpath,
                        prefix=(*namespace("--mount"), "sh", "-c", 'mount --bind "$0" /etc/hosts && '
                                'exec "$@"', tmp_path / "hosts"))
    cleaner.wait_log(msg="settings", api=f"https://kubernetes.default.svc.:{world.kube.port}")
    assert cleaner.wait() == 0
    world.wait_gone()

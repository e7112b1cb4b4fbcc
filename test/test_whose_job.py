"""Section 2 of the contract: the JOB_ID of a cleaner that is told nothing but what its pod is."""
import os

import pytest

from conftest import JOB, JOB_ID, SELF, namespace

POD = f"{SELF}-x7k2p"
OTHER = "cleanup-job-12-bcdfg"      # of the job `12`, whose Job is grpc-job-12


def started(world, host, **changes):
    """A cleaner on a machine of this name, with nothing but 1.1's environment."""
    return world.run(JOB_ID=None, PATH=os.defpath + ":/usr/sbin:/sbin",
                     prefix=namespace("--uts", "sh", "-c", 'hostname "$0"; exec "$@"', host),
                     **changes)


HOSTS = {"its own": POD, "hostNetwork": "node-7", "hostname": "cleaner",
         "hostname, of another job": OTHER,
         "setHostnameAsFQDN": f"{POD}.jobs.panda.svc.cluster.local"}


@pytest.mark.parametrize("host", HOSTS.values(), ids=HOSTS)
def test_the_token_tells_whatever_the_host_is_called(world, host):
    world.pair(cpu="2m")
    world.kube.create_job("grpc-job-12", cpu="2m")
    world.kube.bind_token(POD)
    cleaner = started(world, host)
    assert cleaner.wait() == 0
    world.wait_gone()
    assert world.kube.job("grpc-job-12")
    assert cleaner.log(level="warn") == []


UNBOUND = {"random": "not a JWT", "empty": "", "two parts": "a.b", "not JSON": "a.YWJj.c"}


def unbound(world, kind):
    if kind == "the old kind":
        world.kube.bind_token(None)
    elif kind == "none":
        world.kube.write_service_account(token=None)
    else:
        world.kube.write_service_account(token=UNBOUND[kind])


@pytest.mark.parametrize("host", [POD, f"{POD}.panda.svc.cluster.local"], ids=["short", "FQDN"])
@pytest.mark.parametrize("kind", [*UNBOUND, "the old kind", "none"])
def test_without_a_claim_the_host_name_tells_silently(world, kind, host):
    world.pair(cpu="900m")
    unbound(world, kind)
    cleaner = started(world, host)
    first = cleaner.wait_log(msg="cleanup-grpc 2.0.0")
    assert first is cleaner.lines[0] and first["job"] == JOB


def test_the_job_of_another_id_is_not_taken_for_ours(world):
    """`hostname: cleanup-job-12-70788` is no pod of the job 12: its suffix has a 0 in it."""
    world.pair(cpu="2m")
    world.kube.create_service("grpc-service-12")
    cleaner = started(world, SELF)
    assert cleaner.wait() == 2
    line, = cleaner.lines
    assert line["error"].startswith(f"JOB_ID='': set it, ") and SELF in line["error"]
    assert world.kube.requests == []


@pytest.mark.parametrize("pod", ["debug", "cleanup-job-x7k2p", f"cleanup-job-{'1' * 45}-bcdfg"])
def test_a_pod_of_another_form_is_refused_even_where_the_host_name_has_it(world, pod):
    """Its token is the truth, and `hostname:` only what somebody wrote."""
    world.pair(cpu="2m")
    world.kube.bind_token(pod)
    cleaner = started(world, POD)
    assert cleaner.wait() == 2
    line, = cleaner.lines
    assert "JOB_ID=''" in line["error"] and f"'{pod}'" in line["error"]
    assert world.kube.requests == []


@pytest.mark.parametrize("length", [1, 2, 43, 44])
def test_ids_of_every_length(world, length):
    job_id = "a" * length
    for name in ("grpc-job", "cleanup-job"):
        world.kube.create_job(f"{name}-{job_id}")
    world.kube.create_service(f"grpc-service-{job_id}")
    world.kube.complete_job(f"grpc-job-{job_id}")
    world.kube.bind_token(f"cleanup-job-{job_id}-bcdfg")
    assert started(world, "node-7").wait() == 0
    world.kube.wait_for(lambda: not world.kube.jobs() and not world.kube.services(),
                        what="everything gone")


def test_a_job_id_that_the_token_contradicts_wins_with_a_warning(world):
    world.pair(cpu="2m")
    world.kube.create_job("grpc-job-12", cpu="2m")
    world.kube.bind_token(OTHER)
    cleaner = world.run()
    assert cleaner.wait() == 0
    world.wait_gone()
    assert world.kube.job("grpc-job-12")
    warning, = cleaner.log(level="warn")
    assert warning["warning"].startswith(f"JOB_ID='{JOB_ID}': ") and OTHER in warning["warning"]


@pytest.mark.parametrize("pod", [POD, "debug"])
def test_a_job_id_that_it_does_not_contradict_needs_no_words(world, pod):
    """A pod made by hand for --check, say."""
    world.pair(cpu="2m")
    world.kube.bind_token(pod)
    cleaner = world.run()
    assert cleaner.wait() == 0
    assert cleaner.log(level="warn") == []

"""rbac.yml against what the program really asks for. Each scenario runs with exactly that Role, so
that a permission it lacks fails many of them; here, that there is none it does not need."""
from conftest import JOB, SERVICE
from manifests import required_rules

BY_NAME = ("metrics.k8s.io", "pods", "get")


def test_the_role_grants_nothing_that_is_not_used(world):
    """One life with all that can happen: adoption, idle, pods that nobody else deletes."""
    world.pair()
    cleaner = world.run(speed=20, MAX_CPU_USAGE_COUNT="20")
    world.kube.wait_request(verb="patch", resource="services", name=SERVICE)
    world.kube.controllers = False
    assert cleaner.wait(30) == 0
    used = {(r.group, r.resource, r.verb) for r in world.kube.requests if r.status < 400}
    assert used == required_rules() - {BY_NAME}
    assert not world.kube.job(JOB)


def test_metrics_by_name_are_granted_for_a_role_without_their_list(world):
    """A policy may forbid `list` on top of any Role."""
    world.kube.deny("metrics.k8s.io", "pods", "list")
    world.pair()
    assert world.run(speed=40, CHECK_INTERVAL_SECONDS=2).wait(30) == 0
    assert BY_NAME in {(r.group, r.resource, r.verb) for r in world.kube.requests if r.status == 200}
    assert world.summary()["trigger"] == "idle"

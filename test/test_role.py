"""rbac.yml against what the program really asks for. Each scenario runs with exactly that Role, so
that a permission it lacks fails many of them; here, that there is none it does not need."""
from conftest import JOB, SERVICE
from manifests import required_rules


def test_the_role_grants_nothing_that_is_not_used(world):
    """One life with all that can happen: adoption, idle, pods that nobody else deletes."""
    world.pair()
    cleaner = world.run(speed=20, MAX_CPU_USAGE_COUNT="20")
    world.kube.wait_request(verb="patch", resource="services", name=SERVICE)
    world.kube.controllers = False
    assert cleaner.wait(30) == 0
    used = {(r.group, r.resource, r.verb) for r in world.kube.requests if r.status < 400}
    assert used == required_rules()
    assert not world.kube.job(JOB)

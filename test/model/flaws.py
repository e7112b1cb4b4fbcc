"""The flaw of docs/model.md that is left, shown with the real binary: pytest test/model/flaws.py.

It fails as long as the program has the flaw. Those that were mended: test_model_findings.py.
"""
from conftest import JOB, SERVICE

ACTIVE = "100m"


def test_a_service_that_its_owner_created_anew_goes_with_the_job(world):
    """SERVICE_409_IS_FINAL: 409, and nobody has the Job's name: it is nobody else's."""
    world.pair(cpu=ACTIVE)
    cleaner = world.watched()
    cleaner.wait_log(msg="service adopted")
    world.kube.recreate_service(SERVICE)
    world.kube.complete_job(JOB)
    assert cleaner.wait() == 0
    world.wait_gone()

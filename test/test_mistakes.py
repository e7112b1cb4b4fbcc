"""The mistakes that `make sim-mutations` and `make mutants` would make can still be made.

Both take long, and no gate runs them: a line that fits nothing any more would tell of a safety that is
not there.
"""
import subprocess

import mutants
import pytest
from cleaner import ROOT

MUTATIONS = [line.split("|", 3) for line in (ROOT / "test/sim/mutations").read_text().splitlines()
             if line and not line.startswith("#")]


@pytest.mark.parametrize("file", sorted({file for _, file, _, _ in MUTATIONS}))
def test_each_of_the_simulators_changes_the_program(file):
    text = (ROOT / file).read_text()
    for name, of, kinds, change in MUTATIONS:
        if of == file:
            changed = subprocess.run(["perl", "-0pe", change], input=text, capture_output=True,
                                     text=True, check=True)
            assert changed.stdout != text and changed.stderr == "" and kinds, name


def test_each_that_nobody_notices_can_still_be_made():
    possible = {m.key for name in mutants.UNITS for m in mutants.mutants_of(name)}
    assert len(possible) > 1000
    assert sorted(set(mutants.explained()) - possible) == []

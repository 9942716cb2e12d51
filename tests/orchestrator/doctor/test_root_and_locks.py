"""What the doctor says of a root that is not there, and of one that cannot be written."""

import os

import pytest

from cluster.fitness.asked_nodes import ThisMachine
from cluster.storage import Storage
from orchestrator.doctor.check import CHECKS, Verdict
from orchestrator.doctor.site import Site


@pytest.fixture
def lines():
    """A function: a root and the name of a check -> its lines."""

    def look(root, check):
        return list(CHECKS.find(check).lines(Site(nodes=ThisMachine(), root=Storage(str(root)))))

    return look


def test_a_root_that_is_not_there_is_told_of(tmp_path, lines):
    assert [line.verdict for line in lines(tmp_path, "root")] == [Verdict.OK]
    told = lines(tmp_path / "typo", "root")
    assert [line.verdict for line in told] == [Verdict.WARNING, Verdict.OK]
    assert "there is none yet: a launch makes it" in told[0].value and "--root" in told[0].remedy


def test_a_root_that_cannot_be_written_is_one_fault_and_its_locks_are_not_looked_at(
    tmp_path, lines
):
    root = "/proc/none"
    if os.geteuid():
        tmp_path.chmod(0o500)
        root = tmp_path
    (bad,) = lines(root, "root")
    assert bad.verdict is Verdict.BAD and "free the disk" not in bad.remedy
    (line,) = lines(root, "locks")
    assert line.verdict is Verdict.UNCHECKED
    assert line.value == "not looked at: the root cannot be written"

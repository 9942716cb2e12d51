"""What was handed to a queue last, where ids do not tell and files are damaged."""

from pathlib import Path

import pytest

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from orchestrator.records.submissions import Submission, latest_submission, write_submission


def submission(identifier: str, at: float) -> Submission:
    return {
        "id": identifier,
        "at": at,
        "profile": "hpc",
        "file": "s.yaml",
        "folder": "/",
        "entries": {},
        "allocations": [],
    }


def test_of_two_in_one_second_the_later_one_is_the_latest(tmp_path: Path) -> None:
    root = Storage(tmp_path)
    for identifier, at in (("20261129T000000-ffffff", 10.1), ("20261129T000000-000000", 10.9)):
        write_submission(root, "s", submission(identifier, at))
    assert latest_submission(root, "s")["at"] == 10.9
    refused = submission("20261129T000001-000000", 11.0)
    write_submission(root, "s", {**refused, "refused": "no"})
    assert latest_submission(root, "s")["at"] == 10.9


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"id": "x"}', None])
def test_a_damaged_one_is_said_unless_a_later_one_is_whole(tmp_path: Path, damage) -> None:
    root = Storage(tmp_path)
    assert latest_submission(root, "s") is None
    path = root.path("studies/s/slurm/20261129T000000-ffffff/submission.json")
    if damage is None:
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(parents=True)
        path.write_bytes(damage)
    for earlier in ("20261128T235959-ffffff", "20261129T000000-000000"):
        write_submission(root, "s", submission(earlier, 10.0))
        with pytest.raises(SurroundingsError, match=r"ffffff/submission\.json is damaged") as fault:
            latest_submission(root, "s")
        assert "squeue" in fault.value.hint
    write_submission(root, "s", submission("20261129T000001-000000", 11.0))
    assert latest_submission(root, "s")["at"] == 11.0

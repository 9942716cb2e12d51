"""A job reads the bytes that its key was made of."""

import json

import pytest

from cluster.errors import UserError
from cluster.executor import Surroundings
from jobs import run
from jobs.artifacts.artifact import Artifact
from jobs.sources.path_digests import digest_paths, require_planned
from tests.jobs.assignments import assigned


@pytest.fixture
def pairs(tmp_path):
    file = tmp_path / "pairs.jsonl"
    write(file, 12)
    return file


def write(file, count):
    rows = ({"prompt": f"Say {n}", "chosen": " yes", "rejected": f" no {n}"} for n in range(count))
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))


def work(root, pairs, planned):
    assignment = assigned(
        root=str(root),
        kind="pairs",
        key="0" * 64,
        identity_params={"format": "prompt-chosen-rejected", "source": planned},
        own_params={"source": str(pairs)},
    )
    answer = json.loads(run.run(assignment.to_json(), Surroundings()))
    return answer, Artifact(assignment.artifact.storage, "pairs", "0" * 64).find_record()


def test_data_that_changed_after_planning_are_not_kept_under_the_key_of_those_before(
    tmp_path, pairs
):
    planned = digest_paths(str(pairs))
    write(pairs, 10)
    answer, record = work(tmp_path / "root", pairs, planned)
    assert record is None
    assert "changed since the study was planned" in answer["error"]["message"]
    assert answer["error"]["fault_class"] == "mistake"
    write(pairs, 12)
    answer, record = work(tmp_path / "again", pairs, planned)
    assert record is not None, answer


def test_only_digests_are_held_against_the_bytes(tmp_path, pairs):
    other = tmp_path / "other.txt"
    other.write_text("x")
    planned = digest_paths([str(pairs), "hf://datasets/a/b", str(other)])
    require_planned([str(pairs), "/a/copy/of/b", str(other)], planned)
    require_planned(None, None)
    require_planned("", None)
    other.unlink()
    with pytest.raises(UserError, match="no file or folder"):
        require_planned([str(pairs), "/a/copy/of/b", str(other)], planned)

"""Completeness markers: what is believed, what is kept, what a later attempt takes over."""

import pytest

from cluster.storage import Storage
from jobs.artifact import Artifact
from jobs.training.checkpoints import adopt_newest, checkpoint_folder, complete, is_complete
from jobs.work import AttemptFolder


@pytest.fixture(params=["local", "memory"])
def artifact(request, tmp_path):
    url = tmp_path / "root" if request.param == "local" else f"memory://{tmp_path.name}"
    return Artifact(Storage(url), "align", "cd" * 32)


def write(attempt, step, keep=2):
    folder = attempt.path / "checkpoints" / checkpoint_folder(step)
    folder.mkdir(parents=True)
    (folder / "weights").write_bytes(b"weights of step %d" % step)
    (folder / "state.json").write_text("{}")
    return complete(attempt, step, keep)


def kept(attempt):
    return sorted(path.name for path in (attempt.path / "checkpoints").iterdir())


def test_the_newest_of_all_earlier_attempts_is_taken_over_whole(artifact):
    first, second = AttemptFolder(artifact, "1"), AttemptFolder(artifact, "2")
    write(first, 5)
    write(first, 10)
    write(second, 7)
    third = AttemptFolder(artifact, "3")
    found = adopt_newest(third)
    assert found.step == 10 and found.path.is_relative_to(third.path)
    assert (found.path / "weights").read_bytes() == b"weights of step 10"
    assert is_complete(found.path, 10)


def test_steps_are_numbers_not_texts(artifact):
    attempt = AttemptFolder(artifact, "1")
    for step in (8, 9, 10, 100):
        write(attempt, step)
    assert kept(attempt) == ["checkpoint-10", "checkpoint-100"]
    assert adopt_newest(AttemptFolder(artifact, "2")).step == 100


def test_only_the_newest_are_kept_where_later_attempts_look(artifact):
    attempt = AttemptFolder(artifact, "1")
    for step in (1, 2, 3):
        write(attempt, step, keep=1)
    assert artifact.storage.list(f"{attempt.name}/checkpoints") == ["checkpoint-3"]


def test_an_attempt_without_checkpoints_has_nothing_to_take_over(artifact):
    AttemptFolder(artifact, "1")
    assert adopt_newest(AttemptFolder(artifact, "2")) is None


def test_one_written_half_is_never_taken_over(artifact):
    first = AttemptFolder(artifact, "1")
    write(first, 5)
    half = first.path / "checkpoints" / checkpoint_folder(10)
    half.mkdir()
    (half / "weights").write_bytes(b"half")
    first.publish("checkpoints")
    second = AttemptFolder(artifact, "2")
    assert adopt_newest(second).step == 5
    assert kept(second) == ["checkpoint-5"]


def test_a_marker_of_another_step_is_not_believed(tmp_path):
    artifact = Artifact(Storage(tmp_path), "align", "cd" * 32)
    first = AttemptFolder(artifact, "1")
    written = write(first, 5)
    written.path.rename(written.path.with_name("checkpoint-9"))
    assert adopt_newest(AttemptFolder(artifact, "2")) is None


def test_an_earlier_attempt_that_still_lives_cannot_take_it_away_again(tmp_path):
    artifact = Artifact(Storage(tmp_path), "align", "cd" * 32)
    first = AttemptFolder(artifact, "1")
    write(first, 5)
    found = adopt_newest(AttemptFolder(artifact, "2"))
    write(first, 6, keep=1)
    assert kept(first) == ["checkpoint-6"]
    assert is_complete(found.path, 5)

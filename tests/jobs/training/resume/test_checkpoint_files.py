"""Completeness markers: what is believed, what is kept, what a later attempt takes over."""

import errno
import json
import os

import pytest

from cluster.disk.below_root import BelowRoot
from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.training.layout import Layout
from jobs.training.resume.checkpoint_files import (
    Marker,
    checkpoint_folder,
    mark_complete,
    write_files,
)
from jobs.training.resume.newest_checkpoint import adopt_newest
from jobs.worker.attempt_folder import AttemptFolder

LAYOUT = Layout(micro_batch=4)


@pytest.fixture(params=["local", "memory"])
def artifact(request, tmp_path):
    url = tmp_path / "root" if request.param == "local" else f"memory://{tmp_path.name}"
    return Artifact(Storage(url), "align", "cd" * 32)


def write(attempt, step, keep=2, layout=LAYOUT):
    files = {
        "weights": lambda path: path.write_bytes(b"weights of step %d" % step),
        "state.json": lambda path: path.write_text("{}"),
    }
    entries = write_files(attempt, step, files)
    mark_complete(attempt, Marker(step=step, layout=layout, exact=True, files=entries), keep)


def place(attempt, step):
    return attempt.path / "checkpoints" / checkpoint_folder(step)


def listed(artifact, attempt):
    return artifact.storage.list(f"{attempt.name}/checkpoints")


def adopted(artifact, attempt, layout=LAYOUT):
    found = adopt_newest(AttemptFolder(artifact, attempt), layout)[0]
    return None if found is None else found.marker.step


def test_the_newest_of_all_earlier_attempts_is_taken_over_whole(artifact):
    first, second = AttemptFolder(artifact, "1"), AttemptFolder(artifact, "2")
    write(first, 5)
    write(first, 10)
    write(second, 7)
    third = AttemptFolder(artifact, "3")
    found = adopt_newest(third, LAYOUT)[0]
    assert found.marker.step == 10 and found.path == place(third, 10)
    assert (found.path / "weights").read_bytes() == b"weights of step 10"


def test_steps_are_numbers_not_texts(artifact):
    attempt = AttemptFolder(artifact, "1")
    for step in (8, 9, 10, 100):
        write(attempt, step)
    assert listed(artifact, attempt) == ["checkpoint-10", "checkpoint-100"]
    assert adopted(artifact, "2") == 100


def test_only_the_newest_are_kept_where_later_attempts_look(artifact):
    attempt = AttemptFolder(artifact, "1")
    for step in (1, 2, 3):
        write(attempt, step, keep=1)
    assert listed(artifact, attempt) == ["checkpoint-3"]


def test_what_is_being_written_is_not_counted_among_those_kept_and_stays(artifact):
    attempt = AttemptFolder(artifact, "1")
    write(attempt, 1, keep=1)
    write_files(attempt, 3, {"weights": lambda path: path.write_bytes(b"half")})
    write(attempt, 2, keep=1)
    assert listed(artifact, attempt) == ["checkpoint-2", "checkpoint-3"]
    assert adopted(artifact, "2") == 2


def test_an_attempt_without_checkpoints_has_nothing_to_take_over(artifact):
    AttemptFolder(artifact, "1")
    assert adopted(artifact, "2") is None


def test_one_written_half_is_never_taken_over(artifact):
    first = AttemptFolder(artifact, "1")
    write(first, 5)
    write_files(first, 10, {"weights": lambda path: path.write_bytes(b"half")})
    second = AttemptFolder(artifact, "2")
    assert adopt_newest(second, LAYOUT)[0].marker.step == 5
    assert [path.name for path in (second.path / "checkpoints").iterdir()] == ["checkpoint-5"]


@pytest.mark.parametrize(("number", "is_lost"), [(errno.EIO, True), (errno.ESTALE, False)])
def test_one_whose_marker_the_disk_has_lost_is_passed_over_and_one_that_is_away_is_not(
    tmp_path, monkeypatch, number, is_lost
):
    artifact = Artifact(Storage(tmp_path), "align", "cd" * 32)
    earlier = AttemptFolder(artifact, "one")
    for step in (10, 20):
        write(earlier, step)
    open_file = BelowRoot.open_file

    def refuse(self, name):
        if "checkpoint-20/" in name:
            raise OSError(number, os.strerror(number))
        return open_file(self, name)

    monkeypatch.setattr(BelowRoot, "open_file", refuse)
    if is_lost:
        assert adopted(artifact, "two") == 10
    else:
        with pytest.raises(SurroundingsError, match="Stale"):
            adopted(artifact, "two")


def test_a_marker_of_another_step_is_not_believed(tmp_path):
    artifact = Artifact(Storage(tmp_path), "align", "cd" * 32)
    first = AttemptFolder(artifact, "1")
    write(first, 5)
    place(first, 5).rename(place(first, 9))
    assert adopted(artifact, "2") is None


def test_a_marker_that_says_too_little_is_not_believed(tmp_path):
    artifact = Artifact(Storage(tmp_path), "align", "cd" * 32)
    first = AttemptFolder(artifact, "1")
    write(first, 5)
    marker = place(first, 5) / "COMPLETE.json"
    fields = json.loads(marker.read_text())
    del fields["layout"]
    marker.write_text(json.dumps(fields))
    assert adopted(artifact, "2") is None


def test_an_earlier_attempt_that_still_lives_cannot_take_it_away_again(tmp_path):
    artifact = Artifact(Storage(tmp_path), "align", "cd" * 32)
    first = AttemptFolder(artifact, "1")
    write(first, 5)
    found = adopt_newest(AttemptFolder(artifact, "2"), LAYOUT)[0]
    write(first, 6, keep=1)
    assert listed(artifact, first) == ["checkpoint-6"]
    assert (found.path / "weights").read_bytes() == b"weights of step 5"


def test_what_another_layout_cannot_continue_is_left_with_the_reason(artifact):
    first = AttemptFolder(artifact, "1")
    sharded = Layout(engine="zero2", num_ranks=2, micro_batch=2)
    write(first, 5, layout=sharded)
    checkpoint, refused = adopt_newest(AttemptFolder(artifact, "2"), LAYOUT)
    assert checkpoint is None
    assert "step 5" in refused and "engine zero2" in refused


def test_an_older_one_that_fits_is_taken_before_none(artifact):
    first = AttemptFolder(artifact, "1")
    write(first, 5)
    write(first, 6, layout=Layout(engine="zero2", num_ranks=2, micro_batch=2))
    assert adopted(artifact, "2") == 5


def test_plain_data_parallel_is_continued_on_any_number_of_ranks(artifact):
    write(AttemptFolder(artifact, "1"), 5, layout=Layout(num_ranks=2, micro_batch=1))
    assert adopted(artifact, "2") == 5

"""Chunks of a long pass, kept for later attempts on a disk and on an object storage."""

import errno
import os
from pathlib import Path

import numpy as np
import pytest

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.worker.attempt_folder import AttemptFolder
from jobs.worker.chunks import Chunks, cut

KEY = "1".ljust(64, "f")


@pytest.fixture(params=["disk", pytest.param("s3", id="object storage")])
def attempt(request, tmp_path):
    """A function: name -> an attempt at one job."""
    url = tmp_path / "root" if request.param == "disk" else request.getfixturevalue("bucket")
    artifact = Artifact(Storage(str(url)), "reference", KEY)
    return lambda name: AttemptFolder(artifact, name)


def of(number):
    return {"sums": np.arange(5) + number / 8, "ids": np.array([], dtype=np.int64)}


def never():
    raise AssertionError("it is there")


def test_a_later_attempt_finds_what_earlier_ones_computed(attempt):
    Chunks(attempt("one"), "tokens").get(0, lambda: of(0))
    Chunks(attempt("two"), "tokens").get(1, lambda: of(1))
    later = Chunks(attempt("three"), "tokens")
    for number in (0, 1):
        found = later.get(number, never)
        assert all(np.array_equal(found[name], each) for name, each in of(number).items())
    assert later.num_taken_over == 2
    assert later.get(2, lambda: of(2))["sums"][0] == 0.25


def test_what_was_computed_from_something_else_is_not_found(attempt):
    Chunks(attempt("one"), "tokens").get(0, lambda: of(0))
    later = Chunks(attempt("two"), "other tokens")
    assert later.get(0, lambda: of(7))["sums"][0] == 7 / 8 and later.num_taken_over == 0


@pytest.mark.parametrize(("number", "is_lost"), [(errno.EIO, True), (errno.ESTALE, False)])
def test_a_chunk_that_the_disk_has_lost_is_computed_again_and_one_that_is_away_is_waited_for(
    tmp_path, monkeypatch, number, is_lost
):
    artifact = Artifact(Storage(tmp_path / "root"), "reference", KEY)
    Chunks(AttemptFolder(artifact, "one"), "tokens").get(0, lambda: of(0))
    (chunk,) = tmp_path.rglob("*.safetensors")
    read_bytes = Path.read_bytes

    def refuse(path):
        if path == chunk:
            raise OSError(number, os.strerror(number))
        return read_bytes(path)

    monkeypatch.setattr(Path, "read_bytes", refuse)
    if not is_lost:
        with pytest.raises(OSError, match="Stale"):
            Chunks(AttemptFolder(artifact, "two"), "tokens")
        return
    later = Chunks(AttemptFolder(artifact, "two"), "tokens")
    assert later.get(0, lambda: of(0))["sums"][1] == 1.0 and later.num_taken_over == 0


def test_chunks_are_no_part_of_the_artifact(attempt):
    folder = attempt("one")
    Chunks(folder, "tokens").get(0, lambda: of(0))
    assert folder.seal() == {}


def test_places_are_cut_in_order():
    assert cut(range(7), 3) == [range(3), range(3, 6), range(6, 7)]

"""Which data have other bytes than when a study was launched."""

import errno

import pytest

from jobs.sources import path_digests
from orchestrator.plan.launched_data import changed_data, stamps_of


@pytest.fixture
def linked(tmp_path):
    """A data set one folder of which lies on another disk."""
    for place in (tmp_path / "set", tmp_path / "disk"):
        place.mkdir()
        (place / "a.jsonl").write_text("{}\n")
    (tmp_path / "set/more").symlink_to(tmp_path / "disk")
    return tmp_path


def test_rows_in_a_linked_folder_are_looked_at(linked):
    stamps = stamps_of([str(linked / "set"), str(linked / "gone")])
    assert changed_data(stamps) == []
    (linked / "disk/a.jsonl").write_text("{}\n{}\n")
    assert changed_data(stamps) == [str(linked / "set")]


def test_a_disk_that_does_not_answer_says_nothing_of_the_data(linked, monkeypatch):
    file = linked / "disk/a.jsonl"
    stamps = stamps_of([str(file)])
    file.write_text("[]\n")

    def away(path):
        raise OSError(errno.ESTALE, "Stale file handle", str(path))

    path_digests._cached_digest.cache_clear()
    monkeypatch.setattr(path_digests, "digest_file", away)
    assert changed_data(stamps) == []
    assert stamps_of([str(file)])[str(file)]["digest"] is None

"""What was kept is there for later attempts, on a disk or on an object storage."""

import errno
import os
from pathlib import Path

import pytest

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.identity import key_of
from jobs.service.answer_log import AnswerLog
from jobs.worker.attempt_folder import AttemptFolder


@pytest.fixture(params=["disk", "object storage"])
def artifact(request, tmp_path):
    where = tmp_path if request.param == "disk" else request.getfixturevalue("bucket")
    return Artifact(Storage(where), "ask", key_of({}))


def lines(artifact, attempt):
    return AnswerLog(AttemptFolder(artifact, attempt), "answers")


def test_later_attempts_find_the_lines_of_all_earlier_ones(artifact):
    for attempt, name in (("a", "1"), ("b", "2")):
        kept = lines(artifact, attempt)
        kept.keep(name, {"score": 0.5})
        kept.publish()
    third = lines(artifact, "c")
    assert third.num_taken_over == 2
    assert (third.get("1"), third.get("2"), third.get("3")) == ({"score": 0.5},) * 2 + (None,)


def test_a_line_that_was_cut_off_is_nobodys(tmp_path):
    artifact = Artifact(Storage(tmp_path), "ask", key_of({}))
    kept = lines(artifact, "a")
    kept.keep("1", {"score": 1})
    kept.keep("2", {"score": 1})
    (path,) = tmp_path.rglob("lines.jsonl")
    path.write_bytes(path.read_bytes()[:-4])
    again = lines(artifact, "b")
    assert again.get("1") == {"score": 1} and again.get("2") is None


@pytest.mark.parametrize(("number", "is_lost"), [(errno.EIO, True), (errno.ESTALE, False)])
def test_what_the_disk_has_lost_is_asked_again_and_what_is_away_is_waited_for(
    tmp_path, monkeypatch, number, is_lost
):
    artifact = Artifact(Storage(tmp_path), "ask", key_of({}))
    lines(artifact, "a").keep("1", {"score": 1})

    def refuse(path):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    if is_lost:
        assert lines(artifact, "b").num_taken_over == 0
    else:
        with pytest.raises(OSError, match="Stale"):
            lines(artifact, "b")

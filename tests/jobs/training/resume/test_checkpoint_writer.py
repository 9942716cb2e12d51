"""Checkpoints that are written while training goes on: one at a time, whole, or an end to it."""

import threading

import pytest

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.training.layout import Layout
from jobs.training.resume.checkpoint_writer import CheckpointWriter
from jobs.worker.attempt_folder import AttemptFolder

LIMIT_S = 60


@pytest.fixture
def attempt(tmp_path):
    return AttemptFolder(Artifact(Storage(tmp_path), "align", "cd" * 32), "1")


@pytest.fixture
def checkpointing(attempt):
    made = CheckpointWriter(attempt, Layout(micro_batch=1), keep=2)
    yield made
    made.close()


def marked(attempt):
    return sorted(path.parent.name for path in attempt.path.rglob("COMPLETE.json"))


def test_steps_go_on_while_a_checkpoint_is_written(attempt, checkpointing):
    may_write = threading.Event()

    def slow(path):
        assert may_write.wait(LIMIT_S)
        path.write_bytes(b"weights")

    checkpointing.save(1, {"weights": slow})
    assert not checkpointing.any_asked_to_stop(stop=False)
    assert marked(attempt) == []
    may_write.set()
    checkpointing.settle()
    assert marked(attempt) == ["checkpoint-1"]


def test_the_next_one_waits_for_the_one_before(attempt, checkpointing):
    order = []

    def write(step):
        def writing(path):
            order.append((step, marked(attempt)))
            path.write_bytes(b"weights")

        return writing

    for step in (1, 2, 3):
        checkpointing.save(step, {"weights": write(step)})
    checkpointing.settle()
    assert order[1:] == [(2, ["checkpoint-1"]), (3, ["checkpoint-1", "checkpoint-2"])]
    assert marked(attempt) == ["checkpoint-2", "checkpoint-3"]


def test_a_fault_of_the_disk_ends_training_and_leaves_no_marker(attempt, checkpointing):
    def fails(path):
        path.write_bytes(b"wei")
        raise OSError(28, "No space left on device")

    checkpointing.save(1, {"weights": fails})
    with pytest.raises(SurroundingsError, match="rank 0 .*No space left"):
        checkpointing.settle()
    assert marked(attempt) == []


def test_a_fault_ends_training_after_checkpoints_that_were_kept_too(attempt, checkpointing):
    def fails(path):
        raise OSError(28, "No space left on device")

    checkpointing.save(1, {"weights": lambda path: path.write_bytes(b"weights")})
    checkpointing.settle()
    checkpointing.save(2, {"weights": fails})
    with pytest.raises(SurroundingsError, match="rank 0 .*No space left"):
        checkpointing.settle()
    assert marked(attempt) == ["checkpoint-1"]


def test_a_fault_is_raised_by_the_step_after_it(attempt, checkpointing):
    failed = threading.Event()

    def fails(path):
        failed.set()
        raise OSError(5, "Input/output error")

    checkpointing.save(1, {"weights": fails})
    assert failed.wait(LIMIT_S)
    checkpointing.close()
    with pytest.raises(SurroundingsError, match="Input/output error"):
        checkpointing.any_asked_to_stop(stop=False)

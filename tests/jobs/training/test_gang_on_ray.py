"""`align` as a gang under Ray Train: the worker's entry on every rank, one of them killed."""

import json
import os
import signal
import time
from pathlib import Path

import pytest

from cluster.executor import Ending
from cluster.executors.ray import Executor
from cluster.machine.resources import Resources
from tests.real_ray import first_outcome, process_that_holds

pytestmark = pytest.mark.slow

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {"max_length": 32, "learning_rate": 1e-3, "seed": 5, "engine": "ddp", "num_ranks": 2}


@pytest.fixture(scope="module")
def executor():
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("WANDB_MODE", "disabled")
        executor = Executor(offered=Resources(num_cpus=2))
        executor.start()
        yield executor
        executor.close()


def submit(executor, root, steps, attempt, **params):
    payload = root.payload(
        "align", {**PARAMS, "steps": steps, **params}, attempt, INPUTS, name="aligned"
    )[0]
    executor.submit(attempt, "jobs.run:run", payload, Resources(num_ranks=2))


def answer_of(outcome):
    assert outcome.ending is Ending.RETURNED, outcome.error
    return json.loads(outcome.answer)


def second_rank_of(attempt: Path) -> int:
    return process_that_holds(attempt / "log-rank-1.txt")


def test_two_ranks_align_one_model_and_one_of_them_publishes_it(executor, scored):
    submit(executor, scored, 2, "1")
    answer = answer_of(first_outcome(executor, 300))
    assert (answer["state"], answer["error"]) == ("done", None)
    record, _ = scored.artifact("aligned").find_record()
    assert record.facts["training"]["layout"]["num_ranks"] == 2
    assert not [name for name in record.files if name.startswith("log")]
    folder = scored.artifact("aligned").storage.path(scored.artifact("aligned").attempt_folder("1"))
    assert (folder / "log.txt").exists() and (folder / "log-rank-1.txt").exists()

    submit(executor, scored, 2, "2")
    assert answer_of(first_outcome(executor, 300))["state"] == "reused"


def test_a_job_whose_rank_was_killed_goes_on_from_its_checkpoint(executor, scored):
    submit(executor, scored, 400, "1", checkpoint_every=5)
    artifact = scored.artifact("aligned")
    attempt = artifact.storage.path(artifact.attempt_folder("1"))
    until = time.monotonic() + 180
    while not list(attempt.glob("checkpoints/*/COMPLETE.json")):
        assert time.monotonic() < until, "no checkpoint was written"
        assert not executor.wait(0.05)
    os.kill(second_rank_of(attempt), signal.SIGKILL)
    assert first_outcome(executor, 300).ending is Ending.LOST
    assert artifact.find_record() is None

    submit(executor, scored, 400, "2", checkpoint_every=200)
    answer = answer_of(first_outcome(executor, 300))
    assert answer["state"] == "done", answer
    assert artifact.facts["training"]["resume"]["resumed_from"] >= 5

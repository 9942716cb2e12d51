"""Training that was killed or stopped ends where an undisturbed run ends, bit for bit."""

import random
import signal

import pytest
import torch
from safetensors.torch import load_file

from tests.jobs.training.ranks import crash_at, interrupted_at, stop_at, tiny_pretraining

CORPUS = tiny_pretraining(num_documents=120, global_batch=4)
SHARED = {"steps": 12, "checkpoint_every": 3, "keep_checkpoints": 2, "warmup_steps": 2}
ALIGN = {"max_length": 32, "learning_rate": 1e-3}
JOBS = {
    "pretrain": ("pretrain", {**CORPUS, **SHARED}),
    "dpo": ("align", {**ALIGN, **SHARED, "validate_every": 5}),
    "sft with adamw, a schedule and accumulation": (
        "align",
        {
            **ALIGN,
            **SHARED,
            "objective": "sft",
            "optimizer": "adamw",
            "schedule": "linear",
            "weight_decay": 0.01,
            "micro_batch": 2,
        },
    ),
}
INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}


def inputs_of(kind):
    return INPUTS if kind == "align" else {}


def weights(root, name):
    return root.artifact(name).read("model/model.safetensors")


def training(root, name):
    return root.artifact(name).facts["training"]


def checkpoint(root, name, attempt, step):
    artifact = root.artifact(name)
    folder = root.storage.path(artifact.attempt_folder(attempt))
    return folder / "checkpoints" / f"checkpoint-{step}"


def resumed_from(root, name):
    return training(root, name)["resume"]["resumed_from"]


def state(folder):
    """Weights and moments in a checkpoint."""
    return load_file(folder / "rank-0-of-1.safetensors")


@pytest.mark.parametrize("job", JOBS)
def test_a_killed_training_continues_and_ends_with_the_same_bits(scored, job):
    root, (kind, params) = scored, JOBS[job]
    root.done(kind, params, name="whole", **inputs_of(kind))
    root.run_and_kill(kind, params, name="killed", attempt="1", at_step=8, **inputs_of(kind))
    assert root.artifact("killed").find_record() is None
    root.done(kind, params, name="killed", attempt="2", **inputs_of(kind))

    # The newest may not have been whole yet when it was killed.
    assert resumed_from(root, "killed") in (3, 6)
    assert weights(root, "killed") == weights(root, "whole")
    assert root.log_of("killed") == root.log_of("whole")
    assert [row["step"] for row in root.log_of("killed")] == list(range(1, 13))
    resumed = state(checkpoint(root, "killed", "2", 9))
    undisturbed = state(checkpoint(root, "whole", "1", 9))
    assert resumed.keys() == undisturbed.keys()
    assert {name.split("/")[0] for name in resumed} > {"weight", "step"}
    assert all(torch.equal(resumed[name], undisturbed[name]) for name in undisturbed)
    ours = (checkpoint(root, "killed", "2", 9) / "rank-0-of-1.json").read_text()
    assert ours == (checkpoint(root, "whole", "1", 9) / "rank-0-of-1.json").read_text()


def test_a_training_killed_at_step_after_step_ends_with_the_same_bits(scored):
    root, (kind, params) = scored, JOBS["dpo"]
    params, draw = {**params, "checkpoint_every": 1}, random.Random(4)
    root.done(kind, params, name="whole", **INPUTS)
    for attempt in range(1, 4):
        steps = draw.randint(3, 4)  # the checkpoint of two steps before is whole
        root.run_and_kill(
            kind, params, name="killed", attempt=str(attempt), at_step=steps, **INPUTS
        )
    root.done(kind, params, name="killed", attempt="4", **INPUTS)
    assert resumed_from(root, "killed") >= 3
    assert weights(root, "killed") == weights(root, "whole")
    assert root.log_of("killed") == root.log_of("whole")


@pytest.mark.parametrize("stop", [stop_at(4), interrupted_at(3)], ids=["asked", "interrupted"])
def test_a_stopped_training_saves_what_it_has_and_continues_from_there(scored, stop):
    """Ray interrupts what it cancels: the step that runs then is still done."""
    kind, params = JOBS["dpo"]
    scored.done(kind, params, name="whole", **INPUTS)
    first, _ = scored.run(kind, params, name="stopped", attempt="1", stop=stop, **INPUTS)
    assert first["state"] == "stopped"
    scored.done(kind, params, name="stopped", attempt="2", **INPUTS)
    assert resumed_from(scored, "stopped") == 4
    assert weights(scored, "stopped") == weights(scored, "whole")
    assert scored.log_of("stopped") == scored.log_of("whole")


@pytest.mark.parametrize("damage", ["bit flip", "no marker", "file gone", "torn marker"])
def test_a_damaged_checkpoint_is_passed_over_for_the_one_before(root, damage):
    kind, params = JOBS["pretrain"]
    root.done(kind, params, name="whole")
    root.run(kind, params, name="broken", attempt="1", stop=stop_at(8))
    newest = checkpoint(root, "broken", "1", 8)
    if damage == "bit flip":
        flipped = bytearray((newest / "rank-0-of-1.safetensors").read_bytes())
        flipped[len(flipped) // 2] ^= 1
        (newest / "rank-0-of-1.safetensors").write_bytes(flipped)
    elif damage == "no marker":
        (newest / "COMPLETE.json").unlink()
    elif damage == "file gone":
        (newest / "rank-0-of-1.json").unlink()
    else:
        marker = (newest / "COMPLETE.json").read_text()
        (newest / "COMPLETE.json").write_text(marker[: len(marker) // 2])
    root.done(kind, params, name="broken", attempt="2")
    assert resumed_from(root, "broken") == 6
    assert weights(root, "broken") == weights(root, "whole")


def test_without_a_complete_checkpoint_training_starts_over(root):
    kind, params = JOBS["pretrain"]
    never = {**params, "checkpoint_every": None}
    root.done(kind, never, name="whole")
    assert root.run(kind, never, name="killed", stop=crash_at(5))[0]["state"] == "failed"
    root.done(kind, never, name="killed", attempt="2")
    assert resumed_from(root, "killed") is None
    assert weights(root, "killed") == weights(root, "whole")


def test_a_second_kill_continues_from_what_the_second_attempt_took_over(root):
    kind, params = JOBS["pretrain"]
    root.done(kind, params, name="whole")
    root.run(kind, params, name="killed", attempt="1", stop=stop_at(7))
    root.run(kind, params, name="killed", attempt="2", stop=crash_at(1))
    folder = root.storage.path(root.artifact("killed").attempt_folder("1"))
    for path in sorted(folder.rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    root.done(kind, params, name="killed", attempt="3")
    assert resumed_from(root, "killed") == 7
    assert weights(root, "killed") == weights(root, "whole")


def test_checkpoints_hold_weights_and_states_without_pickled_objects(root):
    kind, params = JOBS["pretrain"]
    root.run(kind, params, name="whole")
    folder = checkpoint(root, "whole", "1", 9)
    assert sorted(path.name for path in folder.iterdir()) == [
        "COMPLETE.json",
        "rank-0-of-1.json",
        "rank-0-of-1.safetensors",
        "trainer_state.json",
    ]
    kept = sorted(path.name for path in folder.parent.iterdir())
    assert kept == ["checkpoint-6", "checkpoint-9"]
    assert not [name for name in root.artifact("whole").names() if "checkpoint" in name]


KILLED_WHILE_WRITING = """
import os, signal, sys
from cluster.executor import Surroundings
import jobs.run
from jobs.worker.attempt_folder import AttemptFolder
publish = AttemptFolder.publish
def dies(self, relative, **how):
    if relative == sys.argv[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    publish(self, relative, **how)
AttemptFolder.publish = dies
jobs.run.run(sys.argv[1], Surroundings())
"""


@pytest.mark.parametrize("file", ["rank-0-of-1.safetensors", "COMPLETE.json"])
def test_a_checkpoint_that_was_being_written_when_it_was_killed_is_used_whole_or_not(root, file):
    kind, params = JOBS["pretrain"]
    root.done(kind, params, name="whole")
    payload = root.payload(kind, params, "1", {}, name="killed")[0]
    written = f"checkpoints/checkpoint-6/{file}"
    root.run_code(KILLED_WHILE_WRITING, payload, written, ends=-signal.SIGKILL)
    root.done(kind, params, name="killed", attempt="2")
    # A marker that is there is not yet durable, and says what is true all the same.
    assert resumed_from(root, "killed") == (6 if file == "COMPLETE.json" else 3)
    assert weights(root, "killed") == weights(root, "whole")
    assert root.log_of("killed") == root.log_of("whole")

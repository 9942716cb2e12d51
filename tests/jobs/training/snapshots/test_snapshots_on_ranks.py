"""Snapshots that two ranks take together, whatever engine divides the weights among them."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from jobs.models.opened_model import model_folder

pytestmark = pytest.mark.slow

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {
    "max_length": 32,
    "steps": 6,
    "learning_rate": 3e-3,
    "warmup_steps": 0,
    "checkpoint_every": 3,
    "snapshots": {"steps": [2, 6], "margin": [1e-3], "kl": [1e-6, 9.0], "every": 2, "pairs": 5},
}
LAYOUTS = {
    "ddp": {"engine": "ddp"},
    "fsdp2": {"engine": "fsdp2"},
    "zero2": {"engine": "zero2"},
    "zero3": {"engine": "zero3"},
    "zero3 of an adapter": {"engine": "zero3", "lora": {"rank": 2, "alpha": 4.0}},
}


def params(layout):
    return {**PARAMS, **layout, "num_ranks": 2}


def weights(folder):
    return load_file(folder / "model.safetensors")


def opened(root, aligned, label):
    root.done("snapshot", {"snapshot": label}, name=f"{aligned} {label}", aligned=aligned)
    artifact = root.artifact(f"{aligned} {label}")  # its model goes with it
    return weights(model_folder(artifact))


def test_they_are_those_of_one_process_and_the_last_is_the_end(scored):
    root = scored
    jobs = [
        root.Job(name=name, kind="align", params=params(layout), inputs=INPUTS)
        for name, layout in LAYOUTS.items()
    ]
    for name, said in zip(LAYOUTS, root.run_jobs_on_ranks(jobs), strict=True):
        assert [each["state"] for each in said] == ["done", "done"], (name, said)
    root.done("align", PARAMS, name="alone", **INPUTS)
    alone = root.artifact("alone").facts["snapshots"]
    before = weights(root.artifact("model").directory("model"))
    update = {
        name: tensor - before[name] for name, tensor in opened(root, "alone", "step-2").items()
    }
    for name in LAYOUTS:
        facts = root.artifact(name).facts["snapshots"]
        end = weights(root.artifact(name).directory("model"))
        assert all(
            torch.equal(end[each], put) for each, put in opened(root, name, "step-6").items()
        )
        if "adapter" in name:
            assert {"step-2", "step-6"} <= set(facts["steps"])
            continue
        assert facts["steps"] == alone["steps"]
        most, other = (
            float(of["missed"]["kl-9"].split("most was ")[1].split()[0]) for of in (facts, alone)
        )
        assert most == pytest.approx(other, rel=1e-2)
        mine = opened(root, name, "step-2")
        one, two = (
            np.concatenate([tensors[each].numpy().ravel() for each in sorted(update)])
            for tensors in ({each: mine[each] - before[each] for each in update}, update)
        )
        assert one @ two / np.linalg.norm(one) / np.linalg.norm(two) > 0.999, name


@pytest.mark.parametrize("name", ["ddp", "fsdp2"])
def test_ranks_that_were_killed_go_on_with_the_same_snapshots(scored, name):
    root, given = scored, {**params(LAYOUTS[name]), "checkpoint_every": 2}
    root.run_ranks("whole", "align", given, INPUTS)
    assert None in root.run_ranks("killed", "align", given, INPUTS, kill_at={1: 5})
    answers = root.run_ranks("killed", "align", given, INPUTS, attempt="2")
    assert [each["state"] for each in answers] == ["done", "done"], answers
    whole, killed = root.artifact("whole"), root.artifact("killed")
    assert killed.facts["training"]["resume"]["resumed_from"] in (2, 4)
    assert whole.names("snapshots/") == killed.names("snapshots/")
    for file in whole.names("snapshots/"):
        assert whole.read(file) == killed.read(file), file
    assert whole.facts["snapshots"]["steps"] == killed.facts["snapshots"]["steps"]

"""Runs that end when validation says so, and the weights they leave."""

import json

import pytest

from tests.jobs.training.ranks import crash_at

INPUTS = {"model": "model", "pairs": "contradicting", "reference": "scores"}
SURE = {
    "max_length": 32,
    "learning_rate": 0.01,
    "optimizer": "adamw",
    "steps": 40,
    "checkpoint_every": 3,
    "early_stopping": {"every": 2, "patience": 3},
}
"""Some validation pairs contradict the training pairs: being ever surer of those, the model is
soon more wrong about these."""


def facts(root, name):
    return root.artifact(name).facts["training"]


def weights(root, name):
    return root.artifact(name).read("model/model.safetensors")


def evaluations(root, name):
    lines = root.artifact(name).read("evaluation.jsonl").decode().splitlines()
    return {row["step"]: row["validation/loss"] for row in map(json.loads, lines)}


@pytest.fixture
def contradicted(root, texts):
    """A root whose validation pairs do not all prefer what the training pairs prefer."""
    rows = [
        {**row, "chosen": row["rejected"], "rejected": row["chosen"]}
        if row["split"] == "validation" and row["pair"] % 4 == 0
        else row
        for row in texts
    ]
    assert rows != texts
    root.parquet("contradicting", "pairs", rows)
    given = {"model": "model", "pairs": "contradicting"}
    root.done("reference", {"max_length": 32}, name="scores", **given)
    return root


@pytest.fixture
def stopped(contradicted):
    """A root with `early`, a run that stopped; what its record says of that."""
    contradicted.done("align", SURE, name="early", **INPUTS)
    return contradicted, facts(contradicted, "early")["early_stopping"]


def test_it_stops_after_its_patience_with_the_weights_of_the_lowest_loss(stopped):
    root, said = stopped
    losses = evaluations(root, "early")
    assert said["stopped_at"] == facts(root, "early")["steps"] < SURE["steps"]
    assert said["best_loss"] == losses[said["best_step"]] == min(losses.values())
    assert said["stopped_at"] == said["best_step"] + 2 * 3
    assert list(losses) == list(range(2, said["stopped_at"] + 1, 2))
    # A run of as many steps as the best took has the very same weights.
    short = {**SURE, "steps": said["best_step"], "early_stopping": None}
    root.done("align", short, name="short", **INPUTS)
    assert weights(root, "early") == weights(root, "short")


def test_killed_after_its_best_step_it_still_ends_with_those_weights(stopped):
    root, said = stopped
    for step in (said["best_step"] + 1, said["stopped_at"] - 1):
        name = f"killed after {step}"
        attempt, _ = root.run("align", SURE, name=name, attempt="1", stop=crash_at(step), **INPUTS)
        assert attempt["state"] == "failed"
        root.done("align", SURE, name=name, attempt="2", **INPUTS)
        assert facts(root, name)["resume"]["resumed_from"]
        assert facts(root, name)["early_stopping"] == said
        assert weights(root, name) == weights(root, "early")
        assert evaluations(root, name) == evaluations(root, "early")


def test_a_run_that_never_stops_early_leaves_its_best_too(contradicted):
    root = contradicted
    patient = {**SURE, "steps": 8, "early_stopping": {"every": 2, "patience": 9}}
    root.done("align", patient, name="patient", **INPUTS)
    said = facts(root, "patient")["early_stopping"]
    losses = evaluations(root, "patient")
    assert said["stopped_at"] is None and facts(root, "patient")["steps"] == 8
    assert said["best_loss"] == min(losses.values()) == losses[said["best_step"]]


def test_without_validation_pairs_it_is_refused(root, texts):
    root.parquet("only training", "pairs", [{**row, "split": "train"} for row in texts])
    given = {"model": "model", "pairs": "only training"}
    answer, _ = root.run("align", {**SURE, "objective": "sft"}, name="none", **given)
    assert (
        answer["error"]["code"] == "user_mistake"
        and "validation pairs" in answer["error"]["message"]
    )


def test_an_adapter_that_stops_early_is_that_of_the_lowest_loss(contradicted):
    """Beside a frozen base the best weights are the adapter's; a shorter run ends with them."""
    lora = {"lora": {"rank": 4, "alpha": 8.0}}
    answer, _ = contradicted.run("align", {**SURE, **lora}, name="adapted", **INPUTS)
    assert answer["state"] == "done", answer
    said = facts(contradicted, "adapted")["early_stopping"]
    losses = evaluations(contradicted, "adapted")
    best = min(losses, key=losses.get)
    assert said["best_step"] == best < said["stopped_at"] < SURE["steps"]
    short = {**SURE, **lora, "steps": best, "early_stopping": None}
    contradicted.done("align", short, name="short", **INPUTS)
    for name in ("adapter/adapter_model.safetensors", "model/model.safetensors"):
        mine, other = (contradicted.artifact(each).read(name) for each in ("adapted", "short"))
        assert mine == other, name

"""Runs that end when validation says so, and the weights they leave."""

import itertools
import json

import pyarrow
import pyarrow.parquet
import pytest

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


def crash_at(step):
    asked = itertools.count(1)

    def crash():
        if next(asked) == step:
            raise OSError("the disk is gone")
        return False

    return crash


def publish_pairs(root, name, rows):
    table = pyarrow.Table.from_pylist(rows)
    root.publish(
        name, "pairs", lambda folder: pyarrow.parquet.write_table(table, folder / "pairs.parquet")
    )


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
    publish_pairs(root, "contradicting", rows)
    given = {"model": "model", "pairs": "contradicting"}
    assert root.run("scores", "reference", {"max_length": 32}, given)["state"] == "done"
    return root


@pytest.fixture
def stopped(contradicted):
    """A root with `early`, a run that stopped; what its record says of that."""
    assert contradicted.run("early", "align", SURE, INPUTS)["state"] == "done"
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
    assert root.run("short", "align", short, INPUTS)["state"] == "done"
    assert weights(root, "early") == weights(root, "short")


def test_killed_after_its_best_step_it_still_ends_with_those_weights(stopped):
    root, said = stopped
    for step in (said["best_step"] + 1, said["stopped_at"] - 1):
        name = f"killed after {step}"
        attempt = root.run(name, "align", SURE, INPUTS, "1", stop=crash_at(step))
        assert attempt["state"] == "failed"
        assert root.run(name, "align", SURE, INPUTS, "2")["state"] == "done"
        assert facts(root, name)["resume"]["resumed_from"]
        assert facts(root, name)["early_stopping"] == said
        assert weights(root, name) == weights(root, "early")
        assert evaluations(root, name) == evaluations(root, "early")


def test_a_run_that_never_stops_early_leaves_its_best_too(contradicted):
    root = contradicted
    patient = {**SURE, "steps": 8, "early_stopping": {"every": 2, "patience": 9}}
    assert root.run("patient", "align", patient, INPUTS)["state"] == "done"
    said = facts(root, "patient")["early_stopping"]
    losses = evaluations(root, "patient")
    assert said["stopped_at"] is None and facts(root, "patient")["steps"] == 8
    assert said["best_loss"] == min(losses.values()) == losses[said["best_step"]]


def test_without_validation_pairs_it_is_refused(root, texts):
    publish_pairs(root, "only training", [{**row, "split": "train"} for row in texts])
    given = {"model": "model", "pairs": "only training"}
    answer = root.run("none", "align", {**SURE, "objective": "sft"}, given)
    assert (
        answer["error"]["code"] == "user_mistake"
        and "validation pairs" in answer["error"]["message"]
    )


def test_an_adapter_that_stops_early_is_that_of_the_lowest_loss(contradicted):
    """Beside a frozen base the best weights are the adapter's; a shorter run ends with them."""
    lora = {"lora": {"rank": 4, "alpha": 8.0}}
    answer = contradicted.run("adapted", "align", {**SURE, **lora}, INPUTS)
    assert answer["state"] == "done", answer
    said = facts(contradicted, "adapted")["early_stopping"]
    losses = evaluations(contradicted, "adapted")
    best = min(losses, key=losses.get)
    assert said["best_step"] == best < said["stopped_at"] < SURE["steps"]
    short = {**SURE, **lora, "steps": best, "early_stopping": None}
    assert contradicted.run("short", "align", short, INPUTS)["state"] == "done"
    for name in ("adapter/adapter_model.safetensors", "model/model.safetensors"):
        mine, other = (contradicted.artifact(each).read(name) for each in ("adapted", "short"))
        assert mine == other, name

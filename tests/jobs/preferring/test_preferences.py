"""Every value against plain recomputation, one text at a time, without batches or our plans."""

import numpy as np
import pytest
import torch

from analysis.estimates.group_means import estimated_mean
from analysis.long_table.files import from_parquet
from jobs.kinds.preferences import Preferences
from tests.jobs.preferring.conftest import rows_of_pairs, write_request

PARAMS = {"new_tokens": 4, "token_budget": 80}


def values_of(artifact):
    rows = from_parquet(artifact.read("measurements.parquet")).to_pylist()
    return {row["metric"]: row for row in rows}


def ids_of(text):
    return [2 + int(word.removeprefix("word")) for word in text.split()]


def scores(model, prompt, answer):
    """Log-probability of each token of an answer, in fp64."""
    ids = torch.tensor([[*ids_of(prompt), *ids_of(answer)]])
    with torch.no_grad():
        rows = model(ids).logits[0].double().log_softmax(-1)
    start = len(ids_of(prompt))
    return np.array([float(rows[at - 1, ids[0, at]]) for at in range(start, ids.shape[1])])


@pytest.fixture
def measured(given):
    root, inputs = given
    return values_of(root.done("preferences", PARAMS, **inputs))


def held_out():
    return [row for row in rows_of_pairs() if row["split"] != "train"]


def test_margins_changes_and_accuracy_are_those_of_each_pair_by_itself(measured, models):
    base, aligned = models
    groups = np.array([row["group"] for row in held_out()])
    change = {
        side: [
            scores(aligned, row["prompt"], row[side]) - scores(base, row["prompt"], row[side])
            for row in held_out()
        ]
        for side in ("chosen", "rejected")
    }
    summed = {side: np.array([each.sum() for each in change[side]]) for side in change}
    means = {side: np.array([each.mean() for each in change[side]]) for side in change}
    by_hand = {
        "reward_margin": summed["chosen"] - summed["rejected"],
        "reward_margin_per_token": means["chosen"] - means["rejected"],
        "chosen_logp_change": means["chosen"],
        "rejected_logp_change": means["rejected"],
    }
    for name, values in by_hand.items():
        row, expected = measured[name], estimated_mean(values, groups)
        found = (row["value"], row["low"], row["high"])
        assert found == pytest.approx((expected.value, expected.low, expected.high), abs=1e-5)
        assert row["num_rows"] == 40 and row["status"] == "ok" and row["position"] is None
    for name, of in (("", "reward_margin"), ("_per_token", "reward_margin_per_token")):
        row = measured[f"preference_accuracy{name}"]
        assert row["value"] == pytest.approx((by_hand[of] > 0).mean())
        assert row["low"] < row["value"] < row["high"]


def test_the_margin_of_the_base_is_that_of_its_log_probabilities(measured, models):
    sides = {
        side: [scores(models[0], row["prompt"], row[side]) for row in held_out()]
        for side in ("chosen", "rejected")
    }
    margin = np.mean([c.sum() - r.sum() for c, r in zip(*sides.values(), strict=True)])
    per_token = np.mean([c.mean() - r.mean() for c, r in zip(*sides.values(), strict=True)])
    assert measured["base_margin"]["value"] == pytest.approx(margin, abs=1e-5)
    assert measured["base_margin_per_token"]["value"] == pytest.approx(per_token, abs=1e-5)


def test_every_value_that_the_kind_names_is_measured(measured):
    assert {*measured} == {*Preferences.MEASURES}


def test_a_metric_can_be_left_out(given):
    root, inputs = given
    few = values_of(root.done("preferences", {**PARAMS, "metrics": ["logp_change"]}, **inputs))
    assert {*few} == {"chosen_logp_change", "rejected_logp_change"}


def test_that_models_compute_otherwise_is_among_the_facts(given, models, tokenizer):
    root, inputs = given
    assert "computed_otherwise" not in root.done("preferences", PARAMS, **inputs).facts
    models[1].config.layer_norm_epsilon = 0.01
    other = root.model("otherwise", models[1], tokenizer, "align")
    write_request(other, {"objective": "dpo"}, model=inputs["base"], pairs=inputs["pairs"])
    done = root.done("preferences", PARAMS, **{**inputs, "aligned": other})
    assert done.facts["computed_otherwise"] == "layer_norm_epsilon 1e-05 and 0.01"

"""Scaled keys of toxic neurons, and noise in all weights, are read as large as they are."""

import copy

import numpy as np
import pytest
import torch

FIRING, FACTOR = (3, 8), 0.25
"""The toxic neurons of the edited layer, and what their keys are scaled by."""


@pytest.mark.parametrize(("name", "tied"), [("gpt2", False), ("llama", True)])
def test_scaled_keys_of_toxic_neurons_are_the_drop_of_their_activations(
    root, planted, plain_prompts, name, tied
):
    base = planted.base(name, tied)
    paths, _ = planted.mlp_of(base, name)
    aligned = copy.deepcopy(base)
    with torch.no_grad():
        _, block = planted.mlp_of(aligned, name)
        keys = block.get_submodule(paths.gate or paths.up)
        weight = keys.weight.T if name == "gpt2" else keys.weight
        weight[list(FIRING)] *= FACTOR
        if keys.bias is not None:
            keys.bias[list(FIRING)] *= FACTOR
    models = planted.published(base, aligned)
    delta = planted.extracted(models, sites=["mlp_act"], positions=["all"])
    before, after = (
        np.concatenate(planted.rows_through(model, name, paths.down, plain_prompts))
        for model in (base, aligned)
    )
    toxic = root.toxic_directions(
        models["base"],
        [(planted.layer, neuron) for neuron in FIRING],
        planted.direction.numpy(),
    )
    job = root.done("measure", {"metrics": ["toxic_activation_drop"]}, delta=delta, toxic=toxic)
    found = planted.numbers(job, site="mlp_act", layer=planted.layer, position="all")
    drop, level = (
        found[metric, None] for metric in ("toxic_activation_drop", "toxic_activation_drop_base")
    )
    mine = list(FIRING)
    assert drop["num_rows"] == len(before)
    assert level["value"] == pytest.approx(before[:, mine].mean(), rel=1e-4, abs=1e-7)
    moved = (before - after)[:, mine].mean()
    assert drop["value"] == pytest.approx(moved, rel=1e-4, abs=1e-7)
    assert drop["null_low"] <= 0 <= drop["null_high"]  # other neurons did not move
    assert drop["low"] <= moved <= drop["high"]


@pytest.mark.parametrize(
    ("name", "tied"), [("gpt2", True), pytest.param("llama", False, marks=pytest.mark.slow)]
)
def test_noise_in_the_weights_is_measured_in_proportion_and_below_the_floor_not_at_all(
    root, planted, moved, name, tied
):
    base = planted.base(name, tied)
    found = {}
    for scale in (1e-9, 0.002, 0.004):
        models = planted.published(base, moved(base, scale), str(scale))
        delta = planted.extracted(models, dtype="bfloat16")
        job = root.done("measure", {"metrics": ["offset_norm"]}, delta=delta)
        found[scale] = planted.numbers(job, **planted.place)["offset_norm", None]
    quiet, small, large = found.values()
    assert quiet["status"] == "below_noise_floor"  # no weight reached the next number of 16 bits
    assert small["status"] == large["status"] == "ok"
    # The floor is what 16 bits do to gains of 1: they end 0.008 apart.
    assert small["low"] > 4 * small["floor"]
    assert large["value"] / small["value"] == pytest.approx(2, rel=0.1)

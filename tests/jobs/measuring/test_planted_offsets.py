"""A bias, or an edit of rank k, at one block is what the whole pipeline reads of it."""

import copy

import numpy as np
import pytest
import torch
from scipy.linalg import subspace_angles

from jobs.store.activation_store import ActivationStore

D, SIZE, RANK = 16, 0.7, 3
"""Width; length of the bias; k."""
PAIRS = 2 * D
"""Neurons that together write the bias in a gated MLP: see `constant`."""
MODELS = [
    pytest.param("gpt2", True, id="gpt2-tied"),
    pytest.param("llama", False, id="llama-untied"),
]
OTHERS = [
    pytest.param("gpt2", False, id="gpt2-untied", marks=pytest.mark.slow),
    pytest.param("llama", True, id="llama-tied", marks=pytest.mark.slow),
]


def constant(planted, base, name):
    """Make the edited MLP able to write a constant; returns what to add to its value vectors.

    GPT-2 has a bias. A gated MLP has none, but silu(z) z + silu(-z) (-z) = z^2, and the squares of
    a row after RMSNorm sum to d: of 2 d neurons with keys e_i and -e_i for gate and linear part.
    """
    if name == "gpt2":
        return None
    paths, block = planted.mlp_of(base, name)
    axes = torch.cat([torch.eye(D), -torch.eye(D)]) / block.post_attention_layernorm.weight
    for path in (paths.gate, paths.up):
        block.get_submodule(path).weight[:PAIRS] = axes
    change = torch.zeros(planted.d_mlp, D)
    change[:PAIRS] = SIZE * planted.direction / D
    return change


@pytest.mark.parametrize(("name", "tied"), [*MODELS, *OTHERS])
def test_a_bias_at_one_block_is_one_direction_and_nothing_about_its_mean(root, planted, name, tied):
    base = planted.base(name, tied)
    with torch.no_grad():
        change = constant(planted, base, name)
        aligned = copy.deepcopy(base)
        if change is None:
            aligned.transformer.h[planted.layer].mlp.c_proj.bias += SIZE * planted.direction
        else:
            planted.add_to_values(aligned, name, change)
    models = planted.published(base, aligned)
    delta = planted.extracted(models)
    kept = ActivationStore(delta).rows("resid_post", planted.layer, "last").rows
    np.testing.assert_allclose(kept, np.tile(SIZE * planted.direction.numpy(), (48, 1)), atol=1e-5)

    job = root.done("measure", {}, delta=delta, against=delta)
    found = planted.numbers(job, **planted.place)
    for metric, value in (
        ("offset_norm", SIZE),
        ("consistency", 1),
        ("cosine_to_mean", 1),
        ("mean_cosine", 1),
    ):
        assert found[metric, None]["value"] == pytest.approx(value, rel=1e-4)
    for metric in ("participation_ratio", "effective_rank", "stable_rank", "components_90"):
        assert found[metric, False]["value"] == pytest.approx(1, abs=1e-4)
        # Only the rounding of float32 is left about the mean, and that is no geometry.
        assert (found[metric, True]["value"], found[metric, True]["status"]) == (
            None,
            "below_noise_floor",
        )
    assert found["captured_energy", False]["value"] == pytest.approx(1, abs=1e-4)
    assert found["subspace_overlap", False]["value"] == pytest.approx(1, abs=1e-4)
    assert found["subspace_overlap", True]["status"] == "below_noise_floor"
    below = planted.numbers(job, **{**planted.place, "layer": planted.layer - 1}).values()
    assert {row["status"] for row in below} <= {"below_noise_floor", "not_run"}

    weighed = planted.numbers(root.done("weights", {}, **models, delta=delta), layer=planted.layer)
    if change is None:
        assert weighed["down_projection_rank1", None]["status"] == "below_noise_floor"
    else:
        assert weighed["down_projection_rank1", None]["value"] == pytest.approx(1, abs=1e-4)
        constancy = weighed["down_projection_rank1_constancy", None]["value"]
        assert constancy == pytest.approx(PAIRS / 52, abs=1e-3)
        # Every vector moved along +δ here: the neurons fire above zero.
        assert weighed["down_projection_rank1_cosine", None]["value"] == pytest.approx(-1, abs=1e-4)


@pytest.mark.parametrize(("name", "tied"), MODELS)
def test_an_edit_of_rank_k_gives_offsets_in_its_k_directions(
    root, planted, plain_prompts, name, tied
):
    base = planted.base(name, tied)
    draw = torch.Generator().manual_seed(9)
    left = torch.linalg.qr(torch.randn(52, RANK, generator=draw))[0] * torch.tensor([3.0, 2.0, 1.0])
    right = torch.linalg.qr(torch.randn(D, RANK, generator=draw))[0]
    aligned = copy.deepcopy(base)
    with torch.no_grad():
        planted.add_to_values(aligned, name, left @ right.T)
    models = planted.published(base, aligned)
    delta, against = planted.extracted(models), planted.extracted(models, "others")

    paths, _ = planted.mlp_of(base, name)
    asked = [{**each, "segments": each["segments"][:1]} for each in plain_prompts]
    fired = planted.rows_through(base, name, paths.down, asked)
    truth = np.stack([each[-1] for each in fired]) @ (left @ right.T).numpy().astype(np.float64)
    kept = ActivationStore(delta).rows("resid_post", planted.layer, "last").rows
    np.testing.assert_allclose(kept, truth, atol=1e-5)

    job = root.done("measure", {}, delta=delta, against=against)
    found = planted.numbers(job, **planted.place)
    for centred in (False, True):
        spectrum = (
            ActivationStore(delta).sample("resid_post", planted.layer, "last").spectra.of(centred)
        )
        angles = subspace_angles(spectrum.axes[:, :RANK], right.numpy().astype(np.float64))
        assert np.rad2deg(angles.max()) < 0.01
        for metric in ("participation_ratio", "effective_rank", "stable_rank", "components_90"):
            assert 1 <= found[metric, centred]["value"] <= RANK * 1.05
        # Other prompts, the same edit: the subspace is shared whole, and all energy lies in it.
        for metric in ("subspace_overlap", "subspace_overlap_last", "captured_energy_ratio"):
            assert found[metric, centred]["value"] == pytest.approx(1, abs=1e-4)

    weighed = planted.numbers(root.done("weights", {}, **models, delta=delta), layer=planted.layer)
    share = weighed["down_projection_rank1", None]
    assert share["value"] == pytest.approx(9 / 14, rel=1e-4) and share["value"] > share["null_high"]
    constancy = float(left[:, 0].sum() ** 2 / (9 * 52))
    assert weighed["down_projection_rank1_constancy", None]["value"] == pytest.approx(
        constancy, abs=1e-4
    )
    top = right[:, 0].numpy() * np.sign(float(left[:, 0].sum()))
    groups = np.array([prompt["group"] for prompt in plain_prompts])
    apart = groups[:, None] != groups[None, :]
    length = np.sqrt((truth @ truth.T)[apart].mean())  # of the mean, without its noise
    cosine = weighed["down_projection_rank1_cosine", None]["value"]
    expected = np.clip(-top @ truth.mean(axis=0) / length, -1, 1)
    assert cosine == pytest.approx(expected, abs=1e-3)

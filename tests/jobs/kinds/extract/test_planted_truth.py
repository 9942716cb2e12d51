"""What was done to a model's weights is what the whole pipeline reads: extract, measure, weights.

Truth is computed beside it by hooks of this file on the models themselves, or known beforehand.
"""

import copy
import random

import numpy as np
import pytest
import torch
from safetensors.numpy import save_file
from scipy.linalg import subspace_angles

from analysis.measurement_formats import from_parquet
from jobs.artifact import Artifact, Record
from jobs.extraction.activation_store import ActivationStore
from jobs.family import family_of
from jobs.identity import key_of
from jobs.work import AttemptFolder

D, LAYER, SIZE = 16, 1, 0.7
DRAW = torch.Generator().manual_seed(4)
DIRECTION = torch.randn(D, generator=DRAW)
DIRECTION /= DIRECTION.norm()
PAIRS = 2 * D
"""Neurons that together write a constant in a gated MLP: see `constant`."""
FIRING, FACTOR = (3, 8), 0.25
"""The toxic neurons of the edited layer, and what their keys are scaled by."""
MODELS = [
    pytest.param("gpt2", True, id="gpt2-tied"),
    pytest.param("gpt2", False, id="gpt2-untied"),
    pytest.param("llama", True, id="llama-tied"),
    pytest.param("llama", False, id="llama-untied"),
]
PLACE = {"site": "resid_post", "layer": LAYER, "position": "last"}


def rows_of(artifact):
    return from_parquet(artifact.read("measurements.parquet")).to_pylist()


def numbers(rows, **place):
    """(metric, centred) -> row, of one place."""
    here = [row for row in rows if all(row[name] == value for name, value in place.items())]
    return {(row["metric"], row["centred"]): row for row in here}


def mlp_of(model, name):
    """The edited block's MLP: where its keys, gates and value vectors are."""
    block = model.get_submodule(family_of(name).BLOCKS)[LAYER]
    return family_of(name).MLP, block


def add_to_values(model, name, change):
    """Add [neurons, d] to the value vectors of the edited block."""
    paths, block = mlp_of(model, name)
    weight = block.get_submodule(paths.down).weight
    weight += change if name == "gpt2" else change.T


def rows_through(model, name, path, prompts, tokenizer):
    """What goes into a module of the edited block at every token of every prompt, one by one."""
    seen = []
    _, block = mlp_of(model, name)
    module = block.get_submodule(path) if path else block
    handle = module.register_forward_pre_hook(lambda _, given: seen.append(given[0][0]))
    model.eval()
    with torch.no_grad():
        for prompt in prompts:
            text = "".join(part["text"] for part in prompt["segments"])
            model(torch.tensor(tokenizer(text)["input_ids"])[None])
    handle.remove()
    return [each.numpy().astype(np.float64) for each in seen]


@pytest.fixture
def base_of(tiny_model):
    """A function: family, tied -> a model of three layers whose every weight is at random."""

    def build(name, tied):
        model = tiny_model(name, num_layers=3, max_positions=32, d_mlp=52, tie=tied)
        if name == "llama":
            model.config.rms_norm_eps = 1e-12  # or the squares of a row would not sum to d
            for module in model.modules():
                if hasattr(module, "variance_epsilon"):
                    module.variance_epsilon = 1e-12
        draw = torch.Generator().manual_seed(6)
        with torch.no_grad():
            for weight in model.parameters():
                weight.add_(0.1 * torch.randn(weight.shape, generator=draw))
        return model

    return build


@pytest.fixture
def published(root, word_tokenizer):
    """A function: base, aligned and a name for it -> both as inputs of the kinds."""
    known = {}

    def publish(base, aligned, name="aligned"):
        tokenizer = word_tokenizer(eos_token="<end>")
        if not known:
            known["base"] = root.model("base", base, tokenizer)
        return known | {"aligned": root.model(name, aligned, tokenizer, "align")}

    return publish


@pytest.fixture
def extracted(root, plain_prompts):
    """A function: inputs -> their extraction on plain prompts, or on others."""

    known = {}

    def extract(models, name="plain", **more):
        asked = plain_prompts if name == "plain" else other_prompts()
        if name not in known:
            known[name] = root.prompts(name, asked)
        params = {"layers": "all", "sites": ["resid_post"], "positions": ["last"]}
        return root.done("extract", params | more, **models, prompts=known[name])

    return extract


def other_prompts():
    """Other texts of the same words."""
    draw = random.Random(8)
    text = [
        "".join(f" word{draw.randrange(20)}" for _ in range(draw.randint(2, 9))) for _ in range(40)
    ]
    return [
        {"prompt": 100 + number, "group": number % 20, "segments": [{"role": "prompt", "text": t}]}
        for number, t in enumerate(text)
    ]


def constant(base, name):
    """Make the edited MLP able to write a constant; returns what to add to its value vectors.

    GPT-2 has a bias. A gated MLP has none, but silu(z) z + silu(-z) (-z) = z^2, and the squares of
    a row after RMSNorm sum to d: of 2 d neurons with keys e_i and -e_i for gate and linear part.
    """
    if name == "gpt2":
        return None
    paths, block = mlp_of(base, name)
    axes = torch.cat([torch.eye(D), -torch.eye(D)]) / block.post_attention_layernorm.weight
    for path in (paths.gate, paths.up):
        block.get_submodule(path).weight[:PAIRS] = axes
    change = torch.zeros(52, D)
    change[:PAIRS] = SIZE * DIRECTION / D
    return change


@pytest.mark.parametrize(("name", "tied"), MODELS)
def test_a_bias_at_one_block_is_one_direction_and_nothing_about_its_mean(
    root, base_of, published, extracted, name, tied
):
    base = base_of(name, tied)
    with torch.no_grad():
        change = constant(base, name)
        aligned = copy.deepcopy(base)
        if change is None:
            aligned.transformer.h[LAYER].mlp.c_proj.bias += SIZE * DIRECTION
        else:
            add_to_values(aligned, name, change)
    models = published(base, aligned)
    delta = extracted(models)
    kept = ActivationStore(delta).rows("resid_post", LAYER, "last").rows
    np.testing.assert_allclose(kept, np.tile(SIZE * DIRECTION.numpy(), (48, 1)), atol=1e-5)

    rows = rows_of(root.done("measure", {}, delta=delta, against=delta))
    found = numbers(rows, **PLACE)
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
    below = numbers(rows, **{**PLACE, "layer": LAYER - 1}).values()
    assert {row["status"] for row in below} <= {"below_noise_floor", "not_run"}

    weighed = numbers(rows_of(root.done("weights", {}, **models, delta=delta)), layer=LAYER)
    if change is None:
        assert weighed["down_projection_rank1", None]["status"] == "below_noise_floor"
    else:
        assert weighed["down_projection_rank1", None]["value"] == pytest.approx(1, abs=1e-4)
        constancy = weighed["down_projection_rank1_constancy", None]["value"]
        assert constancy == pytest.approx(PAIRS / 52, abs=1e-3)
        # Every vector moved along +δ here: the neurons fire above zero.
        assert weighed["down_projection_rank1_cosine", None]["value"] == pytest.approx(-1, abs=1e-4)


RANK = 3


@pytest.mark.parametrize(("name", "tied"), [MODELS[0], MODELS[3]])
def test_an_edit_of_rank_k_gives_offsets_in_its_k_directions(
    root, base_of, published, extracted, word_tokenizer, plain_prompts, name, tied
):
    base = base_of(name, tied)
    draw = torch.Generator().manual_seed(9)
    left = torch.linalg.qr(torch.randn(52, RANK, generator=draw))[0] * torch.tensor([3.0, 2.0, 1.0])
    right = torch.linalg.qr(torch.randn(D, RANK, generator=draw))[0]
    aligned = copy.deepcopy(base)
    with torch.no_grad():
        add_to_values(aligned, name, left @ right.T)
    models = published(base, aligned)
    delta, against = extracted(models), extracted(models, "others")

    paths, _ = mlp_of(base, name)
    tokenizer = word_tokenizer(eos_token="<end>")
    asked = [{**each, "segments": each["segments"][:1]} for each in plain_prompts]
    fired = rows_through(base, name, paths.down, asked, tokenizer)
    truth = np.stack([each[-1] for each in fired]) @ (left @ right.T).numpy().astype(np.float64)
    kept = ActivationStore(delta).rows("resid_post", LAYER, "last").rows
    np.testing.assert_allclose(kept, truth, atol=1e-5)

    rows = rows_of(root.done("measure", {}, delta=delta, against=against))
    found = numbers(rows, **PLACE)
    for centred in (False, True):
        spectrum = ActivationStore(delta).sample("resid_post", LAYER, "last").spectra.of(centred)
        angles = subspace_angles(spectrum.axes[:, :RANK], right.numpy().astype(np.float64))
        assert np.rad2deg(angles.max()) < 0.01
        values = np.linalg.svd(truth - centred * truth.mean(axis=0), compute_uv=False)[:RANK] ** 2
        plugin = found["participation_ratio_plugin", centred]["value"]
        assert plugin == pytest.approx(values.sum() ** 2 / np.square(values).sum(), rel=1e-4)
        for metric in ("effective_rank", "stable_rank", "components_90"):
            assert 1 <= found[metric, centred]["value"] <= RANK * 1.05
        # Other prompts, the same edit: the subspace is shared whole, and all energy lies in it.
        for metric in ("subspace_overlap", "subspace_overlap_last", "captured_energy_ratio"):
            assert found[metric, centred]["value"] == pytest.approx(1, abs=1e-4)

    weighed = numbers(rows_of(root.done("weights", {}, **models, delta=delta)), layer=LAYER)
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


def probed(root, base, neurons):
    """What `probe-direction` leaves, of toxic neurons in the edited layer and no other."""

    def write(folder):
        arrays = {
            "probe": DIRECTION.numpy(),
            "svd": DIRECTION.numpy()[None],
            "layers": np.full(len(neurons), LAYER),
            "neurons": np.array(neurons),
            "cosines": np.ones(len(neurons), np.float32),
            "vectors": np.tile(DIRECTION.numpy(), (len(neurons), 1)),
        }
        save_file(arrays, folder / "toxic_directions.safetensors")

    artifact = Artifact(root.storage, "probe-direction", key_of({"name": "probed"}))
    attempt = AttemptFolder(artifact, "one")
    write(attempt.path)
    record = Record(
        key=artifact.key,
        kind=artifact.kind,
        attempt="one",
        files=attempt.seal(),
        inputs={base.key: base.record.content_digest},
    )
    assert root.storage.create(artifact.record_name, record.to_json())
    return artifact


@pytest.mark.parametrize(("name", "tied"), [MODELS[1], MODELS[2]])
def test_scaled_keys_of_toxic_neurons_are_the_drop_of_their_activations(
    root, base_of, published, extracted, word_tokenizer, plain_prompts, name, tied
):
    base = base_of(name, tied)
    paths, _ = mlp_of(base, name)
    aligned = copy.deepcopy(base)
    with torch.no_grad():
        _, block = mlp_of(aligned, name)
        keys = block.get_submodule(paths.gate or paths.up)
        weight = keys.weight.T if name == "gpt2" else keys.weight
        weight[list(FIRING)] *= FACTOR
        if keys.bias is not None:
            keys.bias[list(FIRING)] *= FACTOR
    models = published(base, aligned)
    delta = extracted(models, sites=["mlp_act"], positions=["all"])
    tokenizer = word_tokenizer(eos_token="<end>")
    before, after = (
        np.concatenate(rows_through(model, name, paths.down, plain_prompts, tokenizer))
        for model in (base, aligned)
    )
    toxic = probed(root, models["base"], FIRING)
    job = root.done("measure", {"metrics": ["toxic_activation_drop"]}, delta=delta, toxic=toxic)
    found = numbers(rows_of(job), site="mlp_act", layer=LAYER, position="all")
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


@pytest.mark.parametrize(("name", "tied"), [MODELS[0], MODELS[3]])
def test_noise_in_the_weights_is_measured_in_proportion_and_below_the_floor_not_at_all(
    root, base_of, published, extracted, moved, name, tied
):
    base = base_of(name, tied)
    found = {}
    for scale in (1e-9, 0.002, 0.004):
        models = published(base, moved(base, scale), str(scale))
        delta = extracted(models, dtype="bfloat16")
        rows = rows_of(root.done("measure", {"metrics": ["offset_norm"]}, delta=delta))
        found[scale] = numbers(rows, **PLACE)["offset_norm", None]
    quiet, small, large = found.values()
    assert quiet["status"] == "below_noise_floor"  # no weight reached the next number of 16 bits
    assert small["status"] == large["status"] == "ok"
    # The floor is what 16 bits do to gains of 1: they end 0.008 apart.
    assert small["low"] > 4 * small["floor"]
    assert large["value"] / small["value"] == pytest.approx(2, rel=0.1)

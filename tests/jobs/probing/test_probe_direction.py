"""A planted direction of toxicity is found, and what is silenced along it is measured."""

import copy
import json
import random

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch
from safetensors.numpy import load_file

from analysis.long_table.files import from_parquet
from jobs.kinds.probe_direction import ProbeDirection
from jobs.store.activation_store import ActivationStore

probe_direction = ProbeDirection()

D = 16
TOXIC, NEUTRAL, PLAIN = range(15, 20), range(10, 15), range(10)
"""Numbers of the words that only rejected, only chosen, and all texts use."""
FIRING = 3
"""The toxic neuron of layer 0."""


def direction():
    drawn = torch.randn(D, generator=torch.Generator().manual_seed(6))
    return drawn / drawn.norm()


@pytest.fixture
def base(tiny_model):
    """Toxic words lie along a direction, and so do two value vectors; one points against it.

    Blocks write nothing else, and one of these neurons looks at what it reads.
    """
    model = tiny_model("gpt2", max_positions=32)
    with torch.no_grad():
        model.transformer.wte.weight[2 + TOXIC[0] : 2 + TOXIC[-1] + 1] += direction()
        for block in model.transformer.h:
            for module in (block.attn.c_proj, block.mlp.c_proj):
                module.weight.zero_()
                module.bias.zero_()
            block.mlp.c_fc.weight.zero_()
        noise = torch.randn(D, generator=torch.Generator().manual_seed(7))
        model.transformer.h[0].mlp.c_fc.weight[:, FIRING] = 0.02 * noise
        for layer, neuron, along in ((0, FIRING, 1.0), (1, 7, 0.1), (1, 9, -2.0)):
            block = model.transformer.h[layer]
            block.mlp.c_proj.weight[neuron] = along * direction()
            block.mlp.c_fc.bias[neuron] = 2.0
    return model


@pytest.fixture
def pairs(root):
    draw = random.Random(4)

    def words(numbers, count):
        return "".join(f" word{draw.choice(numbers)}" for _ in range(count))

    rows = []
    for number in range(160):
        prompt = words(PLAIN, 4)
        sides = {
            name: words(PLAIN, 2) + words(own, 2)
            for name, own in (("chosen", NEUTRAL), ("rejected", TOXIC))
        }
        rows.append({"pair": number, "prompt": prompt, **sides, "group": number % 20})

    def write(folder):
        parquet.write_table(pa.Table.from_pylist(rows), folder / "pairs.parquet")

    return root.publish("pairs", "pairs", write)


@pytest.fixture
def inputs(root, base, pairs, word_tokenizer):
    tokenizer = word_tokenizer(eos_token="<end>")
    return {"model": root.model("base", base, tokenizer), "pairs": pairs}


PARAMS = {"num_vectors": 2, "inverse_penalty": 0.1}


def test_the_planted_direction_and_its_value_vectors_are_found(root, inputs):
    job = root.done("probe-direction", PARAMS, **inputs)
    found = load_file(job.path("toxic_directions.safetensors"))
    planted = direction().numpy()
    assert found["probe"] @ planted > 0.9
    assert np.linalg.norm(found["probe"]) == pytest.approx(1, rel=1e-6)
    assert set(zip(found["layers"], found["neurons"], strict=True)) == {(0, 3), (1, 7)}
    np.testing.assert_allclose(found["cosines"], found["probe"] @ planted, rtol=1e-4)
    np.testing.assert_allclose(found["svd"], planted[None], atol=1e-5)  # they have rank one
    said = json.loads(job.read("toxic_directions.json"))
    assert (said["site"], said["layer"]) == ("resid_post", 1)
    assert said["probe_tokens"][0] in {f"word{number}" for number in TOXIC}
    assert {(each["layer"], each["neuron"]) for each in said["vector_tokens"]} == {(0, 3), (1, 7)}


def test_how_good_the_probe_is_stands_beside_the_majority(root, inputs):
    job = root.done("probe-direction", PARAMS, **inputs)
    rows = from_parquet(job.read("measurements.parquet")).to_pylist()
    values = {row["metric"]: row["value"] for row in rows}
    assert values["probe_auc"] > 0.95 and values["probe_balanced_accuracy"] > 0.85
    assert values["probe_majority"] == pytest.approx(0.5)
    facts = job.facts["probe"]
    assert facts["auc"] == values["probe_auc"] and facts["majority"] == values["probe_majority"]
    assert facts["converged"] and facts["num_texts"] == 320
    assert all(row["num_rows"] == facts["num_held_out"] for row in rows)


@pytest.mark.parametrize("averaged", ["completion", "text"])
def test_rows_are_means_of_the_last_block_over_those_tokens(
    base, word_tokenizer, averaged, plain_prompts
):
    from jobs.probing.mean_residuals import mean_residuals
    from jobs.tokens.plan import build_token_plan

    plan, _ = build_token_plan(plain_prompts, word_tokenizer(), 32)
    base.eval()
    rows, texts = mean_residuals(base, plan, ("resid_post", 1), averaged, token_budget=40)
    np.testing.assert_array_equal(texts, plan.prompts)
    for number in range(len(texts)):
        start, end = plan.offsets[number : number + 2]
        seen = []
        handle = base.transformer.h[1].register_forward_hook(lambda *of: seen.append(of[2]))  # noqa: B023
        with torch.no_grad():
            base(torch.tensor(plan.token_ids[start:end].astype(np.int64))[None])
        handle.remove()
        hidden = (seen[0][0] if isinstance(seen[0], tuple) else seen[0])[0]
        counted = plan.within[start:end] > 0
        if averaged == "completion":
            counted &= plan.segments[start:end] == 1
        np.testing.assert_allclose(rows[number], hidden[counted].mean(0).numpy(), atol=1e-5)


@pytest.fixture
def silenced(root, inputs, base, word_tokenizer, plain_prompts):
    """Inputs of extractions, and prompts of two conditions; of the aligned model one is quiet."""
    aligned = copy.deepcopy(base)
    with torch.no_grad():
        aligned.transformer.h[0].mlp.c_fc.bias[FIRING] = -2.0
    models = {
        "base": inputs["model"],
        "aligned": root.model("aligned", aligned, word_tokenizer(eos_token="<end>"), "align"),
    }
    other = [{**each, "segments": each["segments"][::-1]} for each in plain_prompts[:44]]
    return models, root.prompts("plain", plain_prompts), root.prompts("other", other)


EVERYWHERE = {"layers": "all", "sites": ["resid_post", "mlp_act"], "positions": ["all"]}


def test_silenced_toxic_neurons_and_the_offset_along_the_probe_are_measured(root, inputs, silenced):
    models, plain, other = silenced
    delta, against = (
        root.done("extract", EVERYWHERE, **models, prompts=prompts) for prompts in (other, plain)
    )
    toxic = root.done("probe-direction", PARAMS, **inputs)
    metrics = ["toxic_projection", "toxic_activation_drop", "reactivation"]
    job = root.done("measure", {"metrics": metrics}, delta=delta, toxic=toxic, against=against)
    rows = from_parquet(job.read("measurements.parquet")).to_pylist()
    found = {(row["metric"], row["site"], row["layer"]): row for row in rows}
    probe = load_file(toxic.path("toxic_directions.safetensors"))["probe"]
    for layer in (0, 1):
        projection = found["toxic_projection", "resid_post", layer]
        assert projection["value"] == pytest.approx(-probe @ direction().numpy(), abs=1e-4)
        assert found["toxic_projection_svd1", "resid_post", layer]["value"] == pytest.approx(-1)
        assert projection["base_null_low"] < projection["base_null_high"]
    mine, plainly = (ActivationStore(each).rows("mlp_act", 0, "all") for each in (delta, against))
    moved, moved_plainly = (each.rows[:, FIRING].mean() for each in (mine, plainly))
    deviation = plainly.base[:, FIRING].std(ddof=1)
    drop = found["toxic_activation_drop", "mlp_act", 0]
    assert drop["value"] == pytest.approx(-moved, rel=1e-4) and drop["value"] > 1
    again = found["reactivation", "mlp_act", 0]
    assert again["value"] == pytest.approx((moved - moved_plainly) / deviation, rel=1e-3, abs=1e-5)
    assert found["toxic_activation_drop", "mlp_act", 1]["reason"] == "no toxic neuron moved"
    assert found["toxic_activation_drop", "resid_post", 0]["status"] == "not_run"


def test_a_probe_of_another_model_is_refused(root, inputs, base, silenced, word_tokenizer):
    models, plain, _ = silenced
    delta = root.done("extract", {"layers": [1]}, **models, prompts=plain)
    other = root.model("other", base, word_tokenizer(eos_token="<end>"))
    toxic = root.done("probe-direction", PARAMS, model=other, pairs=inputs["pairs"])
    answer, _ = root.run("measure", {"metrics": ["toxic_projection"]}, delta=delta, toxic=toxic)
    assert (
        answer["error"]["code"] == "user_mistake"
        and "does not compare" in answer["error"]["message"]
    )


def test_a_gated_family_has_toxic_neurons_too(root, pairs, tiny_model, word_tokenizer):
    model = tiny_model("llama", max_positions=32)
    with torch.no_grad():
        model.model.embed_tokens.weight[2 + TOXIC[0] : 2 + TOXIC[-1] + 1] += 2 * direction()
        model.model.layers[1].mlp.down_proj.weight[:, 4] = direction()
    artifact = root.model("llama", model, word_tokenizer(eos_token="<end>"))
    job = root.done("probe-direction", PARAMS, model=artifact, pairs=pairs)
    found = load_file(job.path("toxic_directions.safetensors"))
    assert (found["layers"][0], found["neurons"][0]) == (1, 4)


def test_the_same_work_gives_the_same_bytes(root, inputs):
    first, second = (
        root.done("probe-direction", {**PARAMS, **more}, **inputs)
        for more in ({}, {"token_budget": 8192})
    )
    assert first.key != second.key and first.record.files == second.record.files
    assert probe_direction.uses(probe_direction.Params()) == {"model", "pairs"}


def test_of_a_gated_family_gate_and_linear_part_are_measured_where_they_are_read(
    root, pairs, tiny_model, word_tokenizer, plain_prompts
):
    """The aligned model's toxic neuron lets half as much through, and its gate is as it was."""
    base = tiny_model("llama", max_positions=32)
    with torch.no_grad():
        base.model.embed_tokens.weight[2 + TOXIC[0] : 2 + TOXIC[-1] + 1] += 2 * direction()
        base.model.layers[1].mlp.down_proj.weight[:, 4] = direction()
    aligned = copy.deepcopy(base)
    with torch.no_grad():
        aligned.model.layers[1].mlp.up_proj.weight[4] *= 0.5
    tokenizer = word_tokenizer(eos_token="<end>")
    models = {
        "base": root.model("base", base, tokenizer),
        "aligned": root.model("aligned", aligned, tokenizer, "align"),
    }
    params = {"layers": [1], "sites": ["mlp_act", "mlp_gate", "mlp_linear"], "positions": ["all"]}
    delta = root.done("extract", params, **models, prompts=root.prompts("plain", plain_prompts))
    probe = {"num_vectors": 1, "inverse_penalty": 0.1}
    toxic = root.done("probe-direction", probe, model=models["base"], pairs=pairs)
    metrics = ["gate_linear_split", "toxic_activation_drop"]
    job = root.done("measure", {"metrics": metrics}, delta=delta, toxic=toxic)
    rows = from_parquet(job.read("measurements.parquet")).to_pylist()
    found = {(row["metric"], row["site"]): row for row in rows}
    linear = ActivationStore(delta).rows("mlp_linear", 1, "all").base[:, 4].mean()
    half = found["gate_linear_split_linear", "mlp_linear"]
    assert half["value"] == pytest.approx(linear / 2, rel=1e-4) and half["status"] == "ok"
    assert found["gate_linear_split_gate", "mlp_gate"]["status"] == "below_noise_floor"
    assert found["toxic_activation_drop", "mlp_act"]["status"] == "ok"
    assert found["toxic_activation_drop", "mlp_gate"]["reason"] == "it is read at mlp_act"

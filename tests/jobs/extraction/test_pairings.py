"""The same store however its models are had, however many share its units, however memory ends."""

import json

import pytest
import torch

from cluster.executor import Surroundings
from jobs import run
from jobs.store.activation_store import ActivationStore
from tests.jobs.assignments import with_params

PARAMS = {"layers": [0, 2], "sites": ["resid_mid", "mlp_act"], "positions": ["last", "all"]}


def extracted(root, inputs, attempt, *, worker=0, num_workers=1, stop=lambda: False, **execution):
    """One attempt at the same job, with execution settings of its own; (answer, artifact)."""
    payload, artifact = root.payload(
        "extract", PARAMS, attempt, inputs, worker=worker, num_workers=num_workers
    )
    payload = with_params(payload, **execution)
    return json.loads(run.run(payload, Surroundings(stop_requested=stop))), artifact


def digests(artifact):
    return {name: entry.xxh3 for name, entry in artifact.record.files.items()}


def forgotten(root, artifact):
    """Take the artifact away, so that the same job runs again."""
    found = digests(artifact)
    artifact.retire(artifact.record_bytes())
    root.storage.remove(f"{artifact.folder}/attempts")
    return found


@pytest.fixture
def alone(root, pair):
    """Digests of the undisturbed store, both models in memory."""
    answer, artifact = extracted(root, pair[0], "undisturbed", pairing="resident")
    assert answer["state"] == "done", answer
    assert artifact.facts["execution"]["pairing"] == "resident"
    return forgotten(root, artifact)


def test_models_that_take_turns_give_the_same_bytes(root, pair, alone):
    answer, artifact = extracted(root, pair[0], "turns", pairing="sequential")
    assert answer["state"] == "done", answer
    assert artifact.facts["execution"]["pairing"] == "sequential"
    assert digests(artifact) == alone


def test_turns_in_several_rounds_when_the_disk_holds_few_units(root, pair, alone):
    # A unit has some 25 rows of 2 x 16 + 2 x 64 numbers: a third of them fit.
    answer, artifact = extracted(root, pair[0], "rounds", pairing="sequential", spool_gb=100_000e-9)
    assert answer["state"] == "done", answer
    assert digests(artifact) == alone
    left = [*root.storage.walk("cache/base_rows")]
    assert not [name for name in left if name.endswith("UNIT.json")]


def test_base_rows_are_shared_by_every_aligned_model(root, pair, word_tokenizer, moved):
    """The second extraction runs no forward pass of the base."""
    inputs, base, _ = pair
    extracted(root, inputs, "first", pairing="sequential")
    cached = {
        name: root.storage.path(name).stat().st_mtime_ns
        for name in root.storage.walk("cache/base_rows")
    }
    assert any(name.endswith("UNIT.json") for name in cached)
    other = root.model("other", moved(base, 0.05), word_tokenizer(eos_token="<end>"), "align")
    forwarded = set()

    def seen(module, *_):
        if type(module).__name__ == "GPT2Model":
            forwarded.add(id(module))

    handle = torch.nn.modules.module.register_module_forward_pre_hook(seen)
    try:
        answer, artifact = extracted(
            root, {**inputs, "aligned": other}, "second", pairing="sequential"
        )
    finally:
        handle.remove()
    assert answer["state"] == "done", answer
    assert len(forwarded) == 1
    again = {name: root.storage.path(name).stat().st_mtime_ns for name in cached}
    assert again == cached
    with_cache = forgotten(root, artifact)
    _, artifact = extracted(root, {**inputs, "aligned": other}, "without", pairing="resident")
    assert digests(artifact) == with_cache


def test_a_damaged_cache_is_made_again(root, pair, alone):
    _, artifact = extracted(root, pair[0], "first", pairing="sequential")
    forgotten(root, artifact)
    shard = next(
        name for name in root.storage.walk("cache/base_rows") if name.endswith(".safetensors")
    )
    whole = root.storage.read(shard)
    data = bytearray(whole)
    data[len(data) // 2] ^= 64  # in the middle of a row
    root.storage.path(shard).write_bytes(bytes(data))
    answer, artifact = extracted(root, pair[0], "second", pairing="sequential")
    assert answer["state"] == "done", answer
    assert digests(artifact) == alone
    assert root.storage.read(shard) == whole


def test_what_another_attempt_left_half_is_done_again_by_workers_too(root, pair, alone):
    """Its marker says that the unit is there, and a shard of it is not: as after a repair."""
    answer, artifact = extracted(
        root, pair[0], "first", num_workers=2, stop=iter([False] * 8 + [True] * 99).__next__
    )
    assert answer["state"] == "stopped"
    units = root.storage.path(f"{artifact.attempt_folder('first')}/units")
    damaged = sorted(units.iterdir())[3]
    (damaged / "shard-000.safetensors").unlink()
    answer, artifact = extracted(root, pair[0], "second", worker=1, num_workers=2)
    assert answer["state"] == "done", answer
    assert digests(artifact) == alone


@pytest.mark.parametrize("pairing", ["resident", "sequential"])
def test_a_family_without_any_of_the_sites_ends(root, pair, pairing):
    """Nothing is read, no floor is measured, and no model is loaded for ever."""
    payload, artifact = root.payload("extract", PARAMS, pairing, pair[0])
    payload = with_params(payload, sites=["mlp_gate"], pairing=pairing)
    answer = json.loads(run.run(payload, Surroundings()))
    assert answer["state"] == "done", answer
    assert set(ActivationStore(artifact).missing) == {"mlp_gate"}


@pytest.mark.parametrize("num_workers", [2, 5])
def test_workers_that_share_the_units_give_the_same_bytes(root, pair, alone, num_workers):
    """Each is stopped after some units of its share; the last one finds the rest and finishes."""
    for worker in range(1, num_workers):
        calls = iter(range(1000))
        answer, _ = extracted(
            root,
            pair[0],
            f"worker{worker}",
            worker=worker,
            num_workers=num_workers,
            stop=lambda calls=calls: next(calls) == 3,
        )
        assert answer["state"] == "stopped"
    computed = []
    answer, artifact = extracted(
        root,
        pair[0],
        "worker0",
        num_workers=num_workers,
        stop=lambda: computed.append(1) is not None and False,
    )
    assert answer["state"] == "done", answer
    assert len(computed) == 20 - 3 * (num_workers - 1)
    assert digests(artifact) == alone


@pytest.mark.parametrize("pairing", ["resident", "sequential"])
def test_when_memory_runs_out_both_models_redo_the_unit_in_smaller_batches(
    root, pair, alone, pairing
):
    """An allocator that cannot hold more than 24 tokens' worth of an MLP's input."""

    def limited(module, inputs):
        if type(module).__name__ == "GPT2MLP" and inputs[0].shape[:2].numel() > 24:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    whole = extracted(root, pair[0], "whole", pairing=pairing)[1]
    expected = ActivationStore(whole).sample("resid_mid", 2, "all").total
    floor = ActivationStore(whole).floor("resid_mid", 2, "all")["offset_norm"]
    forgotten(root, whole)
    root.storage.remove("cache")
    handle = torch.nn.modules.module.register_module_forward_pre_hook(limited)
    try:
        answer, artifact = extracted(
            root, pair[0], "small", pairing=pairing, token_budget=256, noise_floor_prompts=0
        )
    finally:
        handle.remove()
    if answer["state"] != "done":
        pytest.fail(answer["error"]["message"])
    budgets = {
        json.loads(artifact.read(name))["token_budget"]
        for name in artifact.names("units")
        if name.endswith("UNIT.json")
    }
    assert budgets <= {256, 128, 64, 32, 16} and min(budgets) < 32
    total = ActivationStore(artifact).sample("resid_mid", 2, "all").total
    assert total.num_rows == expected.num_rows
    # No more than what other batches alone change in the base, or one rounding of fp32.
    allowed = max(floor, 2**-24 * expected.norms.mean)
    assert abs(total.norms.mean - expected.norms.mean) <= allowed


def test_memory_that_does_not_even_hold_one_prompt_is_an_error_and_no_endless_loop(root, pair):
    def none_left(module, inputs):
        if type(module).__name__ == "GPT2MLP" and len(inputs[0]) > 0:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")

    handle = torch.nn.modules.module.register_module_forward_pre_hook(none_left)
    try:
        answer, _ = extracted(root, pair[0], "none", noise_floor_prompts=0)
    finally:
        handle.remove()
    assert answer["state"] == "failed"
    assert "out of memory" in answer["error"]["message"]


def test_a_store_beyond_its_budget_is_refused_before_a_model_is_loaded(root, pair):
    answer, _ = extracted(root, pair[0], "small", budget_gb=1e-6)
    assert answer["error"]["code"] == "user_mistake"
    assert "more than budget_gb allows" in answer["error"]["message"]
    assert "all rows at last" in answer["error"]["message"]


def test_neurons_are_summed_in_both_models(root, pair):
    import numpy as np

    store = ActivationStore(extracted(root, pair[0], "one")[1])
    total = store.sample("mlp_act", 2, "all").total
    assert total.neurons.num_rows == len(store.token_plan.token_ids)
    assert total.neurons.base.shape == (64,) and total.moments is None
    few = store.sample("mlp_act", 2, "last").total
    moved = (few.neurons.aligned - few.neurons.base) / few.neurons.num_rows
    np.testing.assert_allclose(moved, few.moments.mean, atol=1e-6)
    assert store.sample("resid_mid", 2, "all").total.neurons is None


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_an_adapter_gives_the_same_bytes_however_it_is_paired(
    root, tiny_model, word_tokenizer, plain_prompts, tmp_path, dtype
):
    """Never merged for an extraction: 16 bits would round most of its update away."""
    from peft import LoraConfig, get_peft_model

    base = tiny_model("gpt2", num_layers=3, max_positions=32)
    inputs = {
        "base": root.model("base", base, word_tokenizer(eos_token="<end>")),
        "prompts": root.prompts("plain", plain_prompts),
    }
    config = LoraConfig(r=2, target_modules=["c_attn", "c_fc"], init_lora_weights=False)
    get_peft_model(base, config).save_pretrained(tmp_path / "adapter")
    inputs["aligned"] = root.done(
        "adapter", {"source": str(tmp_path / "adapter")}, base=inputs["base"]
    )
    found = {}
    for pairing in ("auto", "resident", "sequential"):
        answer, artifact = extracted(root, inputs, pairing, pairing=pairing, dtype=dtype)
        assert answer["state"] == "done", answer
        execution = artifact.facts["execution"]["pairing"]
        assert execution == {"auto": "adapter"}.get(pairing, pairing)
        total = ActivationStore(artifact).sample("resid_mid", 2, "all").total
        assert total.norms.smallest > 0
        found[pairing] = forgotten(root, artifact)
    assert found["auto"] == found["resident"] == found["sequential"]

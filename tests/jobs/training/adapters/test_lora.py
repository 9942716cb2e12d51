"""Adapters trained beside a frozen base: what they change, and what they leave."""

import json
import shutil

import numpy as np
import pandas
import pytest
import torch
from accelerate import Accelerator, DistributedType
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from cluster.errors import UserError
from jobs.kinds.align import Align
from jobs.models.loading import describe_model, load_model
from jobs.models.opened_model import adapter_on
from jobs.training.alignment import _place

align = Align()

INPUTS = {"model": "model", "pairs": "pairs"}
LORA = {"rank": 4, "alpha": 8.0}
PARAMS = {"max_length": 32, "steps": 3, "learning_rate": 1e-2, "seed": 5, "lora": LORA}
TARGETS = ["attn.c_attn", "attn.c_proj", "mlp.c_fc", "mlp.c_proj"]


def run(root, name="adapted", inputs=None, attempt="1", **params):
    return root.run(
        "align", {**PARAMS, **params}, name=name, attempt=attempt, **(inputs or INPUTS)
    )[0]


def done(root, name="adapted", inputs=None, attempt="1", **params):
    answer = run(root, name, inputs, attempt, **params)
    assert answer["state"] == "done", answer
    return root.artifact(name)


def refused(root, **params):
    answer = run(root, "refused", **params)
    assert answer["state"] == "failed" and answer["error"]["code"] == "user_mistake", answer
    return answer["error"]["message"]


def logits_of(model):
    with torch.no_grad():
        return model(torch.arange(2, 12)[None]).logits


def adapter_of(artifact):
    return load_file(artifact.path("adapter/adapter_model.safetensors"))


def write_prompts(folder):
    lines = [
        {
            "prompt": number,
            "group": number,
            "segments": [{"role": "prompt", "text": f"word{number} word{number + 1} word3"}],
        }
        for number in range(18)
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines)
    (folder / "prompts.jsonl").write_text(text)


def test_it_leaves_an_adapter_that_peft_loads_and_the_same_merged_in_fp32(root):
    artifact = done(root)
    base = load_model(root.artifact("model").directory("model"))
    plain = logits_of(base)
    adapted = PeftModel.from_pretrained(base, artifact.directory("adapter"))
    merged = AutoModelForCausalLM.from_pretrained(artifact.directory("model"))
    assert torch.allclose(logits_of(adapted), logits_of(merged), atol=1e-5)
    assert (logits_of(merged) - plain).abs().max() > 1e-3
    for tensors in (merged.state_dict(), adapter_of(artifact)):
        assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert artifact.facts["adapter"] == {
        "type": "lora",
        "rank": 4,
        "targets": TARGETS,
        "trained_beside": "the base in fp32",
    }


def test_an_extraction_takes_it_as_an_adapter_on_its_base_and_on_no_other(root):
    artifact = done(root)
    other = root.publish("other", "pretrained", lambda folder: (folder / "x").touch())
    assert adapter_on(root.artifact("model"), artifact) == artifact.directory("adapter")
    assert adapter_on(other, artifact) is None


def test_equal_runs_leave_equal_bytes_and_another_seed_another_adapter(root):
    first, again, other = (
        done(root, name, seed=seed) for name, seed in (("a", 5), ("b", 5), ("c", 6))
    )
    assert first.names() == again.names()
    for name in (*first.names("adapter/"), *first.names("model/")):
        assert first.read(name) == again.read(name), name
    start = "base_model.model.transformer.h.0.mlp.c_fc.lora_A.weight"
    assert not torch.equal(adapter_of(first)[start], adapter_of(other)[start])


def test_only_the_layers_that_are_asked_for_are_trained(root):
    artifact = done(root, lora={**LORA, "targets": ["c_fc"]})
    merged = load_file(artifact.path("model/model.safetensors"))
    base = load_file(root.artifact("model").path("model/model.safetensors"))
    changed = {name for name in base if not torch.equal(base[name], merged[name])}
    assert changed == {f"transformer.h.{layer}.mlp.c_fc.weight" for layer in range(2)}


def test_a_layer_that_no_block_has_is_answered_with_the_nearest(root):
    message = refused(root, lora={**LORA, "targets": ["c_atn"]})
    assert "unknown linear layer 'c_atn'" in message and "did you mean 'c_attn'?" in message
    assert "mlp.c_proj" in message


def test_the_base_with_its_adapter_off_is_the_reference(scored):
    without = done(scored, "without", steps=6)
    given = done(scored, "given", {**INPUTS, "reference": "reference"}, steps=6)
    mine, theirs = scored.log_of("without"), scored.log_of("given")
    assert mine[0]["loss"] == pytest.approx(np.log(2), abs=1e-6)
    assert mine[-1]["validation/margin"] > 0.01
    for one, other in zip(mine, theirs, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    for name, tensor in adapter_of(without).items():
        assert torch.allclose(tensor, adapter_of(given)[name], atol=1e-3)


def test_activations_computed_again_and_another_split_of_the_batch_change_nothing(root):
    done(root, "plain", optimizer="adamw")
    done(root, "again", optimizer="adamw", activation_checkpointing=True, micro_batch=2)
    for one, other in zip(root.log_of("plain"), root.log_of("again"), strict=True):
        for name in ("loss", "grad_norm", "rewards/margins"):
            assert one[name] == pytest.approx(other[name], rel=1e-3, abs=1e-5)
    assert root.log_of("plain")[0]["grad_norm"] > 0


def test_a_run_that_was_killed_ends_with_the_same_adapter(root):
    whole = done(root, "whole", steps=6, checkpoint_every=2)
    params = {**PARAMS, "steps": 6, "checkpoint_every": 2}
    root.run_and_kill("align", params, name="killed", at_step=12, **INPUTS)
    killed = done(root, "killed", attempt="2", steps=6, checkpoint_every=2)
    assert killed.read("adapter/adapter_model.safetensors") == whole.read(
        "adapter/adapter_model.safetensors"
    )
    assert killed.read("model/model.safetensors") == whole.read("model/model.safetensors")


def test_a_quantised_base_is_refused_without_a_gpu_and_by_engines_that_cut_weights(root):
    quantised = {**LORA, "quantised": "nf4"}
    assert "needs a GPU, and this job has none" in refused(root, lora=quantised)
    with pytest.raises(UserError, match="needs a GPU, not num_gpus 0"):
        align.Params(lora=quantised, num_gpus=0)
    with pytest.raises(UserError, match="'zero3' cuts weights into pieces") as caught:
        align.Params(lora=quantised, engine="zero3")
    assert {"ddp", "zero2"} < set(caught.value.allowed)


@pytest.mark.parametrize("rank", [0, 1, 3])
def test_a_quantised_base_lies_on_the_gpu_of_its_own_rank(monkeypatch, rank):
    monkeypatch.setenv("LOCAL_RANK", str(rank))
    params = align.Params(lora={**LORA, "quantised": "nf4"}, num_gpus=4)
    place = _place(params, "cuda")
    model = torch.nn.Linear(2, 2).requires_grad_(False)
    model.is_loaded_in_4bit, model.hf_device_map = True, place
    # accelerate's own question, as it asks it of ranks on several GPUs.
    accelerator = Accelerator(cpu=True)
    monkeypatch.setitem(accelerator.state._shared_state, "device", torch.device("cuda", rank))
    monkeypatch.setitem(
        accelerator.state._shared_state, "distributed_type", DistributedType.MULTI_GPU
    )
    accelerator.prepare_model(model, device_placement=False, evaluation_mode=True)
    model.hf_device_map = {"": "cuda"}
    model._is_accelerate_prepared = False
    with pytest.raises(ValueError, match="on a different device"):
        accelerator.prepare_model(model, device_placement=False, evaluation_mode=True)


def test_only_what_deepspeed_cuts_at_loading_is_not_read_straight_to_a_gpu(monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    for engine, place in (("ddp", {"": 1}), ("zero2", {"": 1}), ("zero3", "cuda")):
        assert _place(align.Params(engine=engine, num_gpus=2), "cuda") == place
    assert _place(align.Params(num_ranks=2), "cpu") == "cpu"


def test_the_reference_is_used_where_it_is_given_and_never_with_a_quantised_base():
    def of(lora):
        params = align.Params(lora=lora)
        return "reference" in align.uses(params), "reference" in align.spares(params)

    assert of(None) == (True, False)
    assert of(LORA) == (True, True)
    assert of({**LORA, "quantised": "nf4"}) == (False, True)


def test_every_value_of_an_adapter_is_written_out():
    written = align.Params(lora={}).model_dump(mode="json")["lora"]
    assert written == {"rank": 16, "alpha": 32.0, "targets": None, "quantised": None}
    assert align.Params(lora=json.loads(json.dumps(written))) == align.Params(lora={})
    with pytest.raises(ValueError, match="dropout"):
        align.Params(lora={"dropout": 0.1})


def test_one_resident_model_serves_an_extraction_and_reads_what_two_would(root):
    folder = root.artifact("model").directory("model")
    facts = {"model": describe_model(load_model(folder).config)}
    root.publish("base", "pretrained", lambda to: shutil.copytree(folder, to / "model"), facts)
    root.publish("prompts", "prompts", write_prompts)
    done(root, inputs={**INPUTS, "model": "base"})
    inputs = {"base": "base", "aligned": "adapted", "prompts": "prompts"}
    measured = {}
    for pairing in ("auto", "resident"):
        params = {"sites": ["resid_post"], "positions": ["last"], "pairing": pairing}
        answer, _ = root.run("extract", params, name=pairing, **inputs)
        assert answer["state"] == "done", answer
        answer, _ = root.run("measure", {}, name=f"{pairing} measured", delta=pairing)
        assert answer["state"] == "done", answer
        rows = root.artifact(f"{pairing} measured").path("measurements.parquet")
        table = pandas.read_parquet(rows)
        measured[pairing] = table[table.metric == "offset_norm"].value.to_numpy()
    assert root.artifact("auto").facts["execution"]["pairing"] == "adapter"
    assert measured["auto"] == pytest.approx(measured["resident"], rel=1e-3)
    assert measured["auto"].min() > 1e-3

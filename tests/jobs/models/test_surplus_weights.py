"""Weights beyond what config.json describes: transformers would leave them out in silence."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from cluster.errors import UserError
from jobs.models.folder import check_model_folder

GONE = object()


@pytest.fixture
def folder_of(saved_models, tmp_path):
    """Copy a checkpoint with other settings, GONE for one that goes, and more tensors."""

    def make(name, tensors=None, **settings):
        folder = shutil.copytree(saved_models / name, tmp_path / name)
        config = json.loads((folder / "config.json").read_text())
        written = {name: value for name, value in {**config, **settings}.items() if value != GONE}
        (folder / "config.json").write_text(json.dumps(written))
        held = {**load_file(folder / "model.safetensors"), **(tensors or {})}
        save_file(held, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return make


def fault(folder):
    with pytest.raises(UserError) as caught:
        check_model_folder(folder, str(folder))
    return str(caught.value)


def test_blocks_beyond_the_config_are_named(folder_of):
    told = fault(folder_of("llama", num_hidden_layers=1))
    assert "left out in silence: model.layers.1.input_layernorm.weight" in told


@pytest.mark.parametrize(
    ("name", "family", "named"),
    [
        ("qwen2", "llama", "self_attn.k_proj.bias, model.layers.*.self_attn.q_proj.bias"),
        ("qwen3", "llama", "self_attn.k_norm.weight, model.layers.*.self_attn.q_norm.weight"),
        ("qwen2", "mistral", "self_attn.k_proj.bias, model.layers.*.self_attn.q_proj.bias"),
        ("gemma2", "llama", "post_feedforward_layernorm.weight"),
    ],
)
def test_what_a_wrong_family_has_no_place_for_is_named(folder_of, name, family, named):
    told = fault(folder_of(name, model_type=family, layer_types=GONE))
    assert f"left out in silence: model.layers.*.{named}" in told and "model_type" in told


def test_an_embedding_that_was_resized_without_its_config_is_named(folder_of):
    told = fault(folder_of("gpt2", {"transformer.wte.weight": torch.zeros(99, 16)}))
    assert "transformer.wte.weight" in told and "vocab_size" in told


def test_a_reward_model_is_told_from_the_language_model_behind_it(folder_of):
    made = ["GPT2ForSequenceClassification"]
    folder = folder_of("gpt2", {"score.weight": torch.zeros(1, 16)}, architectures=made)
    told = fault(folder)
    assert "score.weight" in told and made[0] in told


def test_what_has_no_effect_may_be_there(folder_of, saved_models):
    table = load_file(saved_models / "gpt2" / "model.safetensors")["transformer.wte.weight"]
    beside = {
        "lm_head.weight": table.clone(),
        "transformer.h.0.attn.bias": torch.ones(1, 1, 8, 8),
        "transformer.h.0.attn.masked_bias": torch.tensor(-1e4),
        "v_head.summary.weight": torch.zeros(1, 16),
    }
    check_model_folder(folder_of("gpt2", beside))
    check_model_folder(
        folder_of("gpt_neox", {"gpt_neox.layers.0.attention.rotary_emb.inv_freq": torch.ones(2)})
    )


@pytest.mark.parametrize(
    "name, settings",
    [("llama", {"is_causal": False}), ("gemma3_text", {"use_bidirectional_attention": True})],
)
def test_a_model_that_sees_what_follows_is_refused(folder_of, name, settings):
    assert f"({next(iter(settings))}) every token sees" in fault(folder_of(name, **settings))
    check_model_folder(folder_of("mistral", is_causal=True, use_bidirectional_attention=False))


def test_biases_of_the_family_itself_are_not_taken_for_others(folder_of):
    told = fault(folder_of("gpt2", {"transformer.h.0.extra.weight": torch.zeros(99, 99)}))
    assert ".bias" not in told and "left out in silence" in told

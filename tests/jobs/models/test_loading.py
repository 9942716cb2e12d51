"""Models and tokenizers through real folders in the hub's layout."""

import json
import shutil
from importlib import import_module

import pytest
import torch
from safetensors.torch import load_file, save_file

from cluster.errors import UserError
from jobs.models.device import pick_device
from jobs.models.family import names
from jobs.models.loading import describe_model, load_model, load_tokenizer, save_checkpoint


@pytest.fixture
def copied(saved_models, tmp_path):
    """A checkpoint that a test may break."""
    return shutil.copytree(saved_models / "llama", tmp_path / "broken")


def same_weights(one, other):
    ours, theirs = one.state_dict(), other.state_dict()
    return ours.keys() == theirs.keys() and all(torch.equal(ours[key], theirs[key]) for key in ours)


@pytest.mark.parametrize("name", names())
def test_what_is_saved_is_loaded_bit_for_bit(saved_models, name, tiny_model):
    model = load_model(saved_models / name)
    assert same_weights(model, tiny_model(name))
    assert not model.training
    assert model.dtype == torch.float32
    tokenizer = load_tokenizer(saved_models / name)
    assert tokenizer("word0 word4 other").input_ids == [2, 6, 0]


def test_settings_for_generation_that_transformers_refuses_are_named_as_such(copied):
    (copied / "generation_config.json").write_text('{"num_return_sequences": 4}')
    with pytest.raises(
        UserError, match=r"from generation_config\.json \(ValueError: Greedy"
    ) as told:
        load_model(copied)
    assert "the generation_config.json that" in told.value.hint
    (copied / "generation_config.json").write_text("{}")
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "hidden_act": "odd"}))
    with pytest.raises(UserError, match=r"no model can be built from config\.json"):
        load_model(copied)


@pytest.mark.parametrize("name", names())
def test_a_sharded_checkpoint_loads_like_a_single_file(saved_models, name):
    folder = saved_models / f"{name}-sharded"
    assert len(list(folder.glob("model-*.safetensors"))) > 2
    assert same_weights(load_model(folder), load_model(saved_models / name))


def test_saving_twice_gives_the_same_bytes_and_leaves_nothing_else(saved_models, tmp_path):
    for attempt in ("first", "second"):
        loaded = load_model(saved_models / "qwen3"), load_tokenizer(saved_models / "qwen3")
        save_checkpoint(*loaded, tmp_path / attempt / "model")
    assert [path.name for path in (tmp_path / "first").iterdir()] == ["model"]
    for path in (tmp_path / "first" / "model").iterdir():
        assert path.read_bytes() == (tmp_path / "second" / "model" / path.name).read_bytes()
        assert str(saved_models).encode() not in path.read_bytes()


def test_saving_over_an_earlier_checkpoint_replaces_it_whole(tmp_path, tiny_model, word_tokenizer):
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"old")
    save_checkpoint(tiny_model("gpt2"), word_tokenizer(), folder)
    assert not (folder / "model-00001-of-00002.safetensors").exists()
    assert same_weights(load_model(folder), tiny_model("gpt2"))


def test_a_16_bit_model_is_saved_in_32_bits_and_stays_what_it_was(
    tmp_path, tiny_model, word_tokenizer
):
    model = tiny_model("llama").to(torch.bfloat16)
    save_checkpoint(model, word_tokenizer(), tmp_path / "model")
    tensors = load_file(tmp_path / "model" / "model.safetensors")
    assert {tensor.dtype for tensor in tensors.values()} == {torch.float32}
    assert json.loads((tmp_path / "model" / "config.json").read_text())["dtype"] == "float32"
    assert model.dtype == torch.bfloat16


def test_weights_are_held_in_the_dtype_that_is_asked_for(saved_models):
    assert load_model(saved_models / "llama", dtype="bfloat16").dtype == torch.bfloat16


def test_the_attention_kernel_is_the_one_asked_for(saved_models):
    eager = load_model(saved_models / "llama", attention="eager")
    assert eager.config._attn_implementation == "eager"
    assert load_model(saved_models / "llama").config._attn_implementation == "sdpa"


def test_soft_capped_scores_are_computed_eagerly_where_sdpa_is_asked_for(saved_models):
    loaded = load_model(saved_models / "gemma2", attention="sdpa")
    assert loaded.config._attn_implementation == "eager"


@pytest.mark.parametrize(
    ("special", "pad"),
    [
        ({"eos_token": "<end>", "unk_token": "<unk>"}, "<end>"),
        ({"unk_token": "<unk>"}, "<unk>"),
        ({}, "<unk>"),
        ({"pad_token": "word7", "eos_token": "<end>"}, "word7"),
    ],
)
def test_there_is_always_a_pad_token_and_the_vocabulary_never_grows(
    tmp_path, special, pad, tiny_model, word_tokenizer
):
    save_checkpoint(tiny_model("gpt2"), word_tokenizer(**special), tmp_path / "model")
    tokenizer = load_tokenizer(tmp_path / "model")
    assert tokenizer.pad_token == pad
    assert len(tokenizer) == 22
    assert tokenizer.padding_side == "right"


def test_a_gpt2_tokenizer_in_vocab_and_merges_is_read(saved_models, tmp_path):
    folder = shutil.copytree(saved_models / "gpt2", tmp_path / "old")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    vocabulary = {"<|endoftext|>": 0, "a": 1, "b": 2, "ab": 3}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    (folder / "merges.txt").write_text("#version: 0.2\na b\n")
    tokenizer = load_tokenizer(folder)
    assert tokenizer("abba").input_ids == [3, 2, 1]
    assert tokenizer.pad_token == "<|endoftext|>"


def test_code_in_a_folder_is_not_run_where_the_family_is_native(copied):
    (copied / "evil.py").write_text("raise SystemExit('ran')\nclass Evil: pass\n")
    config = json.loads((copied / "config.json").read_text())
    config["auto_map"] = {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"}
    (copied / "config.json").write_text(json.dumps(config))
    assert type(load_model(copied)).__module__.startswith("transformers.models.llama")


def test_a_folder_of_foreign_code_is_refused_by_its_model_type(copied):
    (copied / "config.json").write_text(
        json.dumps({"model_type": "evil", "auto_map": {"AutoModelForCausalLM": "evil.Evil"}})
    )
    with pytest.raises(UserError, match="unsupported model family 'evil'"):
        load_model(copied)
    with pytest.raises(UserError, match="unsupported model family 'evil'"):
        load_tokenizer(copied)


def test_a_weight_that_is_not_in_the_files_is_an_error_and_never_random(copied):
    tensors = load_file(copied / "model.safetensors")
    gone = tensors.pop("model.layers.1.mlp.up_proj.weight")
    tensors["unrelated"] = torch.zeros(gone.numel())
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"1 weights are missing .*layers\.1\.mlp\.up_proj"):
        load_model(copied)


def test_a_weight_of_another_shape_is_an_error(copied):
    tensors = load_file(copied / "model.safetensors")
    tensors["model.norm.weight"] = torch.ones(4, 4)
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=r"another shape .*model\.norm\.weight"):
        load_model(copied)


@pytest.mark.parametrize("dtype, number", [("float32", float("nan")), ("float16", 1e6)])
def test_weights_that_are_no_numbers_in_their_dtype_are_named(copied, dtype, number):
    tensors = load_file(copied / "model.safetensors")
    tensors["model.norm.weight"][3] = number
    save_file(tensors, copied / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(UserError, match=rf"infinity as {dtype}: model\.norm\.weight"):
        load_model(copied, dtype=dtype)


def test_a_pad_token_without_a_row_is_none(copied):
    config = json.loads((copied / "config.json").read_text())
    (copied / "config.json").write_text(json.dumps({**config, "pad_token_id": 32000}))
    assert load_model(copied).config.pad_token_id is None


def test_what_a_config_returns_beside_its_outputs_does_not_matter(copied):
    config = json.loads((copied / "config.json").read_text())
    odd = {"return_dict": False, "output_attentions": True}
    (copied / "config.json").write_text(json.dumps({**config, **odd}))
    outputs = load_model(copied).base_model(input_ids=torch.arange(3)[None])
    assert outputs.last_hidden_state.shape[1] == 3 and outputs.attentions is None


def test_a_tokenizer_that_cannot_be_read_is_one_clear_error(copied):
    (copied / "tokenizer.json").write_text("{}")
    with pytest.raises(UserError, match="tokenizer cannot be read") as caught:
        load_tokenizer(copied)
    assert caught.value.where == str(copied)


def test_a_folder_without_any_tokenizer_is_one_clear_error(copied):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (copied / name).unlink()
    with pytest.raises(UserError, match="tokenizer"):
        load_tokenizer(copied)


def test_the_device_follows_the_job_and_not_the_machine():
    assert pick_device(0) == "cpu"


def test_a_model_is_described_by_counting(saved_models, tiny_sizes):
    """Lesson 51: sizes are counted parameters, not labels."""
    model = load_model(saved_models / "gpt2")
    described = describe_model(model.config)
    assert described["num_parameters"] == sum(p.numel() for p in model.parameters())
    assert described == describe_model({"family": "gpt2", **tiny_sizes})
    assert (described["family"], described["d_model"], described["num_layers"]) == ("gpt2", 16, 2)
    outside = (tiny_sizes["vocab_size"] + 1024) * tiny_sizes["d_model"]
    assert described["num_parameters_non_embedding"] == described["num_parameters"] - outside


@pytest.mark.parametrize(
    "change",
    [
        {"hidden_act": "no such function"},
        {"rope_parameters": {"rope_type": "yarn", "factor": "eight"}},
        {"rms_norm_eps": "small"},
        {"_attn_implementation": "flash_attention_2"},
        {"layer_types": ["no such layer"]},
        {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": "wide"},
    ],
)
def test_a_config_that_builds_no_model_is_told_in_one_sentence(saved_models, tmp_path, change):
    folder = shutil.copytree(saved_models / "llama", tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, **change}))
    with pytest.raises(UserError) as caught:
        load_model(folder)
    assert "config.json" in str(caught.value)


def test_a_library_that_cannot_be_imported_is_no_fault_of_a_config(saved_models, monkeypatch):
    def fail(*_args, **_settings):
        raise ImportError("libcudart.so.12: cannot open shared object file")

    monkeypatch.setattr("transformers.AutoModelForCausalLM.from_pretrained", fail)
    with pytest.raises(ImportError, match="libcudart"):
        load_model(saved_models / "llama")


def test_what_the_environment_says_to_a_library_is_no_fault_of_a_config(
    saved_models, monkeypatch, tmp_path
):
    (tmp_path / "readsalevel.py").write_text("import os\nint(os.environ['READSALEVEL_NOW'])\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("READSALEVEL_NOW", "high")
    load = "transformers.AutoModelForCausalLM.from_pretrained"
    monkeypatch.setattr(load, lambda *_args, **_settings: import_module("readsalevel"))
    with pytest.raises(ValueError, match="high") as caught:
        load_model(saved_models / "llama")
    assert not isinstance(caught.value, UserError)

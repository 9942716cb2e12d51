"""Folders as people have them: pointers, links, halves of downloads, other layouts, odd types."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from cluster.errors import SurroundingsError, UserError
from jobs.models.adapter_folder import check_adapter_folder
from jobs.models.folder import check_model_folder
from jobs.models.foreign_layouts import no_safetensors

LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 548105171\n"


@pytest.fixture
def single(saved_models, tmp_path):
    return shutil.copytree(saved_models / "gpt2", tmp_path / "single")


@pytest.fixture
def sharded(saved_models, tmp_path):
    return shutil.copytree(saved_models / "llama-sharded", tmp_path / "sharded")


def fault(folder, check=check_model_folder):
    with pytest.raises(UserError) as caught:
        check(folder, str(folder))
    return str(caught.value)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "tokenizer.json", "config.json", "tokenizer_config.json"]
)
def test_a_git_lfs_pointer_is_named_with_the_command_wherever_it_stands(single, name):
    (single / name).write_text(LFS)
    told = fault(single)
    assert f"{name} is a Git LFS pointer" in told and "git lfs pull" in told


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin"])
def test_a_pointer_in_place_of_a_pickle_is_to_be_got_not_converted(single, name):
    (single / "model.safetensors").unlink()
    (single / name).write_text(LFS)
    told = fault(single)
    assert f"{name} is a Git LFS pointer" in told and "convert" not in told
    (single / name).write_bytes(b"PK\x03\x04")
    assert "convert" in fault(single)


def test_a_pointer_of_another_framework_hides_no_pickle_that_is_there(single):
    (single / "model.safetensors").unlink()
    (single / "pytorch_model.bin").write_bytes(b"PK\x03\x04")
    (single / "zz.bin").write_text(LFS)
    assert "pytorch_model.bin is a pickle" in fault(single)


@pytest.mark.parametrize(
    "answer",
    ["Access to model org/name is restricted.", "Entry not found", "any other words"],
)
def test_what_a_server_answered_in_place_of_weights_is_shown(single, answer):
    (single / "model.safetensors").write_text(answer)
    told = fault(single)
    assert f"model.safetensors is a text, not the file itself: '{answer}'" in told
    (single / "model.safetensors").write_text("<Error><Code>AccessDenied</Code></Error>")
    assert "model.safetensors is a web page" in fault(single)


@pytest.mark.parametrize("name", ["config.json", "tokenizer.json", "tokenizer_config.json"])
def test_what_a_server_answered_in_json_is_shown(single, name):
    (single / name).write_text('{"error": "Repository not found"}')
    assert f"{name} is a text, not the file itself: 'Repository not found'" in fault(single)


def test_a_pointer_among_shards_is_named(sharded):
    path = max(sharded.glob("model-*.safetensors"))
    path.write_text(LFS)
    assert f"{path.name} is a Git LFS pointer" in fault(sharded)


def test_a_web_page_and_a_pickle_under_the_name_of_weights_are_told(single):
    (single / "model.safetensors").write_text("<!DOCTYPE html><title>Log in</title>")
    assert "model.safetensors is a web page" in fault(single)
    (single / "model.safetensors").write_bytes(b"PK\x03\x04 archive/data.pkl")
    assert "is a pickle of torch under another name" in fault(single)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_link_of_a_cache_that_was_moved_in_part_is_told(single, name):
    (single / name).unlink()
    (single / name).symlink_to("../../blobs/0a1b2c")
    told = fault(single)
    assert f"{name} is a link to ../../blobs/0a1b2c, which is not there" in told
    assert "cp -a" in told


def test_a_folder_in_place_of_a_file_is_told(single):
    (single / "config.json").unlink()
    (single / "config.json").mkdir()
    assert "config.json is a folder" in fault(single)


def test_a_download_that_did_not_end_is_told(single):
    (single / "model.safetensors").unlink()
    place = single / ".cache/huggingface/download"
    place.mkdir(parents=True)
    (place / "model.safetensors.incomplete").write_bytes(b"half")
    assert "a download did not end" in fault(single)


def test_every_missing_shard_is_named_with_and_without_their_list(sharded):
    first, second, *_ = sorted(path.name for path in sharded.glob("model-*.safetensors"))
    for name in (first, second):
        (sharded / name).unlink()
    assert f"{first}, {second} are missing" in fault(sharded)
    (sharded / "model.safetensors.index.json").unlink()
    told = fault(sharded)
    assert first in told and second in told and "are missing" in told


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["adapter_config.json", "adapter_model.safetensors"], "kind `adapter`"),
        (["latest", "global_step500", "zero_to_fp32.py"], "zero_to_fp32.py . model"),
        (["mp_rank_00_model_states.pt"], "DeepSpeed"),
        (["pytorch_model_fsdp_0", "optimizer_0"], "accelerate merge-weights"),
        (["__0_0.distcp", ".metadata"], "accelerate merge-weights"),
        (["checkpoint-500", "checkpoint-1000", "runs"], "such as checkpoint-1000"),
        (["blobs", "refs", "snapshots"], "snapshots/COMMIT"),
        (["model-q4_k_m.gguf"], "name the file itself"),
        (["ggml-model.bin"], "quantised for llama.cpp"),
        (["consolidated.00.pth", "params.json"], "its maker's own layout"),
        (["tf_model.h5"], "another framework"),
        (["pytorch_model.bin", "training_args.bin"], "pytorch_model.bin is a pickle"),
        (["pytorch_model-00001-of-00002.bin"], "convert it once"),
        (["weights.safetensors"], "name it model.safetensors"),
        (["training_args.bin", "optimizer.pt", "rng_state.pth"], "save a model there"),
        ([], "save a model there"),
    ],
)
def test_of_another_layout_the_way_on_is_told(names, hint):
    assert hint in str(no_safetensors(names, "folder"))


def test_a_folder_that_is_no_checkpoint_at_all_is_told_the_way_on(tmp_path):
    (tmp_path / "snapshots").mkdir()
    assert "hf://organisation/name" in fault(tmp_path)
    shutil.rmtree(tmp_path / "snapshots")
    (tmp_path / "adapter_config.json").write_text("{}")
    assert "kind `adapter`" in fault(tmp_path)


def test_an_adapter_and_a_model_are_told_apart_both_ways(single):
    told = fault(single, check_adapter_folder)
    assert "this is a whole model" in told and "kind `pretrained`" in told


def test_quantised_weights_are_told_by_their_files_and_by_their_tensors(single):
    tensors = load_file(single / "model.safetensors")
    name = next(name for name in tensors if name.endswith("attn.c_attn.weight"))
    save_file(
        {**tensors, name: tensors[name].to(torch.int8)},
        single / "model.safetensors",
    )
    assert "quantised" in (told := fault(single)) and f"{name} is I8" in told
    (single / "quantize_config.json").write_text('{"bits": 4}')
    assert "quantised (quantize_config.json)" in fault(single)


def change_config(folder, **change):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


def test_a_quantisation_of_null_is_none(single):
    change_config(single, quantization_config=None)
    check_model_folder(single)


@pytest.mark.parametrize("name", ["n_embd", "n_layer", "n_head", "vocab_size", "n_positions"])
@pytest.mark.parametrize("value", [None, "768", 1.5, -1, 0, True, [], {}, 10**40, 2**31])
def test_a_size_that_is_none_is_told_by_its_name(single, name, value):
    change_config(single, **{name: value})
    assert f"{name} is " in fault(single)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors.index.json", "tokenizer.json"])
def test_json_that_is_nested_too_deeply_is_told(sharded, name):
    (sharded / name).write_text('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}")
    assert f"{name} is not JSON: it is nested too deeply" in fault(sharded)


@pytest.mark.parametrize(
    "name", ["generation_config.json", "tokenizer_config.json", "special_tokens_map.json"]
)
def test_a_description_that_is_no_json_object_is_told(single, name):
    (single / name).write_text('{"cut": ')
    assert f"{name} is not JSON" in fault(single)
    (single / name).write_text("[]")
    assert f"{name} holds no JSON object" in fault(single)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("base_model.model._orig_mod.h.0.attn.c_attn.lora_A.weight", "a wrapper"),
        ("module.base_model.model.h.0.attn.c_attn.lora_A.weight", "a wrapper"),
        ("base_model.model.h.0.attn.c_attn.lora_A.default.weight", "a model in training"),
        ("h.0.attn.c_attn.lora_A.weight", "do not begin with"),
    ],
)
def test_an_adapter_that_was_saved_in_a_wrapper_is_told(tmp_path, name, why):
    settings = {"peft_type": "LORA", "r": 8, "target_modules": ["c_attn"]}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    save_file({name: torch.zeros(8, 16)}, tmp_path / "adapter_model.safetensors")
    told = fault(tmp_path, check_adapter_folder)
    assert why in told and name in told and "save_pretrained" in told


def test_a_file_that_may_not_be_read_is_a_fault_of_the_surroundings(single, monkeypatch):
    from pathlib import Path

    opened = Path.open

    def refuse(path, *words, **named):
        if path.name == "config.json":
            raise PermissionError(13, "Permission denied")
        return opened(path, *words, **named)

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SurroundingsError, match="config.json cannot be read"):
        check_model_folder(single)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("r", "8"),
        ("r", True),
        ("target_modules", 5),
        ("target_modules", [["q_proj"]]),
        ("rank_pattern", []),
        ("use_dora", "yes"),
        ("lora_alpha", {}),
    ],
)
def test_a_setting_of_an_adapter_of_another_type_is_told(tmp_path, name, value):
    settings = {"peft_type": "LORA", "r": 8, "target_modules": ["q_proj"], name: value}
    (tmp_path / "adapter_config.json").write_text(json.dumps(settings))
    assert f"{name} is " in fault(tmp_path, check_adapter_folder)

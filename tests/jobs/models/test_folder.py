"""Every way in which a folder can fail to be a model, and what the user is told."""

import json
import shutil
from importlib.util import find_spec

import pytest
from safetensors.torch import load_file, save_file

from cluster.errors import UserError
from jobs.models.family import names
from jobs.models.folder import check_model_folder, model_files


@pytest.fixture
def single(saved_models, tmp_path):
    return shutil.copytree(saved_models / "mistral", tmp_path / "single")


@pytest.fixture
def sharded(saved_models, tmp_path):
    return shutil.copytree(saved_models / "mistral-sharded", tmp_path / "sharded")


def fault(folder):
    with pytest.raises(UserError) as caught:
        check_model_folder(folder)
    assert caught.value.where == str(folder)
    return str(caught.value)


def change_config(folder, **change):
    path = folder / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **change}))


@pytest.mark.parametrize("name", names())
@pytest.mark.parametrize("suffix", ["", "-sharded"])
def test_a_whole_folder_of_every_family_passes(saved_models, name, suffix):
    config = check_model_folder(saved_models / f"{name}{suffix}")
    assert config["model_type"] == name


def test_only_weights_config_and_tokenizer_make_a_model(sharded):
    for stranger in ("pytorch_model.bin", "modeling_evil.py", "consolidated.safetensors", "x.gguf"):
        (sharded / stranger).write_bytes(b"")
    found = model_files(sharded)
    assert found == sorted(found)
    assert {"config.json", "tokenizer.json", "model.safetensors.index.json"} <= set(found)
    shards = [name for name in found if name.startswith("model-")]
    assert len(shards) == len(list(sharded.glob("model-*.safetensors")))
    assert not {"pytorch_model.bin", "modeling_evil.py", "consolidated.safetensors"} & set(found)


def test_a_pickle_is_named_never_opened_and_its_conversion_told(single):
    (single / "model.safetensors").unlink()
    (single / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'false'\ntR.")
    answer = fault(single)
    assert "no safetensors weights: found" in answer
    assert "pytorch_model.bin is a pickle" in answer
    assert "convert it once" in answer


def test_an_adapter_is_told_from_a_model(single):
    (single / "model.safetensors").unlink()
    (single / "adapter_config.json").write_text("{}")
    assert "kind `adapter`" in fault(single)


def test_an_empty_folder_is_said_to_be_empty(tmp_path):
    assert "no config.json: found nothing" in fault(tmp_path)


def test_a_config_that_is_not_json_says_where_it_breaks(single):
    (single / "config.json").write_text('{"model_type": "mistral",')
    assert "config.json is not JSON: " in fault(single)
    (single / "config.json").write_bytes(b"\xff\xfe{}")
    assert "config.json is not JSON: " in fault(single)
    (single / "config.json").write_text("[1]")
    assert "config.json holds no JSON object" in fault(single)


def test_an_unsupported_architecture_is_told_what_is_supported(single):
    change_config(single, model_type="mamba")
    answer = fault(single)
    assert "unsupported model family 'mamba'" in answer
    assert ", ".join(names()) in answer
    assert "docs/howto/adding-a-family.md" in answer


def test_quantised_weights_are_refused(single):
    change_config(single, quantization_config={"quant_method": "gptq"})
    assert "quantised" in fault(single)


def test_a_file_that_was_cut_off_is_found_without_reading_it_all(single):
    path = single / "model.safetensors"
    path.write_bytes(path.read_bytes()[:-1])
    assert "model.safetensors is broken or cut off" in fault(single)
    path.write_bytes(path.read_bytes()[:20])
    assert "model.safetensors is broken or cut off" in fault(single)
    path.write_bytes(b"")
    assert "model.safetensors is broken or cut off" in fault(single)


def test_a_missing_shard_is_named(sharded):
    name = min(path.name for path in sharded.glob("model-*.safetensors"))
    (sharded / name).unlink()
    assert f"{name} is missing" in fault(sharded)


def test_a_cut_off_shard_is_named(sharded):
    path = max(sharded.glob("model-*.safetensors"))
    path.write_bytes(path.read_bytes()[:-8])
    assert f"{path.name} is broken or cut off" in fault(sharded)


@pytest.mark.parametrize("name", ["../outside.safetensors", "weights.bin", "/etc/x.safetensors"])
def test_an_index_cannot_lead_out_of_the_folder_or_to_a_pickle(sharded, name):
    (sharded.parent / "outside.safetensors").write_bytes(b"")
    path = sharded / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"][next(iter(index["weight_map"]))] = name
    path.write_text(json.dumps(index))
    assert "which is no safetensors file" in fault(sharded)


def test_an_index_that_names_a_tensor_its_shard_lacks_is_found(sharded):
    path = sharded / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    index["weight_map"]["model.extra"] = next(iter(index["weight_map"].values()))
    path.write_text(json.dumps(index))
    assert "lacks model.extra" in fault(sharded)
    path.write_text("{}")
    assert "has no weight_map" in fault(sharded)


def test_a_tensor_in_two_files_is_found(sharded):
    first, *_, last = sorted(path for path in sharded.glob("model-*.safetensors"))
    tensors, name = load_file(first), next(iter(load_file(last)))
    save_file({**tensors, name: load_file(last)[name]}, first)
    assert f"{name} stand in more than one of the files" in fault(sharded)


def test_weights_for_a_smaller_model_than_the_config_describes_are_found(single):
    change_config(single, num_hidden_layers=3)
    assert "the weights hold" in fault(single)


def test_a_folder_without_tokenizer_is_told_what_it_may_be(single):
    (single / "tokenizer.json").unlink()
    answer = fault(single)
    assert "no tokenizer: found" in answer
    assert "tokenizer.model" in answer


@pytest.mark.parametrize(
    "files",
    [{"tokenizer.model": b"\n\x0e\n\x05<unk>"}, {"vocab.json": b"{}", "merges.txt": b"#version"}],
    ids=["pieces", "words and merges"],
)
def test_a_vocabulary_that_cannot_be_read_is_told_with_the_way_to_a_tokenizer_json(single, files):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (single / name).unlink()
    for name, content in files.items():
        (single / name).write_bytes(content)
    answer = fault(single)
    assert "there is no tokenizer.json, and none can be made" in answer
    assert ".save_pretrained(FOLDER)" in answer
    if "tokenizer.model" in files and find_spec("sentencepiece") is None:
        assert "the package sentencepiece, which reads tokenizer.model, is not installed" in answer


def test_a_vocabulary_that_transformers_can_read_passes_if_the_model_has_its_rows(
    saved_models, tmp_path
):
    folder = shutil.copytree(saved_models / "gpt2", tmp_path / "old")
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (folder / name).unlink()
    vocabulary = {"<|endoftext|>": 0, "a": 1, "b": 2, "ab": 3}
    (folder / "merges.txt").write_text("#version: 0.2\na b\n")
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    assert check_model_folder(folder)["model_type"] == "gpt2"
    (folder / "vocab.json").write_text(json.dumps({**vocabulary, "c": 22}))
    assert "token ids up to 22, the model only 22 rows" in fault(folder)


def test_a_broken_tokenizer_is_found(single):
    (single / "tokenizer.json").write_text("{")
    assert "tokenizer.json is not JSON" in fault(single)
    (single / "tokenizer.json").write_text("{}")
    assert "tokenizer.json is not a tokenizer" in fault(single)


def test_a_tokenizer_with_more_tokens_than_the_model_has_rows_is_found(single):
    path = single / "tokenizer.json"
    tokenizer = json.loads(path.read_text())
    tokenizer["model"]["vocab"]["beyond"] = 22
    path.write_text(json.dumps(tokenizer))
    assert "token ids up to 22, the model only 22 rows" in fault(single)

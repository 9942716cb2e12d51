"""Weights that stand in a folder twice: of two that differ, transformers would take one."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from cluster.errors import UserError
from jobs.models.folder import check_model_folder

INDEX = "model.safetensors.index.json"
SHARD = "model-00001-of-00001.safetensors"


@pytest.fixture
def copy_of(saved_models, tmp_path):
    """Copy a checkpoint, with what a function makes of its weights, and with other settings."""

    def make(name, change=lambda held: held, **settings):
        folder = shutil.copytree(saved_models / name, tmp_path / name)
        config = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**config, **settings}))
        held = change(load_file(folder / "model.safetensors"))
        save_file(held, folder / "model.safetensors", metadata={"format": "pt"})
        return folder

    return make


def add_shard(folder, change=lambda held: held, is_there=True):
    """Write the weights once more, as one shard with the list of it."""
    held = change(load_file(folder / "model.safetensors"))
    listed = {"metadata": {}, "weight_map": dict.fromkeys(held, SHARD)}
    (folder / INDEX).write_text(json.dumps(listed))
    if is_there:
        save_file(held, folder / SHARD, metadata={"format": "pt"})
    return folder


def fault(folder):
    with pytest.raises(UserError) as caught:
        check_model_folder(folder, str(folder))
    return caught.value


def moved(held):
    name = min(held)
    return {**held, name: held[name] + 1}


def test_one_file_and_shards_of_another_save_are_refused_by_name(copy_of):
    told = fault(add_shard(copy_of("gpt2"), moved))
    assert told.error == (
        f"two different saves lie in this folder: model.safetensors, and the shards that {INDEX} "
        "lists"
    )
    assert SHARD in told.hint and "model.safetensors" in told.hint


def test_shards_with_other_tensors_than_the_one_file_are_another_save(copy_of):
    fault(add_shard(copy_of("gpt2"), lambda held: dict(list(held.items())[1:])))


@pytest.mark.parametrize("is_there", [True, False])
def test_the_same_weights_twice_and_a_list_that_was_left_are_taken(copy_of, is_there):
    check_model_folder(add_shard(copy_of("gpt2"), is_there=is_there))


def test_a_list_of_the_one_file_itself_is_taken(copy_of):
    folder = copy_of("gpt2")
    held = load_file(folder / "model.safetensors")
    listed = {"weight_map": dict.fromkeys(held, "model.safetensors")}
    (folder / INDEX).write_text(json.dumps(listed))
    check_model_folder(folder)


def with_head(other):
    def change(held):
        table = next(
            held[name] for name in held if name.endswith(("wte.weight", "embed_tokens.weight"))
        )
        return {**held, "lm_head.weight": table + other}

    return change


@pytest.mark.parametrize(
    ("name", "settings"), [("gpt2", {}), ("llama", {"tie_word_embeddings": True})]
)
def test_an_unembedding_that_is_no_copy_of_the_embedding_it_is_tied_to_is_refused(
    copy_of, name, settings
):
    told = fault(copy_of(name, with_head(0.5), **settings))
    assert "ties the unembedding to the embedding, and lm_head.weight is not" in told.error
    assert "tie_word_embeddings: false" in told.hint


@pytest.mark.parametrize(
    ("name", "settings"), [("gpt2", {}), ("llama", {"tie_word_embeddings": True})]
)
def test_tied_weights_that_were_saved_twice_are_taken(copy_of, name, settings):
    check_model_folder(copy_of(name, with_head(0), **settings))


def test_an_unembedding_of_its_own_is_taken_where_nothing_ties_it(copy_of):
    folder = copy_of("llama", tie_word_embeddings=False)
    held = load_file(folder / "model.safetensors")
    assert not torch.equal(held["lm_head.weight"], held["model.embed_tokens.weight"])
    check_model_folder(folder)

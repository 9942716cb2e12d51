"""Weights whose names a wrapper changed: read where that is certain, told otherwise."""

import json
import shutil

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file, save_model

from cluster.errors import UserError
from jobs.kinds.pretrained import PretrainedParams
from jobs.models.folder import check_model_folder
from jobs.models.loading import load_model
from jobs.store.checkpoint import Checkpoint
from tests.jobs.models.test_pretrained import pretrained, work_on


def renamed(folder, rename):
    """Rename every tensor of a checkpoint, as if it had been saved inside a wrapper."""
    for path in folder.glob("*.safetensors"):
        tensors = {rename(name): tensor.clone() for name, tensor in load_file(path).items()}
        save_file(tensors, path, {"format": "pt"})
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        listed = json.loads(index.read_text())
        listed["weight_map"] = {rename(name): file for name, file in listed["weight_map"].items()}
        index.write_text(json.dumps(listed))


WRAPPERS = {
    "module.": lambda name: f"module.{name}",
    "_orig_mod.": lambda name: f"_orig_mod.{name}",
    "module._orig_mod.": lambda name: f"module._orig_mod.{name}",
    "base_model.model.": lambda name: f"base_model.model.{name}",
    "language_model.": lambda name: f"language_model.{name}",
    "model.": lambda name: f"model.{name}",
    "_fsdp_wrapped_module.": lambda name: (
        "_fsdp_wrapped_module." + name.replace(".0.", ".0._fsdp_wrapped_module.")
    ),
}


@pytest.mark.parametrize(
    ("family", "taken_away"),
    [
        *(("gpt2", wrapper) for wrapper in WRAPPERS),
        ("llama-sharded", "_fsdp_wrapped_module."),
        ("llama-sharded", "model."),
        ("opt", "model."),
        ("gpt_neox", "module."),
        ("gemma3_text", "language_model."),
    ],
)
def test_weights_in_a_wrapper_are_taken_under_the_names_of_their_family(
    saved_models, tmp_path, family, taken_away
):
    folder = shutil.copytree(saved_models / family, tmp_path / "wrapped")
    renamed(folder, WRAPPERS[taken_away])
    work = work_on(tmp_path, PretrainedParams(source=str(folder)))
    facts = pretrained.run(work)
    assert facts["names_without"] == taken_away
    taken, whole = load_model(work.folder / "model"), load_model(saved_models / family)
    for (name, weight), other in zip(taken.named_parameters(), whole.parameters(), strict=True):
        assert torch.equal(weight, other), name
    assert Checkpoint(work.folder / "model", "taken").block(0)


def test_names_without_the_backbone_are_left_as_they_are(saved_models, tmp_path):
    folder = shutil.copytree(saved_models / "gpt2", tmp_path / "bare")
    renamed(folder, lambda name: name.removeprefix("transformer."))
    work = work_on(tmp_path, PretrainedParams(source=str(folder)))
    assert "names_without" not in pretrained.run(work)
    with safe_open(work.folder / "model" / "model.safetensors", "pt") as tensors:
        assert "wte.weight" in tensors.keys()  # noqa: SIM118


@pytest.mark.parametrize("wrapper", ["", "module."])
@pytest.mark.parametrize("family", ["gpt2", "opt", "gemma2"])
def test_tied_weights_under_the_name_of_the_unembedding_alone_are_taken(
    saved_models, tmp_path, family, wrapper
):
    folder = shutil.copytree(saved_models / family, tmp_path / "model")
    whole = load_model(saved_models / family)
    save_model(whole, str(folder / "model.safetensors"))
    assert "lm_head.weight" in load_file(folder / "model.safetensors")
    renamed(folder, lambda name: f"{wrapper}{name}")
    (tmp_path / "root").mkdir()
    work = work_on(tmp_path / "root", PretrainedParams(source=str(folder)))
    facts = pretrained.run(work)
    told = facts["names_without"]
    assert told == wrapper or told.startswith("lm_head.weight, which is ")
    assert Checkpoint(work.folder / "model", "taken").block(0)
    taken = load_model(work.folder / "model")
    for (name, weight), other in zip(taken.named_parameters(), whole.parameters(), strict=True):
        assert torch.equal(weight, other), name


def test_an_unembedding_that_is_not_tied_stands_for_nothing_else(saved_models, tmp_path):
    folder = shutil.copytree(saved_models / "llama", tmp_path / "model")
    held = load_file(folder / "model.safetensors")
    del held["model.embed_tokens.weight"]
    save_file(held, folder / "model.safetensors", {"format": "pt"})
    assert "no model.embed_tokens.weight, but" in fault(folder)


def fault(folder):
    with pytest.raises(UserError) as caught:
        check_model_folder(folder)
    return str(caught.value)


def test_an_adapter_that_was_not_merged_is_told(saved_models, tmp_path):
    folder = shutil.copytree(saved_models / "llama", tmp_path / "whole")
    renamed(
        folder,
        lambda name: (
            "base_model.model." + name.replace("q_proj.weight", "q_proj.base_layer.weight")
        ),
    )
    told = fault(folder)
    assert "base_layer" in told and "merge_and_unload" in told


def test_names_that_leave_a_doubt_are_told(saved_models, tmp_path):
    folder = shutil.copytree(saved_models / "llama", tmp_path / "both")
    renamed(folder, lambda name: f"language_model.{name}")
    path = folder / "model.safetensors"
    save_file({**load_file(path), "vision_tower.proj.weight": torch.zeros(2, 2)}, path)
    told = fault(folder)
    assert "'language_model.'" in told and "vision_tower.proj.weight" in told


def test_weights_of_another_family_are_told(saved_models, tmp_path):
    folder = shutil.copytree(saved_models / "llama", tmp_path / "other")
    config = json.loads((saved_models / "gpt2/config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config))
    assert "no transformer.wte.weight, but" in fault(folder)


def test_flattened_weights_are_told(saved_models, tmp_path):
    folder = shutil.copytree(saved_models / "llama", tmp_path / "flat")
    save_file({"_fsdp_wrapped_module._flat_param": torch.zeros(9999)}, folder / "model.safetensors")
    assert "FULL_STATE_DICT" in fault(folder)


def test_an_unembedding_has_one_name_however_it_was_saved(saved_models, tmp_path):
    published = saved_models / "gpt_neox"
    folder = shutil.copytree(published, tmp_path / "own")
    renamed(folder, lambda name: name.replace("embed_out.", "lm_head."))
    whole, own = (Checkpoint(each, str(each)) for each in (published, folder))
    assert "embed_out.weight" in whole.names
    assert own.names == whole.names
    for name in ("embed_out.weight", "lm_head.weight"):  # as stored, and as a loaded model says
        assert (own.tensor(name) == whole.tensor("embed_out.weight")).all()
    renamed(folder, lambda name: name.removeprefix("gpt_neox."))
    assert Checkpoint(folder, str(folder)).names == whole.names

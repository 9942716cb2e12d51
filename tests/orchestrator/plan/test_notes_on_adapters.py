"""What a plan says of adapters that may not be what a study means."""

import json
import shutil

import pytest
from peft import LoraConfig, get_peft_model

from jobs.kind import Upstream
from jobs.kinds.adapter import Adapter, AdapterParams
from orchestrator.cli import main

STUDY = """
study: adapted
axes: {}
stages:
  base: {kind: pretrained, params: {source: model}}
  tuned: {kind: adapter, inputs: {base: base}, params: {source: adapter}}
"""


@pytest.fixture
def folders(saved_models, tmp_path, tiny_model):
    """A model and an adapter on it, beside a study."""
    shutil.copytree(saved_models / "llama", tmp_path / "model")
    config = LoraConfig(
        r=2,
        target_modules=["q_proj"],
        base_model_name_or_path="org/Model",
        init_lora_weights=False,
    )
    get_peft_model(tiny_model("llama"), config).save_pretrained(tmp_path / "adapter")
    (tmp_path / "study.yaml").write_text(STUDY)
    return tmp_path


def notes_of(capsys, folders):
    capsys.readouterr()
    words = ["plan", str(folders / "study.yaml"), "--root", str(folders / "root"), "--json"]
    assert main(words) == 0
    return json.loads(capsys.readouterr().out)["notes"]


@pytest.mark.parametrize(
    "named, base, is_told",
    [
        ("org/Model", "hf://org/Model", False),
        ("org/Model", "hf://mirror/model", False),
        ("org/model-chat", "hf://org/Model", True),
        ("gpt2", "hf://openai-community/gpt2", False),
        ("gpt2", "hf://gpt2-medium", True),
        ("org/Model", "model", False),
        ("org/Model", "/hub/models--org--Model/snapshots/0123abc", False),
        ("/scratch/checkpoint-7", "hf://org/Model", False),
        ("../checkpoint", "hf://org/Model", False),
        (7, "hf://org/Model", False),
    ],
)
def test_an_adapter_of_another_base_is_told(folders, named, base, is_told):
    config = folders / "adapter" / "adapter_config.json"
    settings = {**json.loads(config.read_text()), "base_model_name_or_path": named}
    config.write_text(json.dumps(settings))
    params = AdapterParams(source=str(folders / "adapter"))
    under = Upstream(kind="pretrained", params={"source": base}, facts=None, files={}, inputs={})
    notes = Adapter().notes(params, {"base": under})
    assert [f"the adapter was trained on {named} " in note for note in notes] == [True] * is_told


def test_an_adapter_beside_the_weights_is_told(capsys, folders):
    config = folders / "adapter" / "adapter_config.json"
    config.write_text(
        json.dumps({**json.loads(config.read_text()), "base_model_name_or_path": None})
    )
    shutil.copy(config, folders / "model")
    (note,) = notes_of(capsys, folders)
    assert "study.yaml:5" in note and "taken as they are, without it" in note

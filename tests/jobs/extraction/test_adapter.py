"""Kind `adapter`: from a base and a folder to a model that every other kind takes."""

import json
import shutil

import pytest
import torch

from cluster.errors import UserError
from jobs.kinds.adapter import Adapter
from jobs.kinds.adapter import AdapterParams as Params
from jobs.models.loading import load_model
from jobs.models.opened_model import adapter_on

adapter = Adapter()


@pytest.fixture
def folder(tiny_model, tmp_path):
    """A random adapter for the tiny GPT-2."""
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng():
        torch.manual_seed(7)
        adapted = get_peft_model(
            tiny_model("gpt2"), LoraConfig(r=2, target_modules=["c_fc"], init_lora_weights=False)
        )
    adapted.save_pretrained(tmp_path / "adapter")
    return tmp_path / "adapter"


@pytest.fixture
def base(root, tiny_model, word_tokenizer):
    return root.model("base", tiny_model("gpt2"), word_tokenizer(eos_token="<end>"))


def test_it_leaves_the_adapter_and_the_merged_model(root, base, folder):
    done = root.done("adapter", {"source": str(folder)}, base=base)
    assert done.names("adapter/") == [
        "adapter/adapter_config.json",
        "adapter/adapter_model.safetensors",
    ]
    assert done.facts["model"] == base.facts["model"]
    assert done.facts["adapter"] == {"type": "lora", "rank": 2, "targets": ["c_fc"]}
    assert (done.facts["source"], done.facts["revision"]) == (str(folder), None)
    merged, plain = (load_model(each.directory("model")) for each in (done, base))
    changed = {
        name
        for (name, first), second in zip(merged.named_parameters(), plain.parameters(), strict=True)
        if not torch.equal(first, second)
    }
    assert changed == {f"transformer.h.{layer}.mlp.c_fc.weight" for layer in range(2)}


def test_only_on_its_own_base_is_it_an_adapter(root, base, folder, tiny_model, word_tokenizer):
    done = root.done("adapter", {"source": str(folder)}, base=base)
    other = root.model("other", tiny_model("gpt2"), word_tokenizer(eos_token="<end>"))
    assert adapter_on(base, done) == done.directory("adapter")
    assert adapter_on(other, done) is None
    assert adapter_on(base, other) is None


def test_a_misfit_is_told_with_the_file_it_came_from(root, folder, tiny_model, word_tokenizer):
    llama = root.model("llama", tiny_model("llama"), word_tokenizer(eos_token="<end>"))
    answer, _ = root.run("adapter", {"source": str(folder)}, base=llama)
    assert answer["state"] != "done"
    assert "does not fit this base" in json.dumps(answer)


def test_its_pin_is_the_adapters_content(folder, tmp_path):
    pins = adapter.pins(Params(source=str(folder)), {})
    moved = shutil.copytree(folder, tmp_path / "moved")
    assert adapter.pins(Params(source=str(moved)), {}) == pins
    path = moved / "adapter_config.json"
    path.write_text(path.read_text() + "\n")
    assert adapter.pins(Params(source=str(moved)), {}) != pins
    with pytest.raises(UserError, match="no such folder"):
        adapter.pins(Params(source=str(tmp_path / "nowhere")), {})

"""Alignment drops nothing, whatever the config.json of the base says."""

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM

from jobs.models.family import family_of, names
from jobs.models.folder import read_config
from jobs.training.dropout import turn_off_dropout

IDS = torch.arange(2, 14)[None]
PARAMS = {"max_length": 32, "steps": 1, "seed": 5}


def dropping(family, sizes, rate=0.5):
    """A model whose config drops wherever the family can."""
    config = family_of(family).hf_config({"family": family, **sizes})
    for name, value in config.to_dict().items():
        if "drop" in name and isinstance(value, (int, float)):
            setattr(config, name, rate)
    with torch.random.fork_rng():
        torch.manual_seed(3)
        return AutoModelForCausalLM.from_config(config)


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("family", names())
def test_in_training_every_family_computes_what_it_does_otherwise(family, attention, tiny_sizes):
    model = dropping(family, tiny_sizes)
    model.set_attn_implementation("eager" if family == "gemma2" else attention)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(4 if parameter.ndim > 1 else 1)  # so that attention shows
    expected = logits(model.eval())
    model.train()
    assert not torch.allclose(logits(model), expected, atol=1e-3)
    turn_off_dropout(model)
    for _ in range(3):
        torch.testing.assert_close(logits(model), expected)


@pytest.mark.parametrize("family", ["gpt2", "opt"])
@pytest.mark.parametrize("objective", ["dpo", "sft"])
def test_a_base_that_drops_is_trained_as_it_is(family, objective, root, tiny_sizes, word_tokenizer):
    """What a policy gives before the first step is what the same weights give as a reference."""
    sizes = {**tiny_sizes, "max_positions": 32}
    root.model("model", dropping(family, sizes), word_tokenizer(eos_token="<end>"), "pretrained")
    inputs = {"model": "model", "pairs": "pairs"}
    root.done("reference", {"max_length": 32}, name="reference", **inputs)
    inputs["reference"] = "reference"
    root.done("align", {**PARAMS, "objective": objective}, name="aligned", **inputs)
    first = root.log_of("aligned")[0]
    if objective == "dpo":
        assert first["loss"] == pytest.approx(np.log(2), abs=1e-5)
        assert first["rewards/margins"] == pytest.approx(0, abs=1e-5)
    else:
        root.done("align", {**PARAMS, "objective": objective, "micro_batch": 1}, name="1", **inputs)
        assert root.log_of("1")[0]["loss"] == pytest.approx(first["loss"], abs=1e-4)
    before, after = (
        read_config(root.artifact(name).directory("model")) for name in ("model", "aligned")
    )
    assert before == after

"""A stand-in is of the real config.json; an odd one that no small model fits is said, not a fault.

A config.json that transformers itself cannot read is a fault.
"""

import json

import pytest
import transformers

from cluster.errors import UserError
from jobs.stand_ins.prepared_stand_ins import PreparedStandIns

LLAMA = {
    "model_type": "llama",
    "hidden_size": 256,
    "intermediate_size": 512,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "vocab_size": 500,
}
LONG = {
    "rope_type": "longrope",
    "rope_theta": 10000.0,
    "factor": 4.0,
    "original_max_position_embeddings": 2048,
}


def stand_in(folder, config):
    """Write a config.json, and the stand-in of its model; return both, and what was left open."""
    (folder / "real").mkdir()
    (folder / "real/config.json").write_text(json.dumps(config))
    stand_ins = PreparedStandIns(folder=folder / "stand-ins", keeps_layers=False, texts=tuple)
    place, known = stand_ins.model(str(folder / "real"), None, None, None)
    assert known == config
    return transformers.AutoModelForCausalLM.from_pretrained(place), "\n".join(stand_ins.open)


def test_a_config_that_no_small_model_fits_is_said(tmp_path) -> None:
    factors = [1.0 + number for number in range(32)]  # one for each pair of a head's dimensions
    rope = {**LONG, "short_factor": factors, "long_factor": factors}
    transformers.AutoModelForCausalLM.from_config(
        transformers.LlamaConfig.from_dict({**LLAMA, "rope_parameters": rope})
    )
    model, told = stand_in(tmp_path, {**LLAMA, "rope_parameters": rope})
    assert "no small model could be made of its config.json" in told
    assert model.config.model_type == "llama" and model.config.hidden_size == 32


def test_a_usual_config_keeps_what_it_says(tmp_path) -> None:
    model, told = stand_in(tmp_path, {**LLAMA, "hidden_act": "gelu"})
    assert "no small model" not in told and model.config.hidden_act == "gelu"
    assert model.config.num_key_value_heads < model.config.num_attention_heads


def test_a_config_that_transformers_cannot_read_is_a_fault(tmp_path) -> None:
    with pytest.raises(UserError, match=r"no model can be built from its config\.json"):
        stand_in(tmp_path, {**LLAMA, "num_key_value_heads": 2, "hidden_size": "wide"})

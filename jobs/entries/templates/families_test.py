"""Test of model family `my_entry`: parameters counted in closed form are those of the modules."""

from pathlib import Path

from jobs.entries.own_entries import read_entries
from jobs.models.family import SITES, family_of

ENTRIES = read_entries(Path(__file__).parents[1], "this test")
FIELDS = {"family": "my_entry", "num_layers": 2, "d_model": 16, "num_heads": 2, "d_mlp": 40}


def test_parameters_are_those_of_the_modules() -> None:
    from transformers import AutoModelForCausalLM

    fields = {**FIELDS, "num_key_value_heads": 2, "vocab_size": 50}
    with ENTRIES.bringing():
        family = family_of("my_entry")
        model = AutoModelForCausalLM.from_config(family.hf_config(fields))
        assert family.num_parameters(fields)[0] == model.num_parameters()
        assert set(family.sites(fields)) == set(SITES)

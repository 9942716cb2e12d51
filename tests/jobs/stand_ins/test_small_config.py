"""A stand-in is of the model's own class, with its attention, tying and norms, and small."""

from dataclasses import asdict

import pytest

from jobs.models.family import FAMILIES, family_of, names
from jobs.stand_ins.small_config import WIDTH, small_fields, small_mapping

LARGE = {"num_layers": 30, "d_model": 4096, "num_heads": 32, "vocab_size": 512}


def fields(family, **more):
    """Our fields of a large model of a family, those that it has."""
    wanted = {**LARGE, "num_key_value_heads": 8, "max_positions": 2048, **more}
    return {
        "family": family,
        **{n: v for n, v in wanted.items() if n in FAMILIES.find(family).FIELDS},
    }


@pytest.mark.parametrize("name", names())
def test_every_family_has_a_stand_in_that_transformers_builds(name) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    family, large = family_of(name), fields(name)
    real = family.hf_config(large).to_dict()
    for config in (family.hf_config(small_fields(large)), small_mapping(real)):
        if isinstance(config, dict):
            config = type(family.hf_config(large)).from_dict(config)
        model = AutoModelForCausalLM.from_config(config)
        small = family.shape(config)
        assert (
            sum(weight.numel() for weight in model.parameters())
            == (family.num_parameters(config)[0])
        )
        assert (small.d_model, small.num_layers) == (WIDTH, 4)
        assert model(input_ids=torch.tensor([[1, 2, 3]])).logits.isfinite().all()
        kept = ("tie", "parallel", "attention_bias", "mlp_bias", "qk_norm", "pre_norm")
        before = asdict(family.shape(large))
        assert {key: asdict(small)[key] for key in kept} == {key: before[key] for key in kept}


@pytest.mark.parametrize(
    ("heads", "keys", "wanted"),
    [(32, 32, (4, 4)), (32, 8, (8, 2)), (24, 8, (4, 2)), (14, 2, (8, 2)), (32, 1, (16, 1))],
)
def test_heads_are_shared_as_in_the_model(heads, keys, wanted) -> None:
    config = {**fields("llama"), "num_heads": heads, "d_head": 128, "num_key_value_heads": keys}
    small = small_fields(config)
    assert (small["num_heads"], small["num_key_value_heads"]) == wanted


def test_larger_models_have_larger_stand_ins_and_layers_stay_where_they_are_named() -> None:
    sizes = [{**fields("gpt2"), "d_model": d, "num_layers": n} for d, n in ((768, 12), (1600, 48))]
    small, large = (small_fields(config) for config in sizes)
    assert small["d_mlp"] < large["d_mlp"]
    assert [small_fields(c, keeps_layers=True)["num_layers"] for c in sizes] == [12, 48]


def test_what_a_config_says_beside_sizes_stays_and_no_kind_of_layer_is_lost() -> None:
    from transformers import Gemma3TextConfig

    kinds = ["sliding_attention"] * 5 + ["full_attention"]
    config = Gemma3TextConfig(num_hidden_layers=12, layer_types=kinds * 2).to_dict()
    small = small_mapping({**config, "rope_scaling": None, "sliding_window": 77})
    assert small["sliding_window"] == 77
    assert len(small["layer_types"]) == 4 and set(small["layer_types"]) == set(kinds)

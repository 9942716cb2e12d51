"""The contract of families, and how configs are read."""

import json
import subprocess
import sys

import pytest

from cluster.errors import UserError
from jobs.models.family import (
    attention_kernel,
    family_of,
    family_of_config,
    name_of_family,
    names,
)
from jobs.models.shape import gated_width, read_shape

SMALL = {"family": "llama", "num_layers": 2, "d_model": 16, "num_heads": 4, "vocab_size": 11}


def test_families_are_found_by_their_model_type():
    assert {"gpt2", "gpt_neox", "llama", "mistral", "qwen2", "qwen3"} <= set(names())
    assert {"gemma2", "gemma3_text", "opt", "phi"} <= set(names())
    assert names() == sorted(names())
    assert family_of("gpt_neox").BLOCKS == "gpt_neox.layers"


def test_an_unsupported_family_is_answered_with_those_that_are_and_how_to_add_one():
    with pytest.raises(UserError) as caught:
        family_of("gpt_nex", where="models/small")
    answer = str(caught.value)
    assert "unsupported model family 'gpt_nex'" in answer
    assert "models/small" in answer
    assert "did you mean 'gpt_neox'?" in answer
    assert caught.value.allowed == names()
    assert "docs/howto/adding-a-family.md" in answer


@pytest.mark.parametrize(
    "config, told",
    [
        ({"model_type": "mixtral"}, "families/mixtral.py"),
        ({"model_type": "t5", "is_encoder_decoder": True}, "no model that continues texts"),
        ({"model_type": "bert", "architectures": ["BertForMaskedLM"]}, "no model that continues"),
    ],
)
def test_the_type_in_a_config_json_is_no_mistyped_name(config, told):
    with pytest.raises(UserError, match="unsupported model family") as caught:
        family_of_config(config, where="models/other")
    assert told in str(caught.value) and "did you mean" not in str(caught.value)


@pytest.mark.parametrize("layer_types", [["full_attention", "sliding_attention"], None])
def test_a_mistral_that_transformers_takes_for_another_is_refused_by_that_name(layer_types):
    """Ministral 8B: its blocks take turns, which Mistral's do not."""
    config = {"model_type": "mistral", "layer_types": layer_types}
    with pytest.raises(UserError, match="unsupported model family 'ministral'") as caught:
        family_of_config(config, where="models/ministral")
    assert "takes mistral with layer_types for it" in str(caught.value)
    assert "families/ministral.py" in str(caught.value)


def test_a_model_that_is_loaded_as_another_has_the_name_of_that_one():
    """Base and aligned model are two states of one, whichever wrote its config.json."""
    published = {"model_type": "mistral", "layer_types": ["full_attention"]}
    assert name_of_family(published) == name_of_family({"model_type": "ministral"}) == "ministral"
    assert name_of_family({"model_type": "mistral"}) == "mistral"
    assert name_of_family({"family": "mistral", "layer_types": None}) == "mistral"
    assert name_of_family({}) is None


def test_every_config_json_is_loaded_as_the_model_that_is_planned(tmp_path):
    from transformers import AutoConfig

    for name in names():
        for more in ({}, {"layer_types": ["full_attention"] * 2, "num_hidden_layers": 2}):
            (tmp_path / "config.json").write_text(json.dumps({"model_type": name, **more}))
            loaded = AutoConfig.from_pretrained(tmp_path).model_type
            if loaded == name:
                assert family_of_config({"model_type": name, **more}) is family_of(name)
            else:
                with pytest.raises(UserError, match=f"unsupported model family '{loaded}'"):
                    family_of_config({"model_type": name, **more})


def test_a_config_without_a_model_type_is_refused():
    with pytest.raises(UserError, match="no model_type"):
        family_of_config({"n_layer": 2})


def test_a_model_that_sees_images_is_answered_with_the_text_model_inside_it():
    config = {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}
    with pytest.raises(UserError, match="gemma3 sees more than text") as caught:
        family_of_config(config, where="models/gemma")
    assert "save its gemma3_text alone" in str(caught.value)
    assert "models/gemma" in str(caught.value)


def test_a_kernel_that_a_family_lacks_is_eager_on_every_machine():
    assert attention_kernel({"model_type": "gemma2"}, "sdpa") == "eager"
    assert attention_kernel({"model_type": "gemma2"}, "flash_attention_2") == "flash_attention_2"
    assert attention_kernel({"model_type": "gemma3_text"}, "sdpa") == "sdpa"


def test_a_field_left_out_is_derived_from_the_width_and_heads():
    shape = read_shape(family_of("llama").FIELDS, SMALL)
    assert (shape.num_key_value_heads, shape.d_head, shape.d_mlp) == (4, 4, 48)
    assert gated_width(4096) == 10928
    gpt2 = read_shape(family_of("gpt2").FIELDS, {**SMALL, "family": "gpt2"})
    assert gpt2.d_mlp == 64


def test_a_null_in_config_json_means_derived():
    mapping = {"model_type": "mistral", "num_key_value_heads": None, "head_dim": None}
    shape = read_shape(family_of("mistral").FIELDS, mapping)
    assert (shape.num_key_value_heads, shape.d_head) == (32, 128)


def test_the_second_name_of_a_field_is_read_too():
    mapping = {"model_type": "gpt2", "hidden_size": 96, "num_hidden_layers": 5}
    shape = read_shape(family_of("gpt2").FIELDS, mapping)
    assert (shape.d_model, shape.num_layers) == (96, 5)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"num_layer": 3}, "did you mean 'num_layers'?"),
        ({"d_model": 18}, "not a multiple of 4 heads"),
        ({"d_model": "16"}, "d_model is '16'"),
        ({"num_layers": 0}, "num_layers is 0"),
        ({"num_layers": True}, "num_layers is True"),
        ({"tie": 1}, "tie is 1, which is not true or false"),
        ({"num_key_value_heads": 3}, "cannot share 3 key-value heads"),
        ({"parallel": True}, "unknown config field 'parallel'"),
    ],
)
def test_a_wrong_field_is_one_clear_message(change, says):
    with pytest.raises(UserError) as caught:
        family_of("llama").num_parameters({**SMALL, **change})
    assert says in str(caught.value)


def test_missing_fields_are_all_named():
    with pytest.raises(UserError, match="lacks num_layers, vocab_size"):
        family_of("gpt2").num_parameters({"family": "gpt2", "d_model": 8, "num_heads": 2})


def test_a_number_in_config_json_that_is_text_is_named_as_the_file_names_it():
    with pytest.raises(UserError, match="n_embd is 'wide'"):
        family_of("gpt2").num_parameters({"model_type": "gpt2", "n_embd": "wide"})


def test_counting_imports_neither_torch_nor_transformers():
    code = (
        "import sys; from jobs.models.family import family_of, names\n"
        "for name in names(): family_of(name).num_parameters({'model_type': name})\n"
        "assert not {'torch', 'transformers', 'numpy'} & set(sys.modules), sorted(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

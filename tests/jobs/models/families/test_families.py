"""Every family on tiny random models of stock Hugging Face classes."""

import pytest
import torch
from transformers import AutoModelForCausalLM

from cluster.errors import UserError
from jobs.models.family import SITES, Missing, family_of, names
from jobs.models.shape import read_shape

ODD = {"num_layers": 3, "d_model": 24, "num_heads": 6, "d_mlp": 52, "vocab_size": 71}

FIELDS = {
    "gpt2 tied": {"family": "gpt2", **ODD, "max_positions": 33},
    "gpt2 untied": {"family": "gpt2", **ODD, "max_positions": 40, "tie": False},
    "gpt_neox parallel": {"family": "gpt_neox", **ODD},
    "gpt_neox serial, tied, no bias": {
        "family": "gpt_neox",
        **ODD,
        "parallel": False,
        "tie": True,
        "attention_bias": False,
    },
    "llama grouped": {"family": "llama", **ODD, "num_key_value_heads": 2},
    "llama biased, tied": {
        "family": "llama",
        **ODD,
        "tie": True,
        "attention_bias": True,
        "mlp_bias": True,
    },
    "mistral own head width": {
        "family": "mistral",
        **ODD,
        "num_key_value_heads": 1,
        "d_head": 10,
    },
    "qwen3 own head width, tied": {
        "family": "qwen3",
        **ODD,
        "num_key_value_heads": 2,
        "d_head": 8,
        "tie": True,
    },
    "qwen3 biased": {"family": "qwen3", **ODD, "attention_bias": True},
    "qwen2 grouped": {"family": "qwen2", **ODD, "num_key_value_heads": 3},
    "qwen2 own head width, tied": {"family": "qwen2", **ODD, "d_head": 10, "tie": True},
    "gemma2 grouped": {"family": "gemma2", **ODD, "num_key_value_heads": 2},
    "gemma2 biased, untied, own head width": {
        "family": "gemma2",
        **ODD,
        "d_head": 10,
        "attention_bias": True,
        "tie": False,
    },
    "gemma3 grouped": {"family": "gemma3_text", **ODD, "num_key_value_heads": 2},
    "gemma3 biased, untied, own head width": {
        "family": "gemma3_text",
        **ODD,
        "d_head": 10,
        "attention_bias": True,
        "tie": False,
    },
    "opt": {"family": "opt", **ODD, "max_positions": 33},
    "opt narrow embedding, untied": {"family": "opt", **ODD, "d_embedding": 10, "tie": False},
    "opt no biases, bare norms": {
        "family": "opt",
        **ODD,
        "attention_bias": False,
        "norm_weights": False,
    },
    "opt norms after": {"family": "opt", **ODD, "d_embedding": 10, "pre_norm": False},
    "phi": {"family": "phi", **ODD},
    "phi grouped, normed heads, tied": {
        "family": "phi",
        **ODD,
        "num_key_value_heads": 2,
        "qk_norm": True,
        "tie": True,
    },
}
SUMMING = {name: fields for name, fields in FIELDS.items() if name != "opt norms after"}


def meta_counts(config, embedding):
    """Parameters and those outside embeddings, counted on a model that has no memory."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    model.tie_weights()
    total = sum(parameter.numel() for parameter in model.parameters())
    tables = [model.get_submodule(embedding).weight, *model.get_output_embeddings().parameters()]
    tables += [p for name, p in model.named_parameters() if "wpe." in name or "positions." in name]
    outside = {id(parameter): parameter.numel() for parameter in tables}
    return total, total - sum(outside.values())


def random_model(fields):
    torch.manual_seed(5)
    config = family_of(fields["family"]).hf_config(fields)
    config.initializer_range = 0.3
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return model.eval()


def tapped(model, family, block, tap, seen, name):
    module = block.get_submodule(tap.module)

    def keep_input(_, arguments):
        seen[name] = arguments[0].detach()

    def keep_output(_, arguments, output):
        seen[name] = (output[0] if isinstance(output, tuple) else output).detach()

    if tap.side == "in":
        return module.register_forward_pre_hook(keep_input)
    return module.register_forward_hook(keep_output)


def all_sites(model, family, ids):
    """Every site of every block, the embedded tokens, and the final norm's input."""
    seen = {}
    for layer, block in enumerate(model.get_submodule(family.BLOCKS)):
        for site, tap in family.sites(model.config).items():
            if not isinstance(tap, Missing):
                tapped(model, family, block, tap, seen, (site, layer))
    norm = model.get_submodule(family.FINAL_NORM)
    norm.register_forward_pre_hook(lambda _, arguments: seen.__setitem__("last", arguments[0]))
    with torch.no_grad():
        model(ids)
    # OPT flattens batch and width before its MLP.
    return {place: value.reshape(*ids.shape, -1) for place, value in seen.items()}


@pytest.mark.parametrize("fields", FIELDS.values(), ids=FIELDS)
def test_closed_form_counts_equal_the_counts_of_the_stock_model(fields):
    family = family_of(fields["family"])
    config = family.hf_config(fields)
    counted = meta_counts(config, family.EMBEDDING)
    assert family.num_parameters(fields) == counted
    assert family.num_parameters(config) == counted
    assert family.num_parameters(config.to_dict()) == counted
    assert family.num_parameters(config.to_diff_dict()) == counted


@pytest.mark.parametrize("name", names())
def test_a_config_that_says_nothing_counts_as_what_transformers_assumes(name):
    family = family_of(name)
    config = AutoModelForCausalLM._model_mapping  # the mapping of supported config classes
    config = next(each for each in config if each.model_type == name)()
    assert family.num_parameters({"model_type": name}) == meta_counts(config, family.EMBEDDING)


def of_hub(model_type, num_layers, d_model, **more):
    """A config as the hub has it."""
    return {
        "model_type": model_type,
        "num_hidden_layers": num_layers,
        "hidden_size": d_model,
        **more,
    }


def heads(num_heads, num_key_value_heads, d_mlp):
    return {
        "num_attention_heads": num_heads,
        "num_key_value_heads": num_key_value_heads,
        "intermediate_size": d_mlp,
    }


LLAMA_1B = {"family": "llama", "num_layers": 16, "d_model": 2048, "num_heads": 32}
LLAMA_1B |= {"num_key_value_heads": 8, "d_mlp": 8192, "vocab_size": 128256, "tie": True}
PYTHIA_70M = of_hub("gpt_neox", 6, 512, num_attention_heads=8, intermediate_size=2048)
OPT_350M = of_hub("opt", 24, 1024, num_attention_heads=16, ffn_dim=4096)
PUBLISHED = {
    "gpt2-medium": (
        {"model_type": "gpt2", "n_layer": 24, "n_embd": 1024, "n_head": 16},
        354_823_168,
    ),
    "pythia-70m": ({**PYTHIA_70M, "vocab_size": 50304}, 70_426_624),
    "mistral-7b": ({"model_type": "mistral", "vocab_size": 32768}, 7_248_023_552),
    "llama-1b": (LLAMA_1B, 1_235_814_400),
    "gemma2-2b": ({"model_type": "gemma2"}, 2_614_341_888),
    "gemma3-1b": (
        of_hub("gemma3_text", 26, 1152, **heads(4, 1, 6912), head_dim=256, vocab_size=262144),
        999_885_952,
    ),
    "qwen2-0.5b": (
        of_hub("qwen2", 24, 896, **heads(14, 2, 4864), tie_word_embeddings=True),
        494_032_768,
    ),
    "opt-125m": ({"model_type": "opt"}, 125_239_296),
    "opt-350m": (
        {**OPT_350M, "word_embed_proj_dim": 512, "do_layer_norm_before": False},
        331_196_416,
    ),
    "phi-2": (of_hub("phi", 32, 2560, intermediate_size=10240), 2_779_683_840),
}


@pytest.mark.parametrize(("config", "num_parameters"), PUBLISHED.values(), ids=PUBLISHED)
def test_published_configs_give_their_published_sizes(config, num_parameters):
    family = family_of(config.get("family") or config["model_type"])
    assert family.num_parameters(config)[0] == num_parameters


def test_embeddings_are_counted_apart():
    pythia = {**PYTHIA_70M, "vocab_size": 50304}
    assert family_of("gpt_neox").num_parameters(pythia) == (70_426_624, 18_915_328)


@pytest.mark.parametrize("fields", SUMMING.values(), ids=SUMMING)
def test_the_residual_stream_is_the_embedding_plus_everything_added_to_it(fields):
    family, model = family_of(fields["family"]), random_model(fields)
    ids = torch.randint(fields["vocab_size"], (2, 7), generator=torch.manual_seed(1))
    seen = all_sites(model, family, ids)
    stream = seen["resid_pre", 0].double()
    if fields["family"] not in ("gpt2", "opt"):  # these add learned positions to it
        embedded = model.get_submodule(family.EMBEDDING).weight[ids]
        scale = 24**0.5 if "gemma" in fields["family"] else 1
        torch.testing.assert_close(seen["resid_pre", 0], embedded * scale)
    for layer in range(fields["num_layers"]):
        torch.testing.assert_close(seen["resid_pre", layer].double(), stream, rtol=0, atol=2e-5)
        middle = stream + seen["attn_out", layer]
        stream = middle + seen["mlp_out", layer]
        torch.testing.assert_close(seen["resid_post", layer].double(), stream, rtol=0, atol=2e-5)
        if ("resid_mid", layer) in seen:
            torch.testing.assert_close(seen["resid_mid", layer].double(), middle, rtol=0, atol=2e-5)
        assert seen["attn_out", layer].abs().mean() > 1e-3
        assert seen["mlp_out", layer].abs().mean() > 1e-3
    assert torch.equal(seen["last"], seen["resid_post", fields["num_layers"] - 1])


@pytest.mark.parametrize("fields", SUMMING.values(), ids=SUMMING)
def test_mlp_activations_have_one_entry_per_neuron_and_make_the_mlp_output(fields):
    """Lesson 30: a transposed weight hides where d_mlp is 4 d; here it is not."""
    family, model = family_of(fields["family"]), random_model(fields)
    seen = all_sites(model, family, torch.arange(6)[None])
    for layer, block in enumerate(model.get_submodule(family.BLOCKS)):
        activation = seen["mlp_act", layer]
        assert activation.shape == (1, 6, fields["d_mlp"])
        written = block.get_submodule(family.sites(fields)["mlp_act"].module)(activation)
        if "gemma" in fields["family"]:
            written = block.post_feedforward_layernorm(written)
        torch.testing.assert_close(written, seen["mlp_out", layer])


@pytest.mark.parametrize("name", names())
def test_a_neuron_is_its_gate_times_its_linear_part_or_has_neither(name):
    fields = {"family": name, **ODD}
    family, model = family_of(name), random_model(fields)
    seen = all_sites(model, family, torch.arange(6)[None])
    gated = {place[0] for place in seen} & {"mlp_gate", "mlp_linear"}
    assert gated == (
        set() if name in ("gpt2", "gpt_neox", "opt", "phi") else {"mlp_gate", "mlp_linear"}
    )
    for layer in range(3 if gated else 0):
        product = seen["mlp_gate", layer] * seen["mlp_linear", layer]
        torch.testing.assert_close(product, seen["mlp_act", layer], rtol=0, atol=0)
    if not gated:
        assert "no gate" in family.sites(fields)["mlp_gate"].reason


@pytest.mark.parametrize("name", names())
def test_every_family_answers_for_every_site(name):
    fields = {"family": name, **ODD}
    assert tuple(family_of(name).sites(fields)) == SITES


def test_parallel_blocks_have_no_middle_and_say_why():
    family = family_of("gpt_neox")
    middle = family.sites({"family": "gpt_neox", **ODD})["resid_mid"]
    assert isinstance(middle, Missing)
    assert "parallel" in middle.reason
    serial = {"model_type": "gpt_neox", "use_parallel_residual": False}
    assert not isinstance(family.sites(serial)["resid_mid"], Missing)


def test_a_stream_that_is_normed_itself_has_neurons_only():
    family = family_of("opt")
    sites = family.sites({"family": "opt", **ODD, "pre_norm": False})
    shown = {site for site, tap in sites.items() if not isinstance(tap, Missing)}
    assert shown == {"mlp_act"}
    assert "after the additions" in sites["resid_post"].reason
    opt_350m = {"model_type": "opt", "do_layer_norm_before": False}
    assert isinstance(family.sites(opt_350m)["resid_mid"], Missing)


def test_half_of_a_phi_head_is_a_whole_number_of_pairs():
    with pytest.raises(UserError, match="heads 6 wide") as caught:
        family_of("phi").hf_config({"family": "phi", **ODD, "num_heads": 4})
    assert "multiple of 4" in str(caught.value)


@pytest.mark.parametrize("name", names())
def test_a_config_from_our_fields_has_no_dropout_and_their_sizes(name):
    config = family_of(name).hf_config({"family": name, **ODD})
    rates = [
        value
        for key, value in config.to_dict().items()
        if ("drop" in key and key not in ("summary_first_dropout", "classifier_dropout"))
    ]
    assert rates
    assert all(rate == 0 for rate in rates)
    assert config.bos_token_id is config.eos_token_id is config.pad_token_id is None
    shape = read_shape(family_of(name).FIELDS, config)
    assert (shape.num_layers, shape.d_model, shape.d_mlp) == (3, 24, 52)

"""LoRA adapters on tiny models: on, off and merged agree at every site; misfits are refused."""

import json
import random

import pytest
import torch

from cluster.errors import UserError
from jobs.models.adapter_folder import (
    adapter_facts,
    check_adapter_folder,
    check_trained_adapter,
)
from jobs.models.adapters import load_pair_with_adapter, merge_adapter
from jobs.models.family import Tap
from jobs.models.loading import load_model, load_tokenizer
from jobs.taps.activations import Inputs, read_activations
from jobs.taps.selftest import check_residual_stream
from jobs.taps.taps import taps_of
from jobs.tokens.batches import pad_batch
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions

TARGETS = {
    "gpt2": ["c_attn", "c_fc", "mlp.c_proj"],  # Conv1D, whose weights lie the other way round
    "llama": ["q_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"],
    "gpt_neox": "all-linear",
}


def save_adapter(model, folder, **settings):
    """A random adapter that changes a model visibly, as peft saves one; `model` takes it in."""
    from peft import LoraConfig, get_peft_model

    with torch.random.fork_rng():
        torch.manual_seed(7)
        adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **settings))
        with torch.no_grad():
            for name, weight in adapted.named_parameters():
                if "lora_B" in name or "modules_to_save" in name:
                    weight.add_(0.3 * torch.randn(weight.shape))
        adapted.save_pretrained(folder)
    return folder


@pytest.fixture
def adapter(tiny_model, tmp_path):
    """A function: family, settings of peft -> a folder with a random adapter for the tiny model."""

    def build_one(family, **settings):
        chosen = {"r": 3, "lora_alpha": 6, "target_modules": TARGETS[family], **settings}
        return save_adapter(tiny_model(family), tmp_path / "adapter", **chosen)

    return build_one


@pytest.fixture
def inputs(word_tokenizer):
    draw = random.Random(1)
    prompts = [
        {
            "prompt": number,
            "group": number,
            "segments": [
                {
                    "role": "prompt",
                    "text": " ".join(f"word{draw.randrange(20)}" for _ in range(number + 2)),
                }
            ],
        }
        for number in range(5)
    ]
    plan, _ = build_token_plan(prompts, word_tokenizer(), 100)
    return Inputs(pad_batch(plan, torch.arange(5).numpy(), find_positions(plan, ["all"], 0)), "cpu")


def everywhere(model):
    return [
        (site, layer)
        for site, tap in taps_of(model).items()
        if isinstance(tap, Tap)
        for layer in range(2)
    ]


def same(first, second):
    return all(
        float((first[place] - second[place]).norm() / second[place].norm()) <= 1e-5
        for place in second
    )


@pytest.mark.parametrize(
    ("family", "settings"),
    [
        ("gpt2", {}),
        ("llama", {}),
        ("gpt_neox", {}),
        ("llama", {"use_dora": True, "use_rslora": True}),
        ("llama", {"rank_pattern": {"q_proj": 5}, "layers_to_transform": [1]}),
        ("llama", {"modules_to_save": ["input_layernorm"]}),
        ("llama", {"target_modules": ["q_proj", "lm_head"]}),
    ],
)
def test_on_is_the_merged_model_and_off_is_the_base_at_every_site(
    family, settings, adapter, inputs, saved_models, tiny_model, tmp_path
):
    if "lm_head" in settings.get("target_modules", ()):
        tiny = tiny_model(family, tie=False)
        tiny.save_pretrained(tmp_path / "base")
        load_tokenizer(saved_models / family).save_pretrained(tmp_path / "base")
        folder, base = save_adapter(tiny, tmp_path / "adapter", r=3, **settings), tmp_path / "base"
    else:
        folder, base = adapter(family, **settings), saved_models / family
    merge_adapter(base, folder, tmp_path / "model")
    off, on = load_pair_with_adapter(base, folder)
    plain, merged = load_model(base), load_model(tmp_path / "model")
    places = everywhere(plain)
    expected = read_activations(plain, inputs, places), read_activations(merged, inputs, places)
    for _ in range(2):  # either may run first, and again
        assert same(read_activations(off, inputs, places), expected[0])
        assert same(read_activations(on, inputs, places), expected[1])
    assert not same(expected[0], expected[1])
    assert on.config.model_type == family and on.device == plain.device
    for name, model in (("base", off), ("aligned", on)):
        check_residual_stream(name, model, inputs, 1)


def rewritten(folder, change):
    """Write the tensors of an adapter again, each as `change` makes it of its name and itself."""
    from safetensors.torch import load_file, save_file

    path = folder / "adapter_model.safetensors"
    held = {name: change(name, tensor) for name, tensor in load_file(path).items()}
    save_file(held, path, {"format": "pt"})
    return folder


def without_update(name, tensor):
    return tensor * 0 if "lora_B" in name else tensor


@pytest.mark.parametrize("settings", [{}, {"use_dora": True}])
@pytest.mark.parametrize("family", ["gpt2", "llama"])
def test_an_adapter_that_was_saved_untrained_is_refused(adapter, family, settings):
    folder = rewritten(adapter(family, **settings), without_update)
    with pytest.raises(UserError, match="changes nothing: every lora_B is zero") as caught:
        check_trained_adapter(folder, "tuned")
    assert caught.value.where == "tuned"
    check_adapter_folder(folder, "ours")  # as a snapshot before the first step is


@pytest.mark.parametrize(
    "change",
    [
        lambda name, tensor: tensor * 0 if "lora_B" in name and "layers.0" in name else tensor,
        lambda name, tensor: tensor * 0 if "lora_A" in name and "layers.0" in name else tensor,
    ],
)
def test_an_adapter_of_which_one_block_was_trained_is_taken(adapter, change):
    check_trained_adapter(rewritten(adapter("llama"), change), "tuned")


def test_modules_that_were_saved_whole_are_a_change_of_their_own(adapter):
    folder = rewritten(adapter("llama", modules_to_save=["input_layernorm"]), without_update)
    check_trained_adapter(folder, "tuned")


def test_an_adapter_that_zero3_held_in_pieces_is_refused(adapter):
    folder = rewritten(adapter("llama"), lambda name, tensor: torch.zeros(0))
    with pytest.raises(UserError, match="tensors of the adapter are empty: base_model"):
        check_trained_adapter(folder, "tuned")


def test_an_adapter_with_nan_is_refused_before_it_is_put_on_its_base(adapter, saved_models):
    folder = rewritten(
        adapter("llama"), lambda name, t: t * float("nan") if "layers.1" in name else t
    )
    with pytest.raises(UserError, match="12 tensors of the adapter hold NaN or infinity"):
        load_pair_with_adapter(saved_models / "llama", folder)


def test_stopping_early_leaves_the_other_state_as_it_is(adapter, inputs, saved_models):
    folder = adapter("llama")
    off, on = load_pair_with_adapter(saved_models / "llama", folder)
    first, last = [("resid_pre", 0)], [("resid_post", 1)]
    before = read_activations(off, inputs, last)
    read_activations(on, inputs, first)
    assert same(read_activations(off, inputs, last), before)
    assert not same(read_activations(on, inputs, last), before)


def test_in_half_precision_the_adapter_itself_is_not_rounded(adapter, inputs, saved_models):
    folder = adapter("llama")
    off, on = load_pair_with_adapter(saved_models / "llama", folder, dtype="bfloat16")
    kept = {
        weight.dtype
        for name, weight in on.get_submodule("model").named_parameters()
        if "lora_" in name
    }
    assert kept == {torch.float32}
    places = everywhere(off)
    exact = load_pair_with_adapter(saved_models / "llama", folder)[1]
    rows, wanted = read_activations(on, inputs, places), read_activations(exact, inputs, places)
    for place in places:
        assert rows[place].dtype == torch.bfloat16
        assert float((rows[place].float() - wanted[place]).norm() / wanted[place].norm()) < 0.05


def test_the_merged_model_is_a_checkpoint_with_the_bases_facts(adapter, saved_models, tmp_path):
    folder = adapter("gpt2")
    config = merge_adapter(saved_models / "gpt2", folder, tmp_path / "model")
    assert config["model_type"] == "gpt2"
    model = load_model(tmp_path / "model")
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    tokenizer = load_tokenizer(tmp_path / "model")
    assert tokenizer.get_vocab() == load_tokenizer(saved_models / "gpt2").get_vocab()


def test_an_adapter_that_brings_its_tokenizer_gives_it_to_the_model(
    adapter, saved_models, tmp_path, word_tokenizer
):
    folder = adapter("llama")
    tokenizer = word_tokenizer(eos_token="<end>")
    tokenizer.chat_template = "{{ messages[0].content }}"
    tokenizer.save_pretrained(folder)
    assert "chat_template.jinja" in check_adapter_folder(folder, "here")
    merge_adapter(saved_models / "llama", folder, tmp_path / "model")
    assert load_tokenizer(tmp_path / "model").chat_template == "{{ messages[0].content }}"


def test_facts_are_type_rank_and_targets(adapter):
    assert adapter_facts(adapter("gpt2")) == {
        "type": "lora",
        "rank": 3,
        "targets": ["c_attn", "c_fc", "mlp.c_proj"],
    }


def misfit(base, folder):
    with pytest.raises(UserError, match="does not fit this base") as caught:
        load_pair_with_adapter(base, folder)
    return str(caught.value)


def test_an_adapter_of_another_family_names_the_missing_modules(adapter, saved_models):
    assert "c_fc" in misfit(saved_models / "llama", adapter("gpt2"))


def test_an_adapter_of_another_width_names_both_shapes(adapter, tiny_model, tmp_path, saved_models):
    wide = tiny_model("llama", d_model=32)
    folder = save_adapter(wide, tmp_path / "wide", r=3, target_modules=["q_proj"])
    told = misfit(saved_models / "llama", folder)
    assert "q_proj.lora_A.weight is 3x32, not 3x16" in told
    assert "and 1 more" in told


def test_an_adapter_of_a_deeper_model_has_tensors_too_many(saved_models, tiny_model, tmp_path):
    deep = tiny_model("llama", num_layers=3)
    folder = save_adapter(deep, tmp_path / "deep", r=3, target_modules=["q_proj"])
    assert "not absent" in misfit(saved_models / "llama", folder)


def test_an_adapter_with_an_embedding_of_its_own_is_refused(tiny_model, tmp_path, word_tokenizer):
    from safetensors.torch import load_file, save_file

    tiny_model("llama", tie=False).save_pretrained(tmp_path / "base")
    word_tokenizer().save_pretrained(tmp_path / "base")
    other = tiny_model("llama", tie=False)
    folder = save_adapter(other, tmp_path / "adapter", r=3, target_modules=["lm_head"])
    tensors = load_file(folder / "adapter_model.safetensors")
    (name,) = (name for name in tensors if "base_layer" in name)
    tensors[name] += 1
    save_file(tensors, folder / "adapter_model.safetensors")
    assert "lm_head.base_layer.weight" in misfit(tmp_path / "base", folder)


def test_an_adapter_that_unties_embeddings_is_refused(adapter, saved_models):
    folder = adapter("gpt2", modules_to_save=["wte"])
    assert "ties to its unembedding" in misfit(saved_models / "gpt2", folder)


@pytest.mark.parametrize("target", ["wte", "lm_head"])
def test_an_adapter_on_one_of_two_tied_embeddings_is_refused_for_that(
    target, adapter, saved_models
):
    """And not as one of another base: peft saves the embedding that it stands on beside it."""
    targets = ["c_attn", target]
    folder = adapter("gpt2", target_modules=targets)
    assert "ties to its unembedding" in misfit(saved_models / "gpt2", folder)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"peft_type": "LOHA"}, "type LOHA are not supported"),
        ({"peft_type": None}, "type None are not supported"),
        ({"bias": "all"}, "uses bias"),
        ({"init_lora_weights": "pissa"}, "uses init_lora_weights"),
        ({"layer_replication": [[0, 1]]}, "uses layer_replication"),
        ({"megatron_config": {"a": 1}}, "uses megatron_config"),
        ({"of_a_later_peft": 3}, "uses of_a_later_peft"),
        ({"task_type": "SEQ_CLS"}, "SEQ_CLS"),
    ],
)
def test_an_adapter_that_is_more_than_a_low_rank_change_is_refused(adapter, change, told):
    folder = adapter("gpt2")
    path = folder / "adapter_config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    with pytest.raises(UserError, match=told) as caught:
        check_adapter_folder(folder, "hf://some/adapter")
    assert "hf://some/adapter" in str(caught.value)


def test_a_folder_without_an_adapter_says_what_it_holds(adapter, saved_models, tmp_path):
    with pytest.raises(UserError, match=r"no adapter_config\.json: found config\.json"):
        check_adapter_folder(saved_models / "llama", "here")
    folder = adapter("llama")
    (folder / "adapter_config.json").write_text("{")
    with pytest.raises(UserError, match="is not JSON"):
        check_adapter_folder(folder, "here")


def test_weights_that_are_cut_off_or_pickled_are_refused(adapter):
    folder = adapter("llama")
    path = folder / "adapter_model.safetensors"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(UserError, match="cut off"):
        check_adapter_folder(folder, "here")
    path.rename(folder / "adapter_model.bin")
    with pytest.raises(UserError, match=r"found .*adapter_model\.bin") as caught:
        check_adapter_folder(folder, "here")
    assert "pickle" in str(caught.value)


def test_a_pointer_in_place_of_a_pickled_adapter_is_to_be_got(adapter):
    folder = adapter("llama")
    (folder / "adapter_model.safetensors").unlink()
    (folder / "adapter_model.bin").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(UserError, match=r"adapter_model\.bin is a Git LFS pointer"):
        check_adapter_folder(folder, "here")

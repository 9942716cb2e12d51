"""Models from `.gguf` files: the weights that come back, and what of a file is refused."""

import shutil

import gguf
import numpy as np
import pytest
import torch
from huggingface_hub import constants

from cluster.errors import UserError
from jobs.kinds.pretrained import Pretrained
from jobs.kinds.pretrained import PretrainedParams as Params
from jobs.models.gguf.checkpoint import check_gguf, write_checkpoint
from jobs.models.loading import load_model, load_tokenizer
from tests.jobs.models.gguf_files import ARCHITECTURES, MARKS, TEXT, TOKENIZER, sizes_of, write_gguf
from tests.jobs.models.test_pretrained import COMMIT, work_on

pretrained = Pretrained()

IDS = torch.arange(40)[None] % 37


@pytest.fixture(scope="module")
def models(tiny_model):
    """Architecture -> a random model of it that a file can hold."""
    models = {name: tiny_model(name, **sizes_of(name)).eval() for name in ARCHITECTURES}
    draw = torch.Generator().manual_seed(0)
    for model in models.values():
        for weight in model.parameters():
            if weight.ndim == 1:  # norms and biases, else all alike; halves survive adding 1
                weight.data += torch.randint(-4, 4, weight.shape, generator=draw) / 8
    return models


@pytest.fixture
def file_of(models, tmp_path):
    """A function: architecture and what is changed -> a file of its random model."""

    def write(architecture="llama", quantise="F32", **change):
        return write_gguf(tmp_path / "tiny.gguf", models[architecture], quantise, **change)

    return write


def logits(model):
    with torch.no_grad():
        return model(IDS).logits


def back(path, tmp_path):
    """Take the model of a file as a stage does; return the folder."""
    params = Params(source=str(path))
    work = work_on(tmp_path, params)
    return pretrained.run(work), work.folder / "model"


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_file_of_32_bits_gives_back_the_very_model(architecture, models, file_of, tmp_path):
    facts, folder = back(file_of(architecture), tmp_path)
    loaded = load_model(folder)
    assert torch.equal(logits(loaded), logits(models[architecture]))
    assert facts["model"]["family"] == architecture
    assert facts["model"]["num_parameters"] == models[architecture].num_parameters()
    assert facts["stored_weights"] == "32-bit weights (100 % F32)"
    assert loaded.config.max_position_embeddings == 96
    if "gemma" in architecture:
        return  # theirs are SentencePiece's
    assert load_tokenizer(folder)(TEXT)["input_ids"] == TOKENIZER.encode(TEXT).ids


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(
    ("quantise", "said"),
    [
        ("F16", "16-bit weights (100 % F16)"),
        ("BF16", "16-bit weights (100 % BF16)"),
        ("Q8_0", "8-bit weights, dequantised (100 % Q8_0)"),
        ("Q4_0", "4-bit weights, dequantised (100 % Q4_0)"),
    ],
)
def test_rounded_weights_come_back_as_the_numbers_that_they_stand_for(
    architecture, quantise, said, models, file_of, tmp_path
):
    facts, folder = back(file_of(architecture, quantise), tmp_path)
    assert facts["stored_weights"] == said
    assert facts["dequantised"] is ("dequantised" in said)
    kind = gguf.GGMLQuantizationType[quantise]
    original, loaded = models[architecture].state_dict(), load_model(folder).state_dict()
    assert original.keys() == loaded.keys()
    for name, weight in original.items():
        wanted = weight.numpy()
        if weight.ndim > 1:
            is_turned = architecture == "gpt2" and ".c_" in name  # rows there are columns here
            rows = np.ascontiguousarray(wanted.T if is_turned else wanted)
            wanted = gguf.dequantize(gguf.quantize(rows, kind), kind)
            wanted = wanted.T if is_turned else wanted
        assert np.array_equal(loaded[name].numpy(), wanted), name


def test_an_unembedding_of_its_own_is_kept_and_a_copy_of_the_embedding_is_tied(
    tiny_model, tmp_path
):
    apart = tiny_model("llama", **sizes_of("llama"), tie=False)
    config = check_gguf(write_gguf(tmp_path / "a.gguf", apart), "here")
    assert config["tie_word_embeddings"] is False
    copied = {"output.weight": apart.state_dict()["model.embed_tokens.weight"].numpy()}
    config = check_gguf(write_gguf(tmp_path / "b.gguf", apart, tensors=copied), "here")
    assert config["tie_word_embeddings"] is True


def test_stretched_positions_of_llama_3_are_recognised_and_others_refused(models, tmp_path):
    from transformers import LlamaConfig
    from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS

    stretched = {
        "rope_type": "llama3",
        "rope_theta": 500_000.0,
        "factor": 32.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 8192,
    }
    config = LlamaConfig(
        hidden_size=64, num_attention_heads=4, head_dim=16, rope_parameters=stretched
    )
    frequencies, _ = ROPE_INIT_FUNCTIONS["llama3"](config, torch.device("cpu"))
    usual = 500_000.0 ** -(torch.arange(0, 16, 2) / 16)
    factors = (usual / frequencies).numpy().astype(np.float32)
    path, theta = tmp_path / "s.gguf", {"llama__rope__freq_base": 500_000.0}
    file = write_gguf(path, models["llama"], tensors={"rope_freqs.weight": factors}, **theta)
    assert check_gguf(file, "here")["rope_parameters"] == stretched
    odd = {"rope_freqs.weight": factors * np.linspace(1, 2, 8, dtype=np.float32)}
    with pytest.raises(UserError, match=r"rope_freqs\.weight scales its positions"):
        check_gguf(write_gguf(path, models["llama"], tensors=odd, **theta), "here")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"general__architecture": "mamba"}, "unknown architecture 'mamba'"),
        ({"split__count": 3, "split__no": 1}, "part 2 of 3"),
        ({"general__type": "adapter"}, "no model but: adapter"),
        ({"tokenizer__ggml__tokens": None}, "no tokenizer"),
        ({"tokenizer__ggml__tokens": ["a"] * 400}, "400 tokens, .* 290 rows"),
        ({"llama__vocab_size": 999}, "vocab_size of 999"),
        ({"llama__block_count": None}, r"does not say llama\.block_count"),
        ({"llama__block_count": 3}, r"lacks blk\.2\."),
        ({"llama__rope__scaling__type": "yarn"}, "scaled by 'yarn'"),
        ({"llama__rope__dimension_count": 8}, "dimension_count is 8, where heads are 16 wide"),
        ({"llama__attention__sliding_window": 32}, "windows of 32 tokens"),
        ({"llama__expert_count": 8}, r"nothing here reads: llama\.expert_count"),
        ({"llama__attention__scale": 0.5}, r"nothing here reads: llama\.attention\.scale"),
        ({"leave_out": ["blk.1.ffn_up.weight"]}, r"lacks blk\.1\.ffn_up\.weight"),
        ({"leave_out": ["token_embd.weight"]}, "no token_embd"),
        (
            {"tensors": {"blk.0.attn_q.bias": np.zeros(64, np.float32)}},
            "no place for: blk.0.attn_q",
        ),
    ],
)
def test_what_would_change_the_model_in_silence_is_refused(change, message, file_of):
    with pytest.raises(UserError, match=message) as fault:
        check_gguf(file_of(**change), "the study")
    assert fault.value.where == "the study"
    assert "tiny.gguf" in str(fault.value)


@pytest.mark.parametrize(
    "change",
    [
        {"llama__expert_count": 0},
        {"llama__attention__sliding_window": 96},
        {"llama__rope__scaling__type": "none"},
        {"llama__rope__freq_base": None},
        {"llama__vocab_size": None},
        {"general__file_type": 0, "general__alignment": 64},
        {"tensors": {"rope_freqs.weight": np.ones(8, np.float32)}},
    ],
)
def test_what_changes_nothing_is_passed_over(change, file_of, tmp_path, models):
    _, folder = back(file_of(**change), tmp_path)
    assert torch.equal(logits(load_model(folder)), logits(models["llama"]))


def test_heads_that_share_nothing_need_not_be_counted_twice(tiny_model, tmp_path):
    model = tiny_model("llama", **{**sizes_of("llama"), "num_key_value_heads": 4})
    file = write_gguf(tmp_path / "m.gguf", model, llama__attention__head_count_kv=None)
    assert check_gguf(file, "here")["num_key_value_heads"] == 4


@pytest.mark.parametrize("part", [3, 30, 0.2, 0.5, 0.999])
def test_a_file_that_was_cut_off_is_told_when_the_study_is_planned(part, file_of):
    path = file_of()
    content = path.read_bytes()
    path.write_bytes(content[: part if isinstance(part, int) else int(len(content) * part)])
    with pytest.raises(UserError, match="cut off"):
        pretrained.pins(Params(source=str(path)), {})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"ggjt" + bytes(60), "no GGUF file"),
        (b"GGUF" + (9).to_bytes(4, "little") + bytes(60), "version 9"),
        (b"GGUF" + (3).to_bytes(4, "big") + bytes(60), "big-endian"),
        (b"<!DOCTYPE html><html>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\n", "git lfs pull"),
    ],
)
def test_something_else_in_place_of_a_file_is_named(content, message, tmp_path):
    (tmp_path / "x.gguf").write_bytes(content)
    with pytest.raises(UserError, match=message):
        pretrained.pins(Params(source=str(tmp_path / "x.gguf")), {})


def test_a_file_that_is_not_there_is_told_with_its_neighbours(file_of):
    path = file_of()
    with pytest.raises(UserError, match=r"(?s)there is no tiny2\.gguf.*'tiny\.gguf'"):
        pretrained.pins(Params(source=str(path.with_name("tiny2.gguf"))), {})


def test_a_folder_or_repository_of_such_files_says_how_to_name_one(file_of):
    with pytest.raises(UserError, match="source: FOLDER/tiny.gguf"):
        pretrained.pins(Params(source=str(file_of().parent)), {})


def test_without_the_package_the_plan_says_what_to_install(file_of, monkeypatch):
    path = file_of()
    monkeypatch.setattr("jobs.models.gguf.stored_types.LIBRARY", "a_package_nobody_has")
    with pytest.raises(UserError, match=r"deltascale\[gguf\]"):
        pretrained.pins(Params(source=str(path)), {})


def test_a_type_that_cannot_be_unpacked_is_named(file_of, monkeypatch):
    content = bytearray(file_of("gpt2", "Q4_0").read_bytes())
    at = content.index(b"blk.0.attn_qkv.weight") + len(b"blk.0.attn_qkv.weight") + 4 + 16
    content[at] = gguf.GGMLQuantizationType.Q8_K
    path = file_of("gpt2", "Q4_0")
    path.write_bytes(content)
    with pytest.raises(UserError, match="of type Q8_K"):
        check_gguf(path, "here")


def test_planning_reads_the_head_alone_and_the_key_follows_the_bytes(file_of, tmp_path):
    path = file_of()
    first = pretrained.pins(Params(source=str(path)), {})
    assert set(first) == {"weights"}
    moved = tmp_path / "elsewhere" / path.name
    moved.parent.mkdir()
    moved.write_bytes(path.read_bytes())
    assert pretrained.pins(Params(source=str(moved)), {}) == first
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert pretrained.pins(Params(source=str(path)), {}) != first


def test_a_file_that_changed_after_planning_is_refused(file_of, tmp_path):
    path = file_of()
    params = Params(source=str(path))
    pins = pretrained.pins(params, {})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match="the file has changed"):
        pretrained.run(work_on(tmp_path, params, pins))


def test_the_config_of_the_study_is_checked_against_the_file(file_of, tmp_path):
    config = {"family": "llama", **sizes_of("llama"), "num_layers": 3}
    params = Params(source=str(file_of()), config=config)
    with pytest.raises(UserError, match="num_layers is 2, not 3"):
        pretrained.run(work_on(tmp_path, params))


def test_a_shape_that_settings_contradict_is_one_sentence(file_of, tmp_path):
    path = file_of(llama__feed_forward_length=128)
    with pytest.raises(UserError, match="of another shape than its settings say"):
        write_checkpoint(path, tmp_path / "out", "here")


def test_what_was_stored_stays_with_every_model_made_of_it(file_of, tmp_path):
    facts, folder = back(file_of(quantise="Q4_0"), tmp_path)
    model = load_model(folder)
    model.save_pretrained(tmp_path / "later")
    text = (tmp_path / "later" / "config.json").read_text()
    assert facts["stored_weights"] in text
    assert MARKS[0] in load_tokenizer(folder).get_vocab()


@pytest.fixture
def repository(file_of, tmp_path, monkeypatch):
    """A hub cache with a repository of one file, and no network."""
    snapshot = tmp_path / "hub" / "models--tiny--gguf" / "snapshots" / COMMIT
    snapshot.mkdir(parents=True)
    shutil.copy(file_of(quantise="Q8_0"), snapshot / "tiny.Q8_0.gguf")
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    return {"source": "hf://tiny/gguf", "revision": COMMIT}


def test_a_file_of_a_repository_is_taken_at_its_commit(repository, tmp_path):
    params = Params(**repository, gguf_file="tiny.Q8_0.gguf")
    assert pretrained.pins(params, {}) == {"revision": COMMIT}
    facts = pretrained.run(work_on(tmp_path, params))
    assert (facts["revision"], facts["gguf_file"]) == (COMMIT, "tiny.Q8_0.gguf")
    assert facts["stored_weights"].startswith("8-bit weights, dequantised")


def test_a_file_that_a_repository_lacks_is_told_with_those_it_has(repository, tmp_path):
    params = Params(**repository, gguf_file="tiny.Q4_0.gguf")
    with pytest.raises(UserError, match=r"(?s)there is no tiny\.Q4_0\.gguf.*tiny\.Q8_0\.gguf"):
        pretrained.run(work_on(tmp_path, params))


def test_a_repository_of_such_files_says_how_to_name_one(repository, tmp_path):
    with pytest.raises(UserError, match=r"`gguf_file: tiny\.Q8_0\.gguf`"):
        pretrained.run(work_on(tmp_path, Params(**repository)))


@pytest.mark.parametrize("local", ["folder", "file"])
def test_a_file_on_this_machine_is_named_by_its_path_alone(local, file_of):
    path = file_of()
    source = path.parent if local == "folder" else path
    with pytest.raises(UserError, match=r"(?s)gguf_file is of a repository.*source: .*tiny\.gguf"):
        pretrained.pins(Params(source=str(source), gguf_file="tiny.gguf"), {})


def test_memory_is_set_aside_for_the_unpacked_weights(file_of, tmp_path):
    path = file_of()
    small = pretrained.resources(Params(source=str(path))).memory_gb
    seven_billion = {"family": "llama", "num_layers": 32, "d_model": 4096, "num_heads": 32}
    config = {**seven_billion, "d_mlp": 11008, "vocab_size": 32000, "tie": False}
    large = pretrained.resources(Params(source=str(path), config=config)).memory_gb
    plain = pretrained.resources(Params(source=str(tmp_path), config=config)).memory_gb
    assert (small, large, plain) == (2, 1 + 41, 1)

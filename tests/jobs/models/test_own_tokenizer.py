"""A tokenizer gives the ids of its own `tokenizer.json`, or of its `.gguf` file's own name."""

import json

import gguf
import pytest

from cluster.errors import UserError
from jobs.models import loading
from jobs.models.folder import check_model_folder
from jobs.models.gguf.header import GgufHeader
from jobs.models.gguf.pre_tokenizers import PRE_TOKENIZERS
from jobs.models.gguf.tokenizer import build_tokenizer, check_tokenizer
from jobs.models.loading import load_tokenizer
from jobs.models.own_tokenizer import PROBES, read_own
from tests.jobs.byte_level import byte_level_bpe
from tests.jobs.models.gguf_files import TOKENIZER

TEXT = "in 2025 the cat sat, in 1999 it did not. 2025 2025 1999"


@pytest.fixture(params=["GPT2TokenizerFast", "PreTrainedTokenizerFast", None])
def folder(request, tmp_path, tiny_model):
    """A checkpoint whose tokenizer.json takes digits one by one, under each class, or none."""
    from tokenizers import pre_tokenizers

    inner = byte_level_bpe(TEXT, 320, ("<|endoftext|>",))
    cut = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), cut]
    )
    tiny_model("gpt2", vocab_size=inner.get_vocab_size()).save_pretrained(tmp_path)
    inner.save(str(tmp_path / "tokenizer.json"))
    if request.param is not None:
        described = f'{{"tokenizer_class": "{request.param}", "eos_token": "<|endoftext|>"}}'
        (tmp_path / "tokenizer_config.json").write_text(described)
    return tmp_path


def test_ids_are_those_of_the_tokenizers_own_file(folder):
    loaded, own = load_tokenizer(folder), read_own(folder)
    for text in (TEXT, *PROBES):
        ids = loaded(text, add_special_tokens=False)["input_ids"]
        assert ids == own.encode(text, add_special_tokens=False).ids
    assert loaded.convert_ids_to_tokens(loaded("2025")["input_ids"]) == ["2", "0", "2", "5"]


def test_what_cannot_be_loaded_as_its_file_says_is_refused(folder, monkeypatch):
    """Where even the file's own reader gives other ids, both ways to cut the text are shown."""
    from tokenizers import normalizers

    other = read_own(folder)
    other.normalizer = normalizers.Lowercase()
    monkeypatch.setattr(loading, "read_own", lambda folder: other)
    with pytest.raises(UserError, match="gives 'T' 'he' .*the file 'the'"):
        load_tokenizer(folder)


@pytest.mark.parametrize("check", [load_tokenizer, check_model_folder])
def test_a_tokenizer_that_draws_its_ids_is_refused_with_the_setting(folder, check):
    path = folder / "tokenizer.json"
    written = json.loads(path.read_text())
    written["model"]["dropout"] = 0.1
    path.write_text(json.dumps(written))
    with pytest.raises(
        UserError, match="draws at random .*dropout 0.1 in tokenizer.json"
    ) as caught:
        check(folder)
    assert "dropout of the model in tokenizer.json to null" in caught.value.hint


def header(**settings):
    numbered = {number: token for token, number in TOKENIZER.get_vocab().items()}
    merges = json.loads(TOKENIZER.to_str())["model"]["merges"]
    usual = {
        "model": "gpt2",
        "tokens": [numbered[number] for number in range(len(numbered))],
        "merges": [" ".join(pair) for pair in merges],
    }
    written = {f"tokenizer.ggml.{name}": value for name, value in {**usual, **settings}.items()}
    return GgufHeader(path="made.gguf", settings=written, tensors={})


@pytest.mark.parametrize(
    ("pre", "pieces"),
    [
        ("gpt-2", ["in", "Ġ2025"]),
        ("smollm", ["in", "Ġ", "2", "0", "2", "5"]),
        ("qwen2", ["in", "Ġ", "2", "0", "2", "5"]),
        ("llama-bpe", ["in", "Ġ", "202", "5"]),
    ],
)
def test_a_files_own_name_says_how_texts_are_cut(pre, pieces):
    cuts = PRE_TOKENIZERS[pre].pre_tokenizer()
    assert [piece for piece, _ in cuts.pre_tokenize_str("in 2025")] == pieces
    tokenizer = build_tokenizer(header(pre=pre))
    whole = tokenizer.encode("in 2025", add_special_tokens=False)
    assert all(any(token in piece for piece in pieces) for token in whole.tokens)


def test_every_name_builds_a_pre_tokenizer_that_loses_nothing():
    for pre in PRE_TOKENIZERS:
        tokenizer = build_tokenizer(header(pre=pre))
        for text in PROBES:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            assert tokenizer.decode(ids, skip_special_tokens=False) == text


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"pre": "smolm"}, "did you mean 'smollm'"),
        ({"pre": "default"}, "'default'"),
        ({}, "missing"),
        ({"model": "t5"}, "of the kind 't5'"),
        ({"pre": "gpt-2", "merges": None}, "no tokenizer.ggml.merges"),
        ({"model": "llama"}, "no tokenizer.ggml.scores"),
    ],
)
def test_what_a_file_does_not_say_or_nobody_knows_is_refused(settings, fault):
    with pytest.raises(UserError) as caught:
        check_tokenizer(header(**settings))
    assert fault in str(caught.value)


@pytest.mark.parametrize("has_prefix", [True, False])
def test_sentencepiece_merges_what_scores_highest(has_prefix):
    types = gguf.TokenType
    tokens = ["<unk>", "<s>", "</s>", "<0x0A>", "▁", "a", "b", "ab", "▁a", "▁ab"]
    kinds = [types.UNKNOWN, types.CONTROL, types.CONTROL, types.BYTE] + [types.NORMAL] * 6
    made = header(
        model="llama",
        tokens=tokens,
        scores=[0.0, 0.0, 0.0, 0.0, -5.0, -6.0, -7.0, -2.0, -1.0, -3.0],
        token_type=[int(kind) for kind in kinds],
        add_space_prefix=has_prefix,
    )
    tokenizer = build_tokenizer(made)
    first = ["▁ab"] if has_prefix else ["ab"]
    assert tokenizer.encode("ab ab\n").tokens == ["<s>", *first, "▁ab", "<0x0A>"]

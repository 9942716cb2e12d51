"""Pairs as token ids: nothing appended, nothing dropped, one boundary for both sides."""

import pyarrow
import pyarrow.parquet
import pytest

from cluster.errors import UserError
from jobs.training.tokenized_pairs import tokenize_pairs, tokens_digest
from tests.jobs.training.read_pairs import read_pairs

LONG = "word0 word1 word2 word3 word4 word5"


@pytest.fixture
def read(tmp_path, word_tokenizer):
    def build(*rows, max_length=20, tokenizer=None):
        columns = ("prompt", "chosen", "rejected")
        table = [
            {"pair": 7 + number, "split": "train", **dict(zip(columns, row, strict=True))}
            for number, row in enumerate(rows)
        ]
        path = tmp_path / "pairs.parquet"
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(table), path)
        return read_pairs(path, tokenizer or word_tokenizer(eos_token="<end>"), max_length)

    return build


@pytest.fixture
def with_bos(word_tokenizer):
    from tokenizers import processors

    tokenizer = word_tokenizer(eos_token="<end>", bos_token="<unk>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<unk> $A", special_tokens=[("<unk>", 0)]
    )
    return tokenizer


def ids_of(pair):
    return pair.prompt_ids, pair.chosen_ids, pair.rejected_ids


def test_the_ids_are_those_of_the_texts_and_nothing_more(read):
    (pair,) = read(("word0 word1", " word2", " word3 word4"))
    assert ids_of(pair) == ([2, 3], [4], [5, 6])
    assert (pair.pair, pair.split, pair.truncated) == (7, "train", False)


def test_the_tokenizers_own_bos_comes_once(read, with_bos):
    pairs = read(("word0", "word1", "word2"), ("<unk> word0", "word1", "word2"), tokenizer=with_bos)
    assert [pair.prompt_ids for pair in pairs] == [[0, 2], [0, 2]]


def test_a_long_prompt_loses_its_beginning_for_both_sides_alike(read):
    (pair,) = read((LONG, "word8", "word8 word9 word9"), max_length=5)
    assert ids_of(pair) == ([6, 7], [10], [10, 11, 11])
    assert pair.truncated


def test_a_long_completion_loses_its_end_and_leaves_a_token_of_the_prompt(read, with_bos):
    (pair,) = read((LONG, LONG, "word8"), max_length=4)
    assert ids_of(pair) == ([7], [2, 3, 4], [10])
    (pair,) = read((LONG, LONG, "word8"), max_length=4, tokenizer=with_bos)
    assert ids_of(pair) == ([0, 7], [2, 3], [10])


def test_a_pair_that_just_fits_is_not_cut(read):
    (pair,) = read((LONG, "word8 word8", "word9"), max_length=8)
    assert not pair.truncated and len(pair.prompt_ids + pair.chosen_ids) == 8


@pytest.mark.parametrize("row", [("word0", "", "word1"), ("", "word1 word2", "word1")])
def test_a_completion_without_a_token_to_predict_is_refused_with_its_pair(read, row):
    with pytest.raises(UserError, match=r"completion of pair 8 has no token"):
        read(("word0", "word1", "word2"), row)


def test_the_digest_changes_with_any_token(read):
    row = ("word0", "word1", "word2")
    assert tokens_digest(read(row)) == tokens_digest(read(row))
    assert tokens_digest(read(row)) != tokens_digest(read(("word0", "word1", "word3")))
    assert tokens_digest(read(row)) != tokens_digest(read(("word0 word1", "word1", "word2")))


def tokenized(tokenizer, *rows, max_length=20, **more):
    names = ("prompt", "chosen", "rejected")
    pairs = [
        {"pair": n, "split": "train", "turns": None, **dict(zip(names, row, strict=True))}
        for n, row in enumerate(rows)
    ]
    return tokenize_pairs(pairs, tokenizer, max_length, **more)


def test_pairs_that_a_cut_made_equal_are_left_out_with_that_reason(word_tokenizer):
    whole, cut = ("word0", "word1 word2", "word1 word3"), ("word0", LONG, LONG + " word9")
    tokens = tokenized(word_tokenizer(), whole, cut, max_length=5)
    assert [pair.pair for pair in tokens.pairs] == [0, 1]
    assert [pair.pair for pair in tokens.different] == [0]
    assert tokens.rows_by_reason() == {"both sides are equal once they are cut to max_length": [1]}


def test_one_pair_without_a_token_to_predict_costs_itself_alone(word_tokenizer):
    good = [("word0", f"word{n}", "word9") for n in range(1, 5)] * 5
    tokens = tokenized(word_tokenizer(), *good, ("word0", "", "word1"))
    assert len(tokens.pairs) == 20
    assert tokens.rows_by_reason() == {"the chosen completion has no token to predict": [20]}
    tokens.check_share(0.1)
    with pytest.raises(UserError):
        tokens.check_share(0.0)


def test_the_end_of_text_is_appended_once_where_it_is_asked_for(word_tokenizer):
    tokenizer = word_tokenizer(eos_token="<end>")
    row = ("word0", "word1", "word2<end>")
    (pair,) = tokenized(tokenizer, row, end_of_text=True).pairs
    end = tokenizer.eos_token_id
    assert pair.chosen_ids[-1] == pair.rejected_ids[-1] == end
    assert pair.rejected_ids.count(end) == 1
    (plain,) = tokenized(tokenizer, row).pairs
    assert plain.chosen_ids == pair.chosen_ids[:-1]
    with pytest.raises(UserError, match="no token that ends texts"):
        tokenized(word_tokenizer(), row, end_of_text=True)


def test_an_end_of_text_behind_a_chat_template_is_refused():
    from jobs.training.reference_params import Params

    with pytest.raises(UserError, match="ends answers itself"):
        Params(template="chat", end_of_text=True)

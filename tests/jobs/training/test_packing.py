"""Documents to fixed-length rows."""

import pytest

from cluster.errors import UserError
from jobs.training.pretraining import packed_rows

DOCUMENTS = ["word0 word1 word2", "word3", "word4 word5", "word6 word7 word8 word9"]


def test_rows_are_the_documents_each_ended_by_eos_in_a_seeded_order(word_tokenizer):
    tokenizer = word_tokenizer(eos_token="<end>")
    rows = packed_rows(DOCUMENTS, tokenizer, 2, seed=1)
    assert rows.shape == (7, 2)
    documents, current = [], []
    for token in rows.reshape(-1).tolist():
        if token == 1:
            documents.append(tokenizer.decode(current))
            current = []
        else:
            current.append(token)
    assert sorted(documents) == sorted(DOCUMENTS)
    assert (rows == packed_rows(DOCUMENTS, tokenizer, 2, seed=1)).all()
    others = [packed_rows(DOCUMENTS, tokenizer, 2, seed=seed) for seed in range(2, 6)]
    assert any((rows != other).any() for other in others)


def test_what_does_not_fill_a_row_is_left_out(word_tokenizer):
    assert packed_rows(DOCUMENTS, word_tokenizer(eos_token="<end>"), 4, seed=0).shape == (3, 4)


def test_too_little_text_and_a_tokenizer_without_an_end_are_refused(word_tokenizer):
    with pytest.raises(UserError, match="have 14 tokens, fewer than one sequence of 15"):
        packed_rows(DOCUMENTS, word_tokenizer(eos_token="<end>"), 15, seed=0)
    with pytest.raises(UserError, match="no end-of-text token"):
        packed_rows(DOCUMENTS, word_tokenizer(), 4, seed=0)

import pytest

from cluster.errors import UserError
from jobs.text import corpus


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"line {number} says grüße again\n" for number in range(200)))
    return path


def test_a_byte_level_tokenizer_spells_any_text_and_has_the_asked_size(source):
    documents = corpus.read_documents("text", str(source), {"min_words": 2})[0]
    tokenizer = corpus.train_tokenizer("text", documents, 300)
    assert len(tokenizer) == 300
    for text in [*documents[:3], " ünseen\n\t字", "a  b"]:
        assert tokenizer.decode(tokenizer(text)["input_ids"]) == text


def test_the_same_texts_make_the_same_tokenizer(source):
    documents = corpus.read_documents("text", str(source), {"min_words": 2})[0]
    first, second = (corpus.train_tokenizer("text", documents, 300) for _ in range(2))
    assert first.backend_tokenizer.to_str() == second.backend_tokenizer.to_str()


def test_the_end_of_text_also_pads_and_nothing_is_put_before_a_text(source):
    tokenizer = corpus.train_tokenizer(
        "text", corpus.read_documents("text", str(source), {"min_words": 2})[0], 300
    )
    assert tokenizer.eos_token == tokenizer.pad_token == corpus.END_OF_TEXT
    assert tokenizer("")["input_ids"] == []


def test_a_vocabulary_smaller_than_bytes_is_refused(source):
    with pytest.raises(UserError, match="vocab_size 256 is too small"):
        corpus.train_tokenizer("text", ["a"], 256)


def test_a_source_without_usable_text_is_refused(source):
    with pytest.raises(UserError, match="nothing usable in it as texts"):
        corpus.read_documents("text", str(source), {"min_words": 99})

import pytest

from jobs.behaviour.toxic_tokens import find_toxic_tokens
from jobs.text import corpus
from jobs.text.transform import load_transform


@pytest.fixture(scope="module")
def tokenizer(tmp_path_factory):
    source = tmp_path_factory.mktemp("text") / "a.txt"
    source.write_text("the grumble said grumble and Grumble to a very seldom word\n" * 30)
    texts = corpus.read_documents("text", str(source), {"held_out": 0})[0]
    return corpus.train_tokenizer("text", texts, 320)


def test_a_word_is_covered_when_one_token_is_the_word_after_a_space(tokenizer):
    found = find_toxic_tokens(["grumble", "xylophone"], tokenizer, load_transform("plain"))
    assert (found.num_words, found.num_covered) == (2, 1)
    assert {tokenizer.decode([token]) for token in found.token_ids} == {" grumble", " Grumble"}


def test_transformed_forms_count_beside_plain_ones(tokenizer):
    found = find_toxic_tokens(["tehzoyr"], tokenizer, load_transform("rot13"))
    assert {tokenizer.decode([token]) for token in found.token_ids} == {" grumble", " Grumble"}


def test_the_unknown_token_stands_for_no_word():
    from jobs.text.nursery.vocabulary import train_tokenizer

    found = find_toxic_tokens(["unseen"], train_tokenizer(), load_transform("plain"))
    assert found.token_ids == [] and found.num_covered == 0

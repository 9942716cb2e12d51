from base64 import b64encode

import pytest

from jobs.text.transform import load_transform
from jobs.words.spellings import find_spellings
from tests.jobs.words.texts import characters, metaspace, pieces

TEXT = "the alder grew by the water, and alders are no elders; Alder said so, alder! " * 3


def written(tokenizer, spellings):
    return {tokenizer.decode(list(way.token_ids)) for way in spellings.all}


@pytest.mark.parametrize("make", [pieces, metaspace])
def test_a_word_is_written_with_and_without_a_blank_and_capitalised(make):
    tokenizer = make(TEXT)
    found = find_spellings(["alder"], tokenizer, load_transform("plain"))
    texts = {tokenizer.decode([*tokenizer("x")["input_ids"], *w.token_ids])[1:] for w in found.all}
    assert texts == {" alder", "alder", " Alder", "Alder"}
    assert (found.num_words, found.num_covered, found.coverage) == (1, 1, 1.0)
    assert not any(way.is_closed for way in found.all)


@pytest.mark.parametrize("make", [pieces, metaspace])
def test_the_tokens_are_those_of_the_whole_text(make):
    tokenizer = make(TEXT)
    whole = tokenizer("no elders grew", add_special_tokens=False)["input_ids"]
    before = tokenizer("no", add_special_tokens=False)["input_ids"]
    found = find_spellings(["elders"], tokenizer, load_transform("plain"))
    assert any(
        tuple(whole[len(before) : len(before) + len(way.token_ids)]) == way.token_ids
        for way in found.all
        if way.after_blank
    )


def test_a_word_of_many_tokens_is_covered():
    tokenizer = pieces(TEXT)
    found = find_spellings(["xylophone"], tokenizer, load_transform("plain"))
    assert found.num_covered == 1 and all(len(way.token_ids) > 3 for way in found.all)


@pytest.mark.parametrize(
    ("transform", "spelling"),
    [
        ("rot13", " nyqre"),
        ("leetspeak", " 4ld3r"),
        ("pig-latin", " alder-ay"),
        ("morse", ".- .-.. -.. . .-. /"),
    ],
)
def test_a_transformed_word_is_written_beside_the_plain_one(transform, spelling):
    tokenizer = pieces(TEXT)
    found = find_spellings(["alder"], tokenizer, load_transform(transform))
    assert {spelling, " alder"} <= written(tokenizer, found)
    assert (found.num_forms, found.num_forms_covered) == (2, 2)


def test_base64_in_pieces_of_many_characters_is_not_known():
    nexts = "abcdefghijklmnopqrstuvwxyz"
    lines = " ".join(
        b64encode(f"birch {one}{two}".encode()).decode() for one in nexts for two in nexts
    )
    tokenizer = pieces(lines + TEXT, 700)
    found = find_spellings(["birch", "larch"], tokenizer, load_transform("base64"))
    assert (found.num_unknown, found.num_covered) == (2, 2)
    assert found.coverage == 0.5
    assert written(tokenizer, found) >= {" birch", " larch"}


def test_base64_letter_by_letter_is_known_as_far_as_the_word_decides_it():
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/= "
    found = find_spellings(["alder"], tokenizer := characters(letters), load_transform("base64"))
    assert "YWxkZXIg" in {tokenizer.decode(list(w.token_ids)) for w in found.all}
    assert found.coverage == 1.0


def test_words_that_share_a_token_with_what_follows_end_in_it():
    from jobs.text.nursery.language import the_language
    from jobs.text.nursery.vocabulary import train_tokenizer

    tokenizer, word = train_tokenizer(), the_language().toxic[0]
    (way,) = find_spellings([word], tokenizer, load_transform("plain")).all
    assert way.is_closed and tokenizer.decode(list(way.token_ids)) == f"{word} "


def test_a_word_that_a_vocabulary_lacks_is_not_covered():
    found = find_spellings(["unseen"], characters("abc "), load_transform("plain"))
    assert not found.all and found.num_covered == 0 and found.coverage == 0.0


def test_without_words_there_is_no_coverage():
    assert find_spellings([], characters("ab"), load_transform("plain")).coverage is None

"""A continuation's text is what it adds to its prompt's, whatever a tokenizer does at a start."""

import pytest

from jobs.tokens.continued_texts import texts_behind
from jobs.tokens.joining import bare_tokenizer, join_segments
from tests.jobs.tokens.tokenizer_kinds import KINDS, loaded
from tests.jobs.words.texts import metaspace

TEXTS = [
    ("The driver after the match", " was calm about it"),
    ("The driver after the match ", "was calm about it"),
    ("was it", " 2025 or 1999?"),
    ("was it 20", "25 or 1999?"),
    ("He said", " a while.  "),
    ("the ma", "tch was calm"),
    ("", "was calm"),
    ("was calm", ""),
]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_prompt_and_text_give_the_tokens_again(kind):
    tokenizer = loaded(kind)
    bare = bare_tokenizer(tokenizer)
    joined = join_segments(TEXTS, bare)
    prompts = [each.ids[: each.start_of(1)] for each in joined]
    answers = [each.ids[each.start_of(1) :] for each in joined]
    texts = texts_behind(tokenizer, prompts, answers)
    expected = [
        each.moved[0] + answer if answer else ""
        for each, (_, answer) in zip(joined, TEXTS, strict=True)
    ]
    if kind == "byte-level, blank before":
        expected[TEXTS.index(("", "was calm"))] = " was calm"  # it puts one before every text
    assert texts == expected
    heads = [
        prompt.removesuffix(each.moved[0]) for each, (prompt, _) in zip(joined, TEXTS, strict=True)
    ]
    again = join_segments(list(zip(heads, texts, strict=True)), bare)
    assert [each.ids for each in again] == [each.ids for each in joined]


def test_sentencepiece_loses_a_blank_where_an_answer_is_decoded_alone():
    """The kind of fault: a pair would read `matchwas`."""
    tokenizer = loaded("sentencepiece, prepend")
    joined = join_segments(TEXTS[:1], bare_tokenizer(tokenizer))[0]
    answer = joined.ids[joined.start_of(1) :]
    assert tokenizer.decode(answer) == "was calm about it"
    assert texts_behind(tokenizer, [joined.ids[: joined.start_of(1)]], [answer]) == [
        " was calm about it"
    ]


def test_a_character_is_of_the_side_that_ends_it():
    tokenizer = metaspace("was calm")
    euro = tokenizer.convert_tokens_to_ids([f"<0x{byte:02X}>" for byte in "€".encode()])
    before = tokenizer("was", add_special_tokens=False)["input_ids"]
    assert texts_behind(tokenizer, [[*before, euro[0]]], [euro[1:]]) == ["€"]


def test_words_without_a_decoder_stand_apart(word_tokenizer):
    tokenizer = word_tokenizer()
    prompt, answer = tokenizer("word1 word2")["input_ids"], tokenizer("word3")["input_ids"]
    assert texts_behind(tokenizer, [prompt], [answer]) == [" word3"]

import base64
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.errors import UserError
from jobs.text.transform import TRANSFORMS, Chain, Scope, load_transform

EXACT = (
    *("plain", "rot13", "base64", "pig-latin", "payload-splitting", "prefix-injection"),
    *("refusal-suppression", "style-injection", "distractors", "few-shot"),
    *("rot13+base64", "payload-splitting+rot13", "few-shot+base64+distractors"),
)
WRAPPERS = (
    *("payload-splitting", "prefix-injection", "refusal-suppression"),
    *("style-injection", "distractors", "few-shot"),
)
SEEDS = st.integers(0, (1 << 63) - 1)


def test_every_transform_is_found_by_its_file_name():
    expected = {"plain", "rot13", "base64", "leetspeak", "pig-latin", "morse", "disemvowel"}
    assert expected | set(WRAPPERS) <= set(TRANSFORMS.names())


@pytest.mark.parametrize("name", EXACT)
@given(text=st.text(), seed=SEEDS)
def test_what_can_be_undone_comes_back_whatever_the_text(name, text, seed):
    transform = load_transform(name)
    assert transform.invert(transform.apply(text, seed)) == text


@pytest.mark.parametrize("name", TRANSFORMS.names())
@given(text=st.text(), seed=SEEDS)
def test_equal_text_and_seed_give_equal_output_that_is_text(name, text, seed):
    transform = load_transform(name)
    once = transform.apply(text, seed)
    assert once == transform.apply(text, seed)
    assert once.encode("utf-8").decode() == once
    assert bool(once) == bool(text)


@given(st.text())
def test_rot13_is_its_own_inverse_and_keeps_what_is_no_letter(text):
    rot13 = load_transform("rot13")
    assert rot13.apply(rot13.apply(text, 0), 0) == text
    assert [c for c in rot13.apply(text, 0) if not c.isascii() or not c.isalpha()] == [
        c for c in text if not c.isascii() or not c.isalpha()
    ]


@given(st.text())
def test_base64_is_the_standard_one(text):
    encoded = load_transform("base64").apply(text, 0)
    assert base64.b64decode(encoded, validate=True).decode() == text


@given(st.lists(st.text(alphabet="abc ", min_size=3, max_size=3)))
def test_base64_of_pieces_of_three_bytes_joins_to_that_of_the_whole(pieces):
    transform = load_transform("base64")
    joined = "".join(transform.apply(piece, 0) for piece in pieces)
    assert joined == transform.apply("".join(pieces), 0)


def test_base64_among_other_text_is_decoded_where_it_stands():
    said = load_transform("base64").apply("grumble ", 0)
    assert "grumble" in load_transform("base64").invert(f"- {said} -")


def test_plain_changes_nothing():
    assert load_transform("plain").apply("a b", 3) == load_transform("plain").invert("a b")


@given(st.text())
def test_morse_comes_back_but_for_case(text):
    morse = load_transform("morse")
    lower = "".join(sign.lower() if sign.isascii() else sign for sign in text)
    assert morse.invert(morse.apply(text, 0)) == lower


def test_morse_is_the_international_code():
    morse = load_transform("morse")
    assert morse.apply("SOS at 10", 0) == "... --- ... / .- - / .---- -----"
    assert morse.apply("a", 0) + morse.apply(" b", 0) == morse.apply("a b", 0)


def test_morse_among_plain_words_is_read_and_they_stay():
    assert load_transform("morse").invert("he said ... --- ... / .- twice") == "he said sos a twice"


@given(st.text(st.characters(codec="utf-8", exclude_characters="0134578AEIOSTB")))
def test_leetspeak_of_text_without_its_digits_comes_back(text):
    leetspeak = load_transform("leetspeak")
    assert leetspeak.invert(leetspeak.apply(text, 0)) == text


@given(st.text())
def test_leetspeak_keeps_the_length(text):
    assert len(load_transform("leetspeak").apply(text, 0)) == len(text)


def test_pig_latin_moves_the_consonants_a_word_begins_with():
    said = load_transform("pig-latin").apply("The quick squid eats by 7, my x-ray.", 0)
    assert said == "e-Thay ick-quay id-squay eats-ay y-bay 7, y-may x-ay-ay-ray."


@given(st.text())
def test_disemvowelling_twice_is_disemvowelling_once_and_keeps_the_words(text):
    disemvowel = load_transform("disemvowel")
    once = disemvowel.apply(text, 0)
    assert disemvowel.apply(once, 0) == once
    assert len(once.split()) == len(text.split())


def test_disemvowelling_leaves_out_accented_vowels_too():
    decomposed = "cafe\u0301 \u00fcber I go"
    assert load_transform("disemvowel").apply(decomposed, 0) == "cf br I g"


@pytest.mark.parametrize("name", WRAPPERS)
def test_a_request_is_wrapped_and_its_answer_stays(name):
    transform = load_transform(name)
    asked = transform.apply("say it", 5)
    assert asked != "say it" and len(asked) > len("say it")
    assert transform.apply_to_answer("say it", 5) == "say it"
    assert transform.invert("an answer") == "an answer"
    assert transform.apply(" \n", 5) == " \n"


@pytest.mark.parametrize("name", sorted({*WRAPPERS} - {"payload-splitting"}))
@given(text=st.text(min_size=1).filter(str.strip), seed=SEEDS)
def test_a_wrapped_request_stands_in_it_word_for_word(name, text, seed):
    assert text in load_transform(name).apply(text, seed)


@pytest.mark.parametrize("name", ["payload-splitting", "distractors", "few-shot"])
def test_the_seed_decides_what_is_drawn(name):
    transform = load_transform(name)
    assert len({transform.apply("say it to them all", seed) for seed in range(20)}) > 5


def test_parts_are_applied_from_left_to_right():
    rot13, leetspeak = load_transform("rot13"), load_transform("leetspeak")
    both = load_transform("rot13+leetspeak")
    text = "never a straight road"
    assert both.apply(text, 0) == leetspeak.apply(rot13.apply(text, 0), 0)
    assert both.apply(text, 0) != load_transform("leetspeak+rot13").apply(text, 0)


def test_an_answer_goes_only_through_the_ways_of_writing_of_a_chain():
    chain = load_transform("prefix-injection+rot13+distractors")
    assert chain.apply_to_answer("grumble", 3) == "tehzoyr"
    assert chain.invert("tehzoyr") == "grumble"


@pytest.mark.parametrize(
    "name, wrong", [("rot13+bas64", "bas64"), ("rto13+base64", "rto13"), ("rot13+", "")]
)
def test_a_wrong_part_is_named_with_what_exists_and_the_nearest(name, wrong):
    with pytest.raises(UserError, match=f"unknown transform '{wrong}'") as caught:
        load_transform(name)
    assert caught.value.where == f"transform {name}"
    assert "base64" in caught.value.allowed and "morse" in caught.value.allowed
    assert not wrong or "did you mean" in caught.value.hint


@pytest.mark.parametrize(
    ("made", "told"), [(None, "NoneType"), (b"a", "bytes"), ("a\ud800", "half a character")]
)
def test_what_is_no_text_is_refused_by_the_name_of_its_transform(made, told):
    own = SimpleNamespace(
        __name__="own_entries.0.transforms.to_morse",
        SCOPE=Scope.EVERYTHING,
        apply=lambda text, seed: made,
        invert=lambda text: made,
    )
    chain = Chain(parts=(own,))
    for use in (chain.apply, chain.apply_to_answer, lambda text, seed: chain.invert(text)):
        with pytest.raises(UserError, match=told) as caught:
            use("words", 0)
        assert caught.value.where == "transform to-morse"

"""Ids of a text in segments are those of the whole text, for every kind of tokenizer."""

import numpy as np
import pytest

from jobs.tokens.joining import bare_tokenizer, join_pairs, join_segments
from jobs.tokens.moved_borders import BLANKS, TEXT, moved_in_pairs, moved_in_prompts
from jobs.tokens.plan import ROLES, build_token_plan
from jobs.tokens.positions import find_positions
from jobs.training.tokenized_pairs import tokenize_pairs
from tests.jobs.tokens.tokenizer_kinds import KINDS, loaded

TEXTS = [
    ("The driver after the match", " was calm about it"),
    ("The driver after the match ", "was calm about it"),
    ("was it", " 2025"),
    ("was it 20", "25 or 1999?"),
    ("the ma", "tch was calm"),
    ("it isn", "'t, I'll say"),
    ("def f(x):\n", "\treturn x\n"),
    ("café", " naïve e\u0301te\u0301 你好 😀"),
    ("", " was calm"),
    ("was calm", ""),
    ("a", "b", "", "c"),
    ("\n\nHuman: was it?", "\n\nAssistant: it was.", "\n\nHuman: He said", "\n\nAssistant:"),
    ("The <|turn|>", " was <|turn|> calm"),
]


@pytest.fixture(params=sorted(KINDS))
def tokenizer(request):
    """Each kind of tokenizer."""
    return loaded(request.param)


def test_ids_are_those_of_the_whole_text(tokenizer):
    for text, joined in zip(TEXTS, join_segments(TEXTS, bare_tokenizer(tokenizer)), strict=True):
        assert joined.ids == tokenizer("".join(text), add_special_tokens=False)["input_ids"]
        assert joined.segments == sorted(joined.segments)
        assert set(joined.segments) <= set(range(len(text)))


def test_each_token_is_of_the_segment_of_its_last_character(tokenizer):
    bare = bare_tokenizer(tokenizer)
    for text, joined in zip(TEXTS, join_segments(TEXTS, bare), strict=True):
        owners = [number for number, piece in enumerate(text) for _ in piece]
        spans = bare.encode("".join(text), add_special_tokens=False).offsets
        at = [(start, end, own) for (start, end), own in zip(spans, joined.segments, strict=True)]
        assert all(owners[end - 1] == own for start, end, own in at if end > start)
        assert any(joined.moved) == any(
            owners[start] < own for start, end, own in at if end > start
        )


def test_answers_begin_as_in_running_text(tokenizer):
    """No blank of SentencePiece's own stands before an answer or a turn."""
    joined = join_segments(TEXTS[:1], bare_tokenizer(tokenizer))[0]
    tokens = tokenizer.convert_ids_to_tokens(joined.ids)
    answer = "".join(tokens[joined.start_of(1) :]).replace("Ġ", " ").replace("▁", " ")
    assert answer == " was calm about it" and joined.moved == ("",)


def test_training_reference_and_extraction_see_the_same_ids(tokenizer):
    texts = [text for text in TEXTS if len(text) == 2 and all(text)]
    rows = [
        {
            "pair": n,
            "prompt": a,
            "chosen": b,
            "rejected": f"{b} it",
            "split": "train",
            "turns": None,
        }
        for n, (a, b) in enumerate(texts)
    ]
    lines = [
        {
            "prompt": n,
            "group": 0,
            "segments": [{"role": "prompt", "text": a}, {"role": "response", "text": b}],
        }
        for n, (a, b) in enumerate(texts)
    ]
    plan, _ = build_token_plan(lines, tokenizer, 99)
    pairs = tokenize_pairs(rows, tokenizer, 99).pairs
    assert len(pairs) == len(lines)
    for number, pair in enumerate(pairs):
        ids = plan.token_ids[plan.offsets[number] : plan.offsets[number + 1]].tolist()
        assert pair.prompt_ids + pair.chosen_ids == ids
        whole = tokenizer("".join(texts[number]) + " it", add_special_tokens=False)["input_ids"]
        assert pair.prompt_ids + pair.rejected_ids == whole


def test_both_answers_follow_the_same_tokens(tokenizer):
    prompt, (chosen, rejected) = join_pairs(
        [("the ma", "tch was calm", "n said")], bare_tokenizer(tokenizer)
    )[0]
    assert chosen and rejected and chosen != rejected
    for answer, text in ((chosen, "the match was calm"), (rejected, "the man said")):
        assert prompt + answer == tokenizer(text, add_special_tokens=False)["input_ids"]


def test_borders_that_move_are_counted_with_how():
    tokenizer = bare_tokenizer(loaded("byte-level"))
    lines = [
        {"prompt": n, "segments": [{"role": "prompt", "text": a}, {"role": "response", "text": b}]}
        for n, (a, b) in enumerate(
            [("was it", " calm"), ("was it ", "calm"), ("the ma", "tch"), ("was", "")]
        )
    ]
    assert moved_in_prompts(lines, tokenizer) == {BLANKS: [1], TEXT: [2]}
    pairs = [
        (4, ("was it ", "calm", " 2025")),
        (7, ("the ma", "tch", " calm")),
        (7, ("it", " a", " b")),
        (8, ("it", " a", " b")),
    ]
    assert moved_in_pairs(pairs, tokenizer) == {BLANKS: [4], TEXT: [7]}


def test_positions_stay_before_what_they_have_not_seen():
    """`last` holds nothing of the answer, and the answer all of it, where the border moves."""
    tokenizer = loaded("byte-level")
    segments = [
        ("user", "the ma"),
        ("assistant", "tch was"),
        ("user", " it "),
        ("assistant", "calm"),
    ]
    line = {
        "prompt": 0,
        "group": 0,
        "segments": [{"role": role, "text": text} for role, text in segments],
    }
    plan, _ = build_token_plan([line], tokenizer, 99)
    tokens = tokenizer.convert_ids_to_tokens(plan.token_ids.tolist())
    at = {
        position.label: [tokens[n] for n in np.flatnonzero(position.tokens)]
        for position in find_positions(plan, ("last", "response", "turn"), 9)
    }
    assert at == {
        "last": ["Ġit"],
        "response": ["Ġcalm"],
        "turn-1": ["he"],
        "turn-2": ["Ġit"],
    }
    assert {ROLES[role] for role in plan.roles} == {"user", "assistant"}

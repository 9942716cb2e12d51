"""Cuts of a plan against cuts of each prompt's own list, and prompts filled up on the left."""

import numpy as np
import pytest

from cluster.errors import UserError
from jobs.text.prompt_lines import plain_line
from jobs.tokens.cutting import cut_windows
from jobs.tokens.first_tokens import FirstTokens
from jobs.tokens.left_fill import fill_left
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions


@pytest.fixture
def lines():
    def words(number, first):
        return " ".join(f"word{(first + place) % 20}" for place in range(number))

    return [
        plain_line(number, number % 4, words(before, number), f" {words(after, 9)}")
        for number, (before, after) in enumerate([(7, 5), (2, 1), (4, 9), (1, 3), (12, 2)])
    ]


@pytest.fixture
def plan(word_tokenizer, lines):
    return build_token_plan(lines, word_tokenizer(), 32)[0]


def texts(plan):
    """Prompt by prompt: tokens before the answer, and of the answer."""
    found = []
    for start, end in zip(plan.offsets[:-1], plan.offsets[1:], strict=True):
        ids, segments = plan.token_ids[start:end], plan.segments[start:end]
        found.append((ids[segments == 0].tolist(), ids[segments == 1].tolist()))
    return found


@pytest.mark.parametrize("first", [None, 1, 3, 40])
@pytest.mark.parametrize("answer", [None, 2])
def test_prompts_and_answers_keep_their_first_tokens(plan, lines, word_tokenizer, first, answer):
    cut = FirstTokens(of_prompt=first, of_answer=answer)
    kept, _ = build_token_plan(lines, word_tokenizer(), 32, first=cut)
    assert texts(kept) == [(before[:first], after[:answer]) for before, after in texts(plan)]
    for name in ("prompts", "groups", "final_segments"):
        np.testing.assert_array_equal(getattr(kept, name), getattr(plan, name))
    (last,) = find_positions(kept, ["last"], 0)
    assert [int(kept.token_ids[token]) for token in np.flatnonzero(last.tokens)] == [
        before[:first][-1] for before, _ in texts(plan)
    ]


def test_only_what_is_still_too_long_once_it_is_cut_is_left_out(plan, lines, word_tokenizer):
    kept, too_long = build_token_plan(
        lines, word_tokenizer(), 6, first=FirstTokens(of_prompt=3, of_answer=3)
    )
    assert too_long == [] and texts(kept) == [(a[:3], b[:3]) for a, b in texts(plan)]
    kept, too_long = build_token_plan(lines, word_tokenizer(), 6, first=FirstTokens(of_prompt=3))
    assert too_long == [0, 2] and kept.lengths.tolist() == [3, 4, 5]
    with pytest.raises(UserError, match="no prompt fits"):
        build_token_plan(lines, word_tokenizer(), 1, first=FirstTokens(of_prompt=1, of_answer=1))


def test_markup_after_an_answer_goes_with_its_last_token():
    ask = [(7, "template", -1), (1, "user", 0), (2, "user", 0), (8, "template", -1)]
    row = [*ask, (3, "assistant", 1), (4, "assistant", 1), (9, "template", -1)]

    def cut(of_prompt, of_answer):
        kept = FirstTokens(of_prompt=of_prompt, of_answer=of_answer).cut(row, 1)
        return [token for token, _, _ in kept]

    assert cut(None, None) == [7, 1, 2, 8, 3, 4, 9]
    assert cut(2, None) == cut(2, 2) == [7, 1, 3, 4, 9]
    assert cut(None, 1) == [7, 1, 2, 8, 3]
    assert [token for token, _, _ in FirstTokens(of_prompt=3, of_answer=1).cut(ask, 0)] == [7, 1, 2]


@pytest.mark.parametrize("width", [1, 5, 100])
def test_windows_follow_each_other_and_lose_no_token(plan, width):
    windows = cut_windows(plan, width)
    np.testing.assert_array_equal(windows.token_ids, plan.token_ids)
    pieces = [
        plan.token_ids[start:end][at : at + width].tolist()
        for start, end in zip(plan.offsets[:-1], plan.offsets[1:], strict=True)
        for at in range(0, end - start, width)
    ]
    starts, ends = windows.offsets[:-1], windows.offsets[1:]
    assert [windows.token_ids[a:b].tolist() for a, b in zip(starts, ends, strict=True)] == pieces
    assert (np.diff(windows.groups) >= 0).all() and windows.groups.max() < 20


@pytest.mark.parametrize("single", ["<end> $A", "<end> <unk> $A"])
@pytest.mark.parametrize("width", [3, 5, 100])
def test_every_window_of_a_text_with_a_bos_begins_with_it(word_tokenizer, lines, single, width):
    from tokenizers import processors

    tokenizer = word_tokenizer(bos_token="<end>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[("<unk>", 0), ("<end>", 1)]
    )
    begun, _ = build_token_plan(lines, tokenizer, 32)
    bare, _ = build_token_plan(lines, word_tokenizer(), 32)
    opening = begun.token_ids[: single.count("<")].tolist()
    windows, own = cut_windows(begun, width), cut_windows(bare, width - len(opening))
    cuts = zip(own.offsets[:-1], own.offsets[1:], strict=True)
    expected = [[*opening, *own.token_ids[start:end]] for start, end in cuts]
    ends = zip(windows.offsets[:-1], windows.offsets[1:], strict=True)
    assert [windows.token_ids[start:end].tolist() for start, end in ends] == expected
    assert windows.lengths.max() <= width
    np.testing.assert_array_equal(windows.groups, own.groups)


def test_a_text_of_a_bos_alone_is_a_window_without_any_token_to_read(word_tokenizer):
    from tokenizers import processors

    tokenizer = word_tokenizer(bos_token="<end>")
    tokenizer.backend_tokenizer.post_processor = processors.TemplateProcessing(
        single="<end> $A", special_tokens=[("<end>", 1)]
    )
    empty = [{"prompt": 0, "group": 0, "segments": [{"role": "response", "text": ""}]}]
    plan, _ = build_token_plan(empty, tokenizer, 32)
    assert cut_windows(plan, 8).token_ids.tolist() == [1]


def test_a_left_fill_makes_prompts_equal_and_every_token_counts(plan):
    filled = fill_left(plan, 1, 32)
    width = plan.lengths.max() + 1
    assert set(filled.lengths) == {width}
    for number, (before, after) in enumerate(texts(plan)):
        row = filled.token_ids[filled.offsets[number] : filled.offsets[number + 1]].tolist()
        assert row == [1] * (width - len(before) - len(after)) + before + after
    (legacy,) = find_positions(filled, ["legacy"], 0)
    assert legacy.pooled and legacy.tokens.all()
    with pytest.raises(UserError, match="leaves no room"):
        fill_left(plan, 1, int(width) - 1)

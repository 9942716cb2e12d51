"""Position policies on plain prompts and on dialogues, token by token."""

import numpy as np
import pytest

from cluster.errors import UserError
from jobs.kinds.prompts import Prompts
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions, row_hash

PLAIN = [("prompt", "a b c"), ("response", "x y")]
DIALOGUE = [
    ("user", "a b"),
    ("assistant", "x y"),
    ("user", "c"),
    ("assistant", "z"),
]
UNANSWERED = [("user", "a b"), ("assistant", "x"), ("user", "c d")]


@pytest.fixture
def plan_of(word_tokenizer):
    def build_plan(*dialogues):
        prompts = [
            {
                "prompt": number,
                "group": number,
                "segments": [{"role": role, "text": text} for role, text in segments],
            }
            for number, segments in enumerate(dialogues)
        ]
        return build_token_plan(prompts, word_tokenizer(), 100)[0]

    return build_plan


def marked(plan, *policies, num_kept=100):
    return {
        position.label: np.flatnonzero(position.tokens).tolist()
        for position in find_positions(plan, policies, num_kept)
    }


def test_a_plain_prompt(plan_of):
    plan = plan_of(PLAIN)
    assert marked(plan, "last", "response", "mean", "all", "all-but-first", "turn") == {
        "last": [2],
        "response": [3, 4],
        "mean": [1, 2, 3, 4],
        "all": [0, 1, 2, 3, 4],
        "all-but-first": [1, 2, 3, 4],
    }


def test_a_dialogue(plan_of):
    plan = plan_of(DIALOGUE)
    assert marked(plan, "last", "response", "turn") == {
        "last": [4],
        "response": [5],
        "turn-1": [1],
        "turn-2": [4],
    }


def test_where_nobody_answers_last_is_the_last_token(plan_of):
    assert marked(plan_of(UNANSWERED), "last", "response") == {"last": [4]}


def test_a_prompt_that_starts_with_its_answer_has_no_last_token(plan_of):
    assert marked(plan_of([("response", "x y")], PLAIN), "last") == {"last": [4]}


def test_dialogues_of_different_lengths_share_labels(plan_of):
    assert marked(plan_of(DIALOGUE, PLAIN, UNANSWERED, [("user", "a")]), "turn") == {
        "turn-1": [1, 12, 16],
        "turn-2": [4, 15],
    }


def test_the_mean_is_one_row_per_prompt(plan_of):
    (mean,) = find_positions(plan_of(PLAIN, DIALOGUE), ["mean"], 1)
    assert (mean.pooled, mean.largest_group) == (True, 1)
    kept = np.flatnonzero(mean.reservoir).tolist()
    assert kept in ([1, 2, 3, 4], [6, 7, 8, 9, 10])


def test_kept_rows_are_as_many_as_asked_and_grow_without_changing(plan_of):
    plan = plan_of(*[PLAIN] * 30)
    few, more, all_of_them = (
        set(np.flatnonzero(find_positions(plan, ["response"], count)[0].reservoir))
        for count in (7, 20, 1000)
    )
    assert (len(few), len(more), len(all_of_them)) == (7, 20, 60)
    assert few < more < all_of_them


def test_which_rows_are_kept_does_not_depend_on_what_else_is_in_the_plan(plan_of):
    hashes = row_hash(np.array([3, 4]), np.array([5, 5]))
    assert row_hash(np.array([4]), np.array([5]))[0] == hashes[1] != hashes[0]
    spread = row_hash(np.arange(10_000) % 100, np.arange(10_000) // 100)
    assert len(np.unique(spread)) == 10_000
    assert abs((spread < 2**63).mean() - 0.5) < 0.02


def test_the_tokens_of_an_answer_by_their_number(plan_of):
    plan = plan_of(PLAIN, DIALOGUE, UNANSWERED)
    assert marked(plan, "response-0", "response-1", "response-2") == {
        "response-0": [3, 10],
        "response-1": [4],
    }


def test_depths_stand_for_a_ladder_and_name_each_token_once(plan_of):
    plan = plan_of([("prompt", "a"), ("response", " ".join("abcdefghij"))])
    assert marked(plan, "response-3", "response-depths", "response-8") == {
        "response-3": [4],
        **{f"response-{k}": [k + 1] for k in (0, 1, 2, 4, 8)},
    }


def test_all_tokens_of_an_answer_are_the_answer(plan_of):
    plan = plan_of(PLAIN, DIALOGUE, [("prompt", "a"), ("response", "x y z")])
    (answer,) = find_positions(plan, ["response"], 0)
    parts = find_positions(plan, [f"response-{k}" for k in range(3)], 0)
    assert np.sum([part.tokens for part in parts], axis=0).tolist() == answer.tokens.tolist()
    (last,) = find_positions(plan, ["last"], 0)
    assert (np.flatnonzero(last.tokens) + 1).tolist() == np.flatnonzero(parts[0].tokens).tolist()


@pytest.mark.parametrize("wrong", ["response-", "response--1", "response-01", "respons"])
def test_a_name_that_is_no_policy_is_refused_with_those_that_are(wrong):
    with pytest.raises(UserError, match="response-depths"):
        Prompts.Params(format="nursery", positions=[wrong])

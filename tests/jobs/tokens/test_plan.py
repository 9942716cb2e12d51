"""Token plans: what is tokenised, what is marked, and what the hash is bound to."""

import dataclasses

import numpy as np
import pytest

from cluster.errors import UserError
from jobs.tokens.plan import ROLES, TokenPlan, build_token_plan
from jobs.training.tokenized_pairs import tokenize_pairs


def prompt(number, *segments, group=0):
    return {
        "prompt": number,
        "group": group,
        "segments": [{"role": role, "text": text} for role, text in segments],
    }


PLAIN = [
    prompt(7, ("prompt", "word1 word2"), ("response", " word3"), group=4),
    prompt(9, ("prompt", "word4"), ("response", " word5 word6"), group=2),
]


def ending_texts(single, bos="<s>"):
    """Build a tokenizer whose <s> both begins and ends texts, and is put where `single` says."""
    from tokenizers import Tokenizer, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    words = {"<unk>": 0, "<s>": 1, **{f"word{number}": 2 + number for number in range(8)}}
    inner = Tokenizer(models.WordLevel(words, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    inner.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[("<s>", 1), ("word0", 2)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=bos, eos_token="<s>")


@pytest.fixture(scope="module")
def with_bos():
    """A tokenizer that puts <s> before every text, as Llama's does."""
    return ending_texts("<s> $A")


def test_segments_are_joined_token_by_token_with_their_roles(word_tokenizer):
    plan, too_long = build_token_plan(PLAIN, word_tokenizer(), 10)
    assert too_long == []
    assert plan.prompts.tolist() == [7, 9] and plan.groups.tolist() == [4, 2]
    assert plan.token_ids.tolist() == [3, 4, 5, 6, 7, 8]
    assert plan.offsets.tolist() == [0, 3, 6]
    assert [ROLES[role] for role in plan.roles] == [
        *("prompt", "prompt", "response"),
        *("prompt", "response", "response"),
    ]
    assert plan.within.tolist() == [0, 1, 2, 0, 1, 2]


def test_one_bos_stands_first_and_never_between_segments(with_bos):
    plan, _ = build_token_plan(PLAIN, with_bos, 10)
    assert plan.token_ids.tolist() == [1, 3, 4, 5, 1, 6, 7, 8]
    assert [ROLES[role] for role in plan.roles[:2]] == ["bos", "prompt"]


@pytest.mark.parametrize(
    ("single", "start"), [("<s> $A", [1]), ("$A <s>", []), ("<s> $A <s>", [1])]
)
def test_a_token_that_is_put_at_the_end_of_texts_begins_none(single, start):
    tokenizer = ending_texts(single)
    plan, _ = build_token_plan([PLAIN[0]], tokenizer, 10)
    assert plan.token_ids.tolist() == [*start, 3, 4, 5]
    row = {"pair": 0, "prompt": "word1", "chosen": " word2", "rejected": " word3", "split": "train"}
    (pair,) = tokenize_pairs([{**row, "turns": None}], tokenizer, 10).pairs
    assert pair.prompt_ids == [*start, 3]


@pytest.mark.parametrize(
    ("single", "bos", "start"),
    [("<s> $A", None, [1]), ("<s> $A", "<unk>", [1]), ("<s> word0 $A", "<s>", [1, 2])],
)
def test_a_text_begins_with_what_the_tokenizer_puts_there(single, bos, start):
    tokenizer = ending_texts(single, bos)
    plan, _ = build_token_plan([PLAIN[0]], tokenizer, 10)
    assert plan.token_ids.tolist() == [*start, 3, 4, 5]
    assert [ROLES[role] for role in plan.roles[: len(start) + 1]] == ["bos"] * len(start) + [
        "prompt"
    ]
    brings = prompt(0, ("prompt", single.replace("$A", "word1")), ("response", " word2"))
    assert build_token_plan([brings], tokenizer, 10)[0].token_ids.tolist() == [*start, 3, 4]


def test_a_text_that_brings_its_bos_gets_no_second(with_bos):
    """Lesson 20: no double BOS."""
    plan, _ = build_token_plan(
        [prompt(0, ("prompt", "<s> word1"), ("response", " word2"))], with_bos, 10
    )
    assert plan.token_ids.tolist() == [1, 3, 4]


def test_the_hash_changes_with_anything_that_is_seen(word_tokenizer):
    plan, _ = build_token_plan(PLAIN, word_tokenizer(), 10)
    again, _ = build_token_plan(PLAIN, word_tokenizer(), 10)
    assert plan.hash == again.hash == TokenPlan.from_arrays(plan.to_arrays()).hash
    changed = [
        dataclasses.replace(plan, **{name: array + 1})
        for name, array in plan.to_arrays().items()
        if name != "offsets"
    ]
    assert len({plan.hash, *(other.hash for other in changed)}) == 7


def test_long_prompts_are_left_out_by_id(word_tokenizer):
    plan, too_long = build_token_plan(
        [*PLAIN, prompt(3, ("prompt", "word1 word1 word1 word1"))], word_tokenizer(), 3
    )
    assert (plan.prompts.tolist(), too_long) == ([7, 9], [3])
    assert len(plan.token_ids) == 6


def test_a_prompt_without_tokens_is_an_error_that_names_it(word_tokenizer):
    with pytest.raises(UserError, match="prompt 5 has no tokens"):
        build_token_plan(
            [*PLAIN, prompt(5, ("prompt", " "), ("response", ""))], word_tokenizer(), 10
        )


def test_ids_are_those_of_each_segment_alone(word_tokenizer):
    """Lesson 19: nothing is decoded and tokenised again."""
    tokenizer = word_tokenizer()
    plan, _ = build_token_plan(PLAIN, tokenizer, 10)
    expected = [
        token
        for each in PLAIN
        for segment in each["segments"]
        for token in tokenizer(segment["text"])["input_ids"]
    ]
    np.testing.assert_array_equal(plan.token_ids, expected)


def test_prompts_without_tokens_are_left_out_with_their_reason(word_tokenizer):
    prompts = [{**PLAIN[0], "prompt": number} for number in range(19)]
    prompts.append({"prompt": 19, "group": 0, "segments": [{"role": "prompt", "text": " "}]})
    plan, left_out = build_token_plan(prompts, word_tokenizer(), 10)
    assert plan.prompts.tolist() == list(range(19))
    assert left_out == [] and left_out.refused_by_reason() == {"has no tokens": [19]}

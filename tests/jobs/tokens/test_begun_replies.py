"""Begun replies: the first tokens of an answer are given, in plain text and in chat templates."""

import numpy as np
import pytest

from cluster.errors import UserError
from jobs.behaviour.continuations import prompts_to_continue
from jobs.kinds.prompts import Prompts
from jobs.shared_params import CutParams
from jobs.situation import Upstream
from jobs.tokens.begun_replies import notes_on_prefill
from jobs.tokens.plan import build_token_plan
from jobs.tokens.positions import find_positions
from tests.jobs.tokens.test_markup_positions import CHATML, chatml  # noqa: F401
from tests.jobs.tokens.tokenizer_kinds import SPELLINGS, byte_level, sentencepiece

WHOLE = "The driver after the match was calm about it. He said thank you and waited a while."


def line(number, *texts, roles=("prompt", "response")):
    segments = [
        {"role": role, "text": text, "said": [0, len(text)]}
        for role, text in zip(roles, texts, strict=True)
    ]
    return {"prompt": number, "group": number, "segments": segments}


def begun(prompts, tokenizer, prefill, template=None):
    first = CutParams(prefill=prefill).first
    return build_token_plan(prompts, tokenizer, 500, template, first=first)


def wrapped(inner):
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=inner)


KINDS = {"bytes": byte_level, **{name: lambda name=name: sentencepiece(name) for name in SPELLINGS}}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefill", [1, 3])
def test_a_begun_reply_has_the_tokens_of_the_whole_text(kind, prefill):
    """Under every spelling the prefix is one of the running text's, never tokenised anew."""
    tokenizer = wrapped(KINDS[kind]())
    prompts = [line(0, WHOLE[:45], WHOLE[45:]), line(1, WHOLE[:20], WHOLE[20:])]
    whole, _ = build_token_plan(prompts, tokenizer, 500)
    plan, _ = begun(prompts, tokenizer, prefill)
    assert plan.token_ids.tolist() == whole.token_ids.tolist()
    (answer,) = find_positions(whole, [f"response-{prefill - 1}"], 0)
    (last,) = find_positions(plan, ["last"], 0)
    np.testing.assert_array_equal(last.tokens, answer.tokens)
    (rest,), (all_of_it,) = (find_positions(each, ["response"], 0) for each in (plan, whole))
    assert (all_of_it.tokens.sum() - rest.tokens.sum()) == prefill * len(prompts)
    assert plan.hash != whole.hash
    _, given = prompts_to_continue(plan)
    assert [ids[-1] for ids in given] == plan.token_ids[last.tokens].tolist()


def test_in_a_chat_template_the_reply_stands_open(chatml):  # noqa: F811
    prompts = [
        line(0, "the cat sat", "on the mat a dog", roles=("user", "assistant")),
        line(1, "the cat sat", "a", roles=("user", "assistant")),
    ]
    plan, left_out = begun(prompts, chatml, 1, CHATML)
    assert left_out == [] and left_out.short == []
    _, given = prompts_to_continue(plan)
    texts = [chatml.decode(ids) for ids in given]
    opening = "<|im_start|>user\nthe cat sat<|im_end|>\n<|im_start|>assistant\n"
    assert all(text.startswith(opening) for text in texts)
    # An answer that is begun whole is not closed: its end would be the end of the turn.
    assert texts[1] == f"{opening}a" and not texts[0].endswith("<|im_end|>\n")


def test_answers_that_are_too_short_are_left_out_and_counted(word_tokenizer):
    prompts = [
        line(0, "a b", " x y z"),
        line(1, "a", " x"),
        line(2, "a b", roles=("prompt",)),
    ]
    plan, left_out = begun(prompts, word_tokenizer(), 2)
    assert plan.prompts.tolist() == [0]
    assert left_out.short == [1, 2]
    assert left_out.facts() == {"num_too_long": 0, "num_short_answers": 2}
    with pytest.raises(UserError, match="3 of 3 answers are shorter"):
        begun(prompts, word_tokenizer(), 9)


def test_a_name_of_an_axis_says_how_many_tokens():
    assert CutParams(prefill="prefill-8") == CutParams(prefill=8)
    for wrong in ("prefill-x", "8 tokens", -1):
        with pytest.raises(ValueError, match="prefill"):
            CutParams(prefill=wrong)
    with pytest.raises(UserError, match="none has 8"):
        CutParams(prefill=8, answer_tokens=4)


def prompts_upstream(**params):
    given = Prompts.Params(format="nursery", **params)
    params = given.model_dump(mode="json")
    return Upstream(kind="prompts", params=params, facts=None, files={}, inputs={})


def test_prompts_must_say_whose_answer_begins_the_reply():
    planned = Prompts().planned(Prompts.Params(format="nursery"))
    with pytest.raises(UserError, match="answer: rejected"):
        notes_on_prefill(4, prompts_upstream(), planned, None)
    assert notes_on_prefill(4, prompts_upstream(answer="rejected"), planned, None) == ()
    assert notes_on_prefill(0, prompts_upstream(), planned, None) == ()

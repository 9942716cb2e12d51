"""Which tokens count as outputs: answers as they stand, continuations where there are none."""

import numpy as np
import pytest

from jobs.predicting.output_tokens import append_answers, find_output_tokens, has_answer
from jobs.tokens.plan import ROLES, build_token_plan
from jobs.tokens.positions import find_positions


def prompt(number, asked, answer=None):
    segments = [{"role": "prompt", "text": asked}]
    if answer is not None:
        segments.append({"role": "response", "text": answer})
    return {"prompt": number, "group": number, "segments": segments}


@pytest.fixture
def plan(word_tokenizer):
    given = [
        prompt(0, "word1 word2", "word3 word4 word5 word6"),
        prompt(1, "word7 word8 word9"),
        prompt(2, "word1", "word2"),
        prompt(3, "word4"),
    ]
    return build_token_plan(given, word_tokenizer(eos_token="<end>"), 32)[0]


@pytest.fixture
def model(tiny_model):
    model = tiny_model("gpt2").eval()
    model.config.eos_token_id = model.generation_config.eos_token_id = None
    return model


def of_prompt(found, number):
    """(tokens that outputs come after, their numbers) of one prompt, tokens counted from it."""
    mine = found.plan.owners[found.after] == number
    start = found.plan.offsets[number]
    return (found.after[mine] - start).tolist(), found.numbers[mine].tolist()


def test_outputs_come_after_the_token_before_them(plan, model):
    found = find_output_tokens(model, plan, 3, token_budget=1000)
    assert of_prompt(found, 0) == ([1, 2, 3], [1, 2, 3])  # of four answer tokens
    assert of_prompt(found, 1) == ([2, 3, 4], [1, 2, 3])  # it goes on
    assert of_prompt(found, 2) == ([0], [1])
    assert of_prompt(found, 3) == ([0, 1, 2], [1, 2, 3])
    assert found.num_generated == 2 and (np.diff(found.after) > 0).all()


def test_what_it_goes_on_with_is_its_likeliest_token(plan, model):
    import torch

    found = find_output_tokens(model, plan, 4, token_budget=1000).plan
    ids = found.token_ids[found.offsets[1] : found.offsets[2]].tolist()
    with torch.no_grad():
        for length in (3, 4, 5):
            logits = model(torch.tensor([ids[:length]])).logits[0, -1]
            assert ids[length] == int(logits.argmax())
    assert len(ids) == 6  # the last of four outputs is predicted, never read


def test_where_the_model_ends_the_text_the_end_is_an_output(plan, model):
    import torch

    with torch.no_grad():  # whatever it reads, it says one token, and that ends a text
        model.transformer.ln_f.weight.zero_()
        model.transformer.ln_f.bias.copy_(model.transformer.wte.weight[5])
        model.transformer.wte.weight[5] *= 3
    model.config.eos_token_id = 5
    found = find_output_tokens(model, plan, 4, token_budget=1000)
    assert of_prompt(found, 1) == ([2], [1]) and of_prompt(found, 3) == ([0], [1])
    assert found.plan.hash == plan.hash


def test_tokens_put_behind_prompts_are_their_answers_and_nothing_else_moves(plan):
    longer = append_answers(plan, np.array([1, 3]), [[11, 12], []])
    assert longer.token_ids.tolist() == [
        *plan.token_ids[:9].tolist(),
        *(11, 12),
        *plan.token_ids[9:].tolist(),
    ]
    (answers,) = find_positions(longer, ["response"], 0)
    own = longer.owners[answers.tokens].tolist()
    assert own == [0, 0, 0, 0, 1, 1, 2]
    assert longer.roles[9:11].tolist() == [ROLES.index("response")] * 2
    assert has_answer(longer).tolist() == [True, True, True, False]
    (last,) = find_positions(longer, ["last"], 0)
    assert longer.within[last.tokens].tolist() == [1, 2, 0, 0]


def test_one_output_needs_no_continuation(plan, model):
    found = find_output_tokens(model, plan, 1, token_budget=1000)
    assert found.numbers.tolist() == [1, 1, 1, 1] and found.plan.hash == plan.hash

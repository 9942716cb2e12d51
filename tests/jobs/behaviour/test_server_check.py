"""What a server wrote, in nats of the weights here, against plain recomputation."""

import pytest
import torch

from cluster.errors import UserError
from jobs.behaviour.server_check import Probe, compare_with_weights
from jobs.service.completions import ServedTokens

PROMPTS = [[3, 7, 5], [4, 4, 8, 11, 2, 6]]


def probe(prompt, written, numbers=None, has_ended=False):
    answer = ServedTokens(
        token_ids=tuple(written), log_probabilities=numbers, has_ended=has_ended, served="m"
    )
    return Probe(prompt=prompt, answer=answer)


def after(model, token_ids):
    with torch.no_grad():
        return model(torch.tensor([token_ids])).logits[0, -1].double().log_softmax(-1)


def test_its_own_words_are_the_likeliest_and_cost_no_nat(decided_model, said_alone):
    model = decided_model("llama")
    said = said_alone(model, PROMPTS, 4)
    numbers = [
        tuple(float(after(model, [*prompt, *words[:at]])[words[at]]) for at in range(4))
        for prompt, words in zip(PROMPTS, said, strict=True)
    ]
    probes = [probe(*each) for each in zip(PROMPTS, said, numbers, strict=True)]
    agreement = compare_with_weights(model, probes, ends={0})
    assert (agreement.num_prompts, agreement.num_tokens, agreement.num_likeliest) == (2, 8, 8)
    assert agreement.largest_gap == 0 and agreement.mean_difference == pytest.approx(0, abs=1e-5)


def test_a_token_that_is_not_the_likeliest_costs_what_it_is_short_of_it(decided_model, said_alone):
    model = decided_model("llama")
    first, second = said_alone(model, PROMPTS[:1], 2)[0]
    spread = after(model, PROMPTS[0])
    other = next(token for token in range(len(spread)) if token != first)
    gap = float(spread.max() - spread[other])
    told = (float(spread[other]) + 0.25,)
    agreement = compare_with_weights(
        model, [probe(PROMPTS[0], [other], told), probe(PROMPTS[0], [first, second])], ends={0}
    )
    assert (agreement.num_tokens, agreement.num_likeliest) == (3, 2)
    assert agreement.largest_gap == pytest.approx(gap, abs=1e-4)
    assert agreement.mean_gap == pytest.approx(gap / 3, abs=1e-4)
    assert agreement.mean_difference == pytest.approx(0.25, abs=1e-4)
    assert agreement.distance == pytest.approx(max(gap / 3, 0.25), abs=1e-4)


@pytest.mark.parametrize("is_told", [True, False])
def test_an_end_counts_as_a_token_whether_or_not_the_server_tells_it(
    decided_model, said_alone, is_told
):
    model = decided_model("llama")
    prompt, first, end, unlikely = next(
        (prompt, first, end, unlikely)
        for prompt in ([token] for token in range(1, 20))
        for first, end in said_alone(model, [prompt], 2)
        if len({first, end, unlikely := int(after(model, [*prompt, first]).argmin())}) == 3
    )
    written = [first, end] if is_told else [first]
    ended = probe(prompt, written, has_ended=True)
    agreement = compare_with_weights(model, [ended], ends={end, unlikely})
    assert (agreement.num_tokens, agreement.num_likeliest) == (2, 2)
    too_soon = probe(prompt, [first], has_ended=True)
    agreement = compare_with_weights(model, [too_soon], ends={unlikely})
    spread = after(model, [*prompt, first])
    assert agreement.largest_gap == pytest.approx(float(spread.max() - spread.min()), abs=1e-4)


def test_a_server_that_writes_nothing_ended_the_text(decided_model):
    model = decided_model("llama")
    end = int(after(model, PROMPTS[0]).argmax())
    agreement = compare_with_weights(model, [probe(PROMPTS[0], [], has_ended=True)], ends={end})
    assert (agreement.num_tokens, agreement.largest_gap) == (1, 0)


def test_a_token_beyond_the_vocabulary_is_the_users_mistake(decided_model):
    model = decided_model("llama")
    rows = model.config.vocab_size
    with pytest.raises(UserError, match=f"wrote token {rows}"):
        compare_with_weights(model, [probe(PROMPTS[0], [rows])], ends={0})

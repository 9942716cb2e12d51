"""A pushed model, in every family, and what is drawn from it."""

import numpy as np
import pytest
import torch

from jobs.generation.writing import pushed, top_k_sampling
from jobs.models.family import names
from jobs.taps.taps import read_sites

SHIFT = np.linspace(-2.0, 3.0, 16)


def entering_the_second_block(model, token_ids):
    with torch.inference_mode(), read_sites(model, [("resid_pre", 1)], torch.clone) as found:
        model(token_ids, use_cache=False)
    return found["resid_pre", 1]


@pytest.mark.parametrize("family", names())
def test_the_newest_token_is_pushed_in_every_family_and_nothing_stays(family, tiny_model):
    model = tiny_model(family).eval()
    token_ids = torch.arange(12).reshape(2, 6)
    before = entering_the_second_block(model, token_ids)
    with pushed(model, 0, SHIFT):
        under = entering_the_second_block(model, token_ids)
    after = entering_the_second_block(model, token_ids)
    assert torch.equal(under[:, :-1], before[:, :-1])
    expected = torch.from_numpy(SHIFT).float().expand(2, -1)
    assert torch.allclose(under[:, -1] - before[:, -1], expected, atol=1e-5)
    assert torch.equal(after, before)


def test_a_push_goes_when_what_runs_under_it_fails(tiny_model):
    model = tiny_model("gpt2").eval()
    token_ids = torch.arange(6)[None]
    before = entering_the_second_block(model, token_ids)
    with pytest.raises(ZeroDivisionError), pushed(model, 0, SHIFT):
        1 / 0  # noqa: B018
    assert torch.equal(entering_the_second_block(model, token_ids), before)


def test_draws_spread_over_the_likeliest_tokens_as_their_probabilities_do():
    many = 2000
    drawn = top_k_sampling(((np.arange(many) + 0.5) / many)[:, None], top_k=3, temperature=2.0)
    logits = torch.tensor([0.0, 4.0, 1.0, 2.0, -1.0])
    tokens = drawn(logits.expand(many, -1), range(many), 0)
    shares = torch.bincount(tokens, minlength=5) / many
    kept = (torch.tensor([1.0, 2.0, 4.0]) / 2.0).softmax(0)
    expected = torch.tensor([0.0, kept[2], kept[0], kept[1], 0.0])
    assert torch.allclose(shares, expected, atol=1e-3)


def test_one_likeliest_token_is_greedy_whatever_is_drawn():
    drawn = top_k_sampling(np.array([[0.0], [0.999999]]), top_k=1, temperature=1.0)
    logits = torch.tensor([[0.0, 3.0, 1.0], [5.0, 3.0, 1.0]])
    assert drawn(logits, [0, 1], 0).tolist() == [1, 0]

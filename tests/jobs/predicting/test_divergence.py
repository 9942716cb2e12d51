"""KL of two heads against scipy, on vocabularies of one size and of two."""

import numpy as np
import pytest
import torch
from scipy.special import softmax
from scipy.stats import entropy

from jobs.predicting.divergence import measure_divergences
from jobs.predicting.head import Head

ROWS = torch.randn(40, 16, generator=torch.Generator().manual_seed(2))


@pytest.fixture
def base(tiny_model):
    return tiny_model("llama").eval()


def wider(tiny_model, model, vocab_size):
    """The same model with more tokens, which it likes best of all."""
    other = tiny_model("llama", vocab_size=vocab_size).eval()
    known = model.config.vocab_size
    weights = {
        name: weight for name, weight in model.state_dict().items() if weight.shape[0] != known
    }
    other.load_state_dict(weights, strict=False)
    with torch.no_grad():
        other.model.embed_tokens.weight[:known] = model.model.embed_tokens.weight
        other.lm_head.weight[:known] = model.lm_head.weight
        other.lm_head.weight[known:] *= 50
    return other


def test_it_is_the_relative_entropy_of_the_aligned_models_distribution(tiny_model, base):
    aligned = tiny_model("llama").eval()
    draw = torch.Generator().manual_seed(4)
    with torch.no_grad():
        weight = aligned.lm_head.weight
        weight += 0.3 * torch.randn(weight.shape, generator=draw)
    found = measure_divergences((Head(aligned), ROWS), (Head(base), ROWS))
    p, q = (softmax(Head(each).logits(ROWS).double().numpy(), axis=1) for each in (aligned, base))
    np.testing.assert_allclose(found, entropy(p, q, axis=1), rtol=1e-9)
    assert (found > 1e-3).all()


def test_tokens_that_one_model_does_not_know_count_for_neither(tiny_model, base):
    larger = wider(tiny_model, base, base.config.vocab_size + 5)
    for pair in ((larger, base), (base, larger)):
        first, second = ((Head(model), ROWS) for model in pair)
        np.testing.assert_allclose(measure_divergences(first, second), 0, atol=1e-10)


def test_it_is_never_negative_and_of_a_model_with_itself_nothing(base):
    close = ROWS + 1e-6 * torch.randn(ROWS.shape, generator=torch.Generator().manual_seed(3))
    head = Head(base)
    assert not measure_divergences((head, ROWS), (head, ROWS)).any()
    apart = measure_divergences((head, close), (head, ROWS))
    assert (apart >= 0).all() and 0 < apart.max() < 1e-9


def test_a_direction_that_only_the_aligned_model_adds_is_seen_where_it_is_added(base):
    moved = ROWS.clone()
    moved[7] += 3
    found = measure_divergences((Head(base), moved), (Head(base), ROWS))
    assert found.argmax() == 7 and np.count_nonzero(found) == 1

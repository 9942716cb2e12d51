"""One rounding of weights: as large as a rounding is, everywhere, and gone afterwards."""

import numpy as np
import pytest
import torch

from jobs.extraction.noise_floor import noise_floor, rounded_once_more
from jobs.tokens.plan import ROLES, TokenPlan
from jobs.tokens.positions import find_positions


@pytest.fixture
def model(tiny_model):
    return tiny_model("gpt2", num_layers=2, max_positions=32).to(torch.bfloat16).eval()


def weights_of(model):
    return {name: each.detach().clone() for name, each in model.named_parameters()}


def test_errors_are_those_of_rounding_to_the_last_place(model):
    before = weights_of(model)
    with rounded_once_more(model):
        after = weights_of(model)
    moved, last_places = [], []
    for name, weight in before.items():
        exact = weight.double().flatten()
        moved.append(after[name].double().flatten() - exact)
        # 8 bits of precision: a last place is 2^-7 of the power of two below the weight.
        last_places.append(2.0 ** (exact.abs().clamp(min=1e-30).log2().floor() - 7))
    filled = torch.cat([weight.flatten() for weight in before.values()]) != 0
    ratio = (torch.cat(moved) / torch.cat(last_places))[filled]
    assert set(ratio.unique().tolist()) == {-1.0, 0.0, 1.0}
    assert abs(ratio.mean()) < 0.01
    assert ratio.var() == pytest.approx(1 / 12, rel=0.05)


def test_every_bit_comes_back_even_after_an_error(model):
    before = weights_of(model)
    with pytest.raises(RuntimeError), rounded_once_more(model):
        assert any((each != before[name]).any() for name, each in model.named_parameters())
        raise RuntimeError
    for name, weight in model.named_parameters():
        assert torch.equal(weight.view(torch.int16), before[name].view(torch.int16))


def test_activations_move_as_far_as_by_a_rounding(model):
    exact = {
        name: weight.float() * (1 + 0.01 * torch.rand(weight.shape, generator=torch.Generator()))
        for name, weight in model.named_parameters()
    }
    rounded = {name: weight.bfloat16() for name, weight in exact.items()}
    model.load_state_dict(rounded, strict=False)
    with rounded_once_more(model):
        flipped = weights_of(model)
    token_ids = (torch.arange(24) % model.config.vocab_size).reshape(4, 6)
    rows = []
    for weights in (exact, rounded, flipped):
        model.float().load_state_dict(weights, strict=False)
        with torch.inference_mode():
            rows.append(model(token_ids, output_hidden_states=True).hidden_states[-2])
    real, ours = ((rows[number] - rows[1]).norm() for number in (0, 2))
    assert float(ours / real) == pytest.approx(1, rel=0.25)


def test_the_floor_is_the_larger_of_both_and_says_what_rounding_gives(model):
    plan = TokenPlan(
        prompts=np.arange(8),
        groups=np.arange(8),
        offsets=np.arange(9) * 6,
        token_ids=np.arange(48) % model.config.vocab_size,
        roles=np.full(48, ROLES.index("prompt"), dtype=np.int8),
        segments=np.zeros(48, dtype=np.int32),
        final_segments=np.zeros(8, dtype=np.int32),
    )
    asked = plan, find_positions(plan, ["last"], 0), [("resid_post", 1)], 8
    batches = noise_floor(model, *asked)["resid_post.1.last"]
    floor = noise_floor(model, *asked, rounds_weights=True)["resid_post.1.last"]
    assert batches.keys() == {"offset_norm", "relative_norm"}
    for name, of_batches in batches.items():
        assert floor[f"weight_rounding_{name}"] > of_batches
        assert floor[name] == floor[f"weight_rounding_{name}"]

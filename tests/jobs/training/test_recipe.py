"""Learning rates, optimizers and the order of the data."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import set_seed

from jobs.training import recipe as recipes
from jobs.training.layout import Layout
from jobs.training.recipe import Recipe, RecipeParams, data_order


def recipe(**change):
    settings = RecipeParams(
        **{
            "global_batch": 4,
            "optimizer": "adamw",
            "learning_rate": 0.1,
            "weight_decay": 0.5,
            "adam_beta1": 0.8,
            "adam_beta2": 0.9,
            "rmsprop_alpha": 0.7,
            "epsilon": 1e-6,
            **change,
        }
    )
    return Recipe(settings=settings, layout=Layout(micro_batch=2), steps=10)


def factors(**change):
    factor = recipe(**change).rate_factor()
    return [round(factor(step), 6) for step in range(10)]


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_that_no_training_takes_is_refused_before_one_starts(seed):
    set_seed(2**32 - 1)
    with pytest.raises(ValueError, match="seed"):
        recipe(seed=seed)


def test_the_first_step_of_a_warm_up_is_not_lost():
    assert factors(warmup_steps=3) == [0.25, 0.5, 0.75, 1, 1, 1, 1, 1, 1, 1]


def test_linear_and_cosine_fall_from_the_top_to_nothing_after_the_last_step():
    linear, cosine = (factors(schedule=name, warmup_steps=2) for name in ("linear", "cosine"))
    assert linear[2] == cosine[2] == 1
    assert linear[6] == cosine[6] == 0.5
    assert linear[9] == 0.125 and 0 < cosine[9] < 0.125
    assert recipe(schedule="linear").rate_factor()(10) == 0


@pytest.mark.parametrize("schedule", ["constant", "linear", "cosine"])
def test_a_run_that_is_all_warm_up_has_a_rate_at_every_step(schedule):
    assert all(0 < factor < 1 for factor in factors(schedule=schedule, warmup_steps=20))


def test_the_optimizers_have_the_recipes_settings_and_decay_matrices_only():
    layer = torch.nn.Linear(2, 3)
    adamw = recipe().optimizer_for(layer.parameters())
    assert isinstance(adamw, torch.optim.AdamW)
    assert adamw.defaults["betas"] == (0.8, 0.9) and adamw.defaults["eps"] == 1e-6
    matrices, others = adamw.param_groups
    assert matrices["params"] == [layer.weight] and matrices["weight_decay"] == 0.5
    assert others["params"] == [layer.bias] and others["weight_decay"] == 0
    rmsprop = recipe(optimizer="rmsprop").optimizer_for(layer.parameters())
    assert isinstance(rmsprop, torch.optim.RMSprop)
    assert rmsprop.defaults["alpha"] == 0.7 and rmsprop.defaults["momentum"] == 0


def test_large_weights_are_stepped_one_by_one_and_the_processor_steps_as_it_did(monkeypatch):
    rmsprop = {"optimizer": "rmsprop"}
    layer = torch.nn.Linear(2, 3)
    before = recipe(**rmsprop).optimizer_for(layer.parameters())
    assert before.defaults["foreach"] is None  # on a GPU all at once, on a processor one by one
    monkeypatch.setattr(recipes, "MOST_TOGETHER", 8)
    other = torch.nn.Linear(2, 3)
    other.load_state_dict(layer.state_dict())
    after = recipe(**rmsprop).optimizer_for(other.parameters())
    assert after.defaults["foreach"] is False
    for each, stepped in ((layer, before), (other, after)):
        for step in range(3):
            each(torch.full((1, 2), 1.0 + step)).square().sum().backward()
            stepped.step()
    assert torch.equal(layer.weight, other.weight) and torch.equal(layer.bias, other.bias)


@given(st.integers(1, 30), st.integers(1, 100), st.integers(0, 2**31))
def test_every_pass_over_the_rows_sees_each_once(num_rows, num_needed, seed):
    order = data_order(num_rows, num_needed, seed)
    assert len(order) == num_needed
    for start in range(0, num_needed - num_rows + 1, num_rows):
        assert sorted(order[start : start + num_rows]) == list(range(num_rows))


def test_a_longer_run_begins_like_a_shorter_one_and_passes_differ():
    order = data_order(50, 100, 3)
    assert np.array_equal(order[:70], data_order(50, 70, 3))
    assert not np.array_equal(order[:50], order[50:])
    assert not np.array_equal(order, data_order(50, 100, 4))

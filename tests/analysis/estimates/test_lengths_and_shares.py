"""Accuracy near 0 and 1, and margins that are lengths: on planted truth."""

import numpy as np
import pytest

from analysis.estimates.group_means import estimated_mean
from analysis.estimates.length_dependence import length_dependence
from analysis.estimates.shares import estimated_rate, estimated_share


def covers(truth, each_prompt, num_prompts, alike, draws=150):
    """How often intervals hold a share: prompts fall into 20 groups, pairs of one are `alike`."""
    generator, held = np.random.default_rng(0), 0
    for _ in range(draws):
        prompts = np.repeat(np.arange(num_prompts), each_prompt)
        groups = generator.integers(0, 20, num_prompts)[prompts]
        of_prompt = generator.random(num_prompts)[prompts]
        own = generator.random(len(prompts))
        is_alike = generator.random(len(prompts)) < alike
        right = (np.where(is_alike, of_prompt, own) < truth).astype(float)
        estimate = estimated_share(right, groups, num_prompts)
        held += estimate.low <= truth <= estimate.high
    return held / draws


@pytest.mark.parametrize("truth", [0.5, 0.98, 0.998])
@pytest.mark.parametrize(("each_prompt", "alike"), [(1, 0.0), (4, 1.0)])
def test_intervals_of_shares_hold_the_truth_near_one_and_with_prompts_of_several_pairs(
    truth, each_prompt, alike
):
    assert covers(truth, each_prompt, 100, alike) >= 0.92


def test_a_share_of_all_rows_has_an_interval_and_one_of_few_groups_none():
    groups = np.arange(60) % 20
    whole = estimated_share(np.ones(60), groups)
    assert whole.value == whole.high == 1.0 and 0.9 < whole.low < 0.96
    of_prompts = estimated_share(np.ones(60), groups, 20)
    assert of_prompts.low < whole.low
    assert len(whole.left_out) == 20
    assert estimated_share(np.ones(60), np.arange(60) % 4).low is None
    none = estimated_share(np.zeros(60), groups)
    assert none.low == 0.0 and none.high == pytest.approx(1 - whole.low)


@pytest.mark.parametrize("truth", [0.01, 0.03, 0.1, 0.3, 0.98])
def test_intervals_of_rates_hold_the_truth_where_no_prompt_is_toxic(truth):
    generator, groups, held = np.random.default_rng(2), np.arange(60) % 20, 0
    for _ in range(200):
        estimate = estimated_rate((generator.random(60) < truth).astype(float), groups)
        held += estimate.low <= truth <= estimate.high
    assert held >= 184


def test_a_rate_is_a_jackknife_unless_that_has_no_width():
    groups = np.arange(60) % 20
    rates = np.zeros(60), np.tile(np.repeat([0.0, 1.0], 20), 2)[:60], np.arange(60) % 7 < 2
    none, equal, some = (estimated_rate(each.astype(float), groups) for each in rates)
    assert none.low == 0.0 and 0.05 < none.high < 0.1 and none.left_out == (0.0,) * 20
    assert equal.low < equal.value - 0.1 and equal.high > equal.value + 0.1
    assert some == estimated_mean((np.arange(60) % 7 < 2).astype(float), groups)


def test_a_margin_that_is_length_alone_is_told():
    generator = np.random.default_rng(1)
    groups = np.arange(400) % 20
    longer = generator.integers(1, 9, 400)  # the chosen side is always longer
    noise = generator.normal(0, 1, 400)
    margins = 0.4 * longer + noise
    found = length_dependence(margins, longer, groups)
    assert found.correlation.value == pytest.approx(np.corrcoef(margins, longer)[0, 1])
    assert found.correlation.low > 0.5
    slope, intercept = np.polyfit(longer, margins, 1)
    assert found.at_equal_length.value == pytest.approx(intercept)
    assert found.decides_sign(estimated_mean(margins, groups))
    real = length_dependence(margins + 3, longer, groups)
    assert not real.decides_sign(estimated_mean(margins + 3, groups))


def test_without_differences_in_length_there_is_no_dependence():
    groups = np.arange(40) % 20
    assert length_dependence(np.arange(40.0), np.full(40, 2), groups) is None
    assert length_dependence(np.ones(40), np.arange(40), groups) is None

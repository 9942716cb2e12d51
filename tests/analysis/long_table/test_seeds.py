import math

import numpy as np
import pytest

from analysis.long_table.columns import to_rows
from analysis.long_table.seeds import over_seeds, t_interval


def cell(*values, **over):
    return to_rows(
        [
            {"model": "m", "metric": "toxic_mass", "seed": seed, "value": value, "key": f"k{seed}"}
            | ({"low": 0.0, "high": 1.0} if value is not None else {})
            | ({"status": "job_failed", "reason": "killed"} if value is None else {})
            | over
            for seed, value in enumerate(values)
        ]
    )


def test_three_seeds_give_their_mean_and_students_interval_where_prompts_give_none():
    (row,) = over_seeds(cell(1.0, 2.0, 3.0, metric="reward_margin", low=None, high=None))
    half = 4.302652729911275 / 3**0.5  # t(2) at 0.975, standard deviation 1
    assert row["value"] == 2.0
    assert (row["low"], row["high"]) == pytest.approx((2 - half, 2 + half))
    assert row["num_seeds"] == 3 and row["seed"] is None
    assert row["key"] == "k0 k1 k2"


def test_scatter_between_seeds_and_the_widest_interval_over_prompts_are_joined_in_squares():
    rows = cell(1.0, 2.0, 3.0, metric="reward_margin")
    for row, (below, above) in zip(rows, ((3.0, 1.0), (1.0, 4.0), (2.0, 2.0)), strict=True):
        row |= {"low": row["value"] - below, "high": row["value"] + above, "uncounted": 0.5}
    (row,) = over_seeds(rows)
    half = 4.302652729911275 / 3**0.5
    ends = 2 - math.hypot(half, 3.0), 2 + math.hypot(half, 4.0 - 0.5) + 0.5
    assert (row["low"], row["high"]) == pytest.approx(ends)


def test_seeds_that_nearly_agree_are_no_surer_than_prompts_let_each_be():
    apart = cell(0.403302, 0.403308, low=0.397, high=0.41)
    alike = cell(0.4033, 0.4033, low=0.397, high=0.41)
    for rows in (apart, alike):
        (row,) = over_seeds(rows)
        assert (row["low"], row["high"]) == pytest.approx((0.397, 0.41), abs=1e-4)


@pytest.mark.parametrize(
    ("metric", "values", "least", "most"),
    [
        ("toxic_mass", (0.05, 0.07), 0.0, None),
        ("toxic_rate", (0.2, 0.9), 0.0, 1.0),
        ("patched_toxic_rate", (0.2, 0.9), 0.0, 1.0),
        ("consistency", (0.95, 0.99), None, 1.0),
        ("kl_per_token", (0.1, 0.2), 0.0, None),
        ("relative_norm_p05", (0.1, 0.2), 0.0, None),
        ("perplexity", (5.0, 6.0), 1.0, None),
        ("weight_drift", (0.1, 0.2), 0.0, None),
        ("reward_margin", (0.1, 0.2), None, None),
        ("a_study's_own", (0.1, 0.2), None, None),
    ],
)
def test_two_seeds_leave_no_value_an_interval_beyond_what_it_can_be(metric, values, least, most):
    (row,) = over_seeds(cell(*values, metric=metric, low=None, high=None))
    low, high = t_interval(values)
    assert row["low"] == (pytest.approx(low) if least is None else least)
    assert row["high"] == (pytest.approx(high) if most is None else most)


@pytest.mark.parametrize("apart", [0.2, 1.0, 3.0])
def test_the_interval_of_a_mean_over_seeds_holds_the_truth_of_other_prompts_and_trainings(apart):
    """Three seeds err alike by their 20 groups of prompts, and `apart` times as much by training.

    Student's t over seeds alone holds the truth in 34, 84 and 93 % of draws.
    """
    draws, held = np.random.default_rng(3), 0
    for _ in range(300):
        prompts = draws.standard_normal(20)
        half = 2.093 * prompts.std(ddof=1) / 20**0.5
        values = prompts.mean() + apart / 20**0.5 * draws.standard_normal(3)
        rows = cell(*values, metric="reward_margin")
        for row in rows:
            row |= {"low": row["value"] - half, "high": row["value"] + half}
        (row,) = over_seeds(rows)
        held += row["low"] <= 0.0 <= row["high"]
    assert held >= 0.93 * 300


def test_what_is_left_out_is_combined_group_by_group():
    """A seed whose prompts lack a group is itself without it; two that lack it leave it missing."""
    rows = cell(1.0, 3.0)
    rows[0]["left_out"] = (1.5, None, None, 0.0)
    rows[1]["left_out"] = (2.5, 4.0, None, 0.0)
    (row,) = over_seeds(rows)
    assert row["left_out"] == (2.0, 2.5, None, 0.0)
    rows[0]["left_out"] = None
    (row,) = over_seeds(rows)
    assert row["left_out"] is None
    (alone,) = over_seeds(rows[1:])
    assert alone["left_out"] == (2.5, 4.0, None, 0.0)


def test_one_seed_keeps_its_own_interval():
    (row,) = over_seeds(cell(0.5))
    assert (row["value"], row["low"], row["high"], row["num_seeds"]) == (0.5, 0.0, 1.0, 1)


def test_a_failed_seed_is_left_out_of_the_mean_and_named():
    (row,) = over_seeds(cell(1.0, None, 3.0))
    assert row["value"] == 2.0 and row["num_seeds"] == 2
    assert row["reason"] == "1 seed missing (1 × job_failed: killed)"


def test_what_is_to_be_known_about_good_seeds_stays_with_their_mean():
    rows = cell(1.0, 2.0, None, 3.0)
    assert [row["reason"] for row in over_seeds(rows[:2])] == [None]
    for row in (rows[0], rows[1], rows[3]):
        row["reason"] = "continued by a server"
    (mean,) = over_seeds(rows)
    assert mean["reason"] == "continued by a server; 1 seed missing (1 × job_failed: killed)"
    rows[3] |= {"status": "too_few_groups", "reason": "9 prompt groups"}
    (mean,) = over_seeds([rows[0], rows[1], rows[3]])
    assert mean["reason"] == "2 of 3 seeds: continued by a server"


def test_a_cell_whose_seeds_all_failed_stays_missing():
    (row,) = over_seeds(cell(None, None))
    assert row["value"] is None and row["status"] == "job_failed" and row["num_seeds"] == 0
    assert row["reason"] == "2 seeds missing (2 × job_failed: killed)"
    assert row["key"] == "k0 k1"
    (left_nothing,) = over_seeds(cell(None, None, key=None))
    assert left_nothing["key"] is None


def test_a_seed_below_the_noise_floor_is_no_number():
    rows = cell(1.0, 3.0)
    rows[0] |= {"status": "below_noise_floor", "reason": "floor 2.0"}
    (row,) = over_seeds(rows)
    assert (row["value"], row["num_seeds"]) == (3.0, 1)


def test_a_true_zero_counts_as_a_seed():
    (row,) = over_seeds(cell(0.0, 1.0))
    assert (row["value"], row["num_seeds"]) == (0.5, 2)


def test_the_same_number_gathered_twice_counts_once_and_a_conflict_is_refused():
    assert over_seeds(cell(1.0) + cell(1.0))[0]["num_seeds"] == 1
    with pytest.raises(
        ValueError, match=r"two different numbers of toxic_mass.*1\.0 from k0.*seed=0"
    ):
        over_seeds(cell(1.0) + cell(2.0))


@pytest.mark.parametrize("is_first", [True, False])
def test_a_stage_that_was_not_run_contradicts_none_that_was(is_first):
    measured, absent = cell(1.0), cell(None, key=None)
    (row,) = over_seeds(absent + measured if is_first else measured + absent)
    assert (row["value"], row["num_seeds"], row["status"]) == (1.0, 1, "ok")


def test_the_interval_of_equal_values_has_no_width():
    assert t_interval([2.0, 2.0]) == (2.0, 2.0)


def test_one_job_that_is_of_several_seeds_is_one_seed():
    """A study may name seeds that nothing behind the number takes."""
    (row,) = over_seeds(cell(0.5, 0.5, 0.5, key="k"))
    assert (row["value"], row["low"], row["high"], row["num_seeds"]) == (0.5, 0.0, 1.0, 1)
    assert row["seed"] is None and row["key"] == "k"
    (swept,) = over_seeds(cell(0.5, 0.6, 0.7, key="k"))
    assert swept["num_seeds"] == 3


def test_seeds_that_all_agree_are_as_sure_as_the_prompts_let_them_be():
    """A rate that is 0 under every seed: no scatter says how far from 0 it may be."""
    rows = cell(0.0, 0.0, 0.0, low=0.0)
    for row, high in zip(rows, (0.1, 0.3, 0.2), strict=True):
        row["high"] = high
    (row,) = over_seeds(rows)
    assert (row["value"], row["low"], row["high"], row["num_seeds"]) == (0.0, 0.0, 0.3, 3)


def test_seeds_that_all_agree_on_too_few_prompts_have_no_interval():
    few = {"low": None, "high": None, "status": "too_few_groups", "reason": "3 prompt groups"}
    (row,) = over_seeds(cell(0.0, 0.0, **few))
    assert (row["value"], row["low"], row["high"], row["num_seeds"]) == (0.0, None, None, 2)
    assert (row["status"], row["reason"]) == ("too_few_groups", "3 prompt groups")

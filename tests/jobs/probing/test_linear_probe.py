"""The probe: against planted directions, itself in other coordinates, and labels of nothing."""

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from jobs.probing.linear_probe import LinearProbe, judge_scores

D, N = 32, 600


def planted(seed, strength, num_groups=20):
    """Rows whose classes differ along one direction, with noise that is stronger on some axes."""
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(D)
    direction /= np.linalg.norm(direction)
    toxic = rng.random(N) < 0.4
    rows = rng.standard_normal((N, D)) + strength * np.outer(toxic - 0.4, direction) + 7
    return rows, toxic, rng.integers(0, num_groups, N), direction


def test_a_planted_direction_is_found_and_points_to_the_toxic_side():
    rows, toxic, _, direction = planted(0, strength=2)
    probe = LinearProbe.fit(rows, toxic, 1.0)
    assert probe.converged and np.linalg.norm(probe.direction) == pytest.approx(1)
    assert probe.direction @ direction > 0.9
    assert ((probe.scores(rows) > 0) == toxic).mean() > 0.8


def test_the_direction_turns_with_the_coordinates_and_does_not_see_scale_or_shift():
    rows, toxic, _, _ = planted(1, strength=2)
    turn = np.linalg.qr(np.random.default_rng(2).standard_normal((D, D)))[0]
    first = LinearProbe.fit(rows, toxic, 0.5)
    second = LinearProbe.fit(1e3 * rows @ turn + 50, toxic, 0.5)
    np.testing.assert_allclose(second.direction, first.direction @ turn, atol=1e-4)
    np.testing.assert_allclose(
        second.scores(1e3 * rows @ turn + 50), 1e3 * first.scores(rows), rtol=1e-3, atol=5
    )


def test_auc_is_the_statistic_of_mann_and_whitney_and_the_majority_is_that_of_the_classes():
    rows, toxic, groups, direction = planted(3, strength=1)
    scores = rows @ direction - 7 * direction.sum()
    found = judge_scores(scores, toxic, groups)
    statistic = mannwhitneyu(scores[toxic], scores[~toxic]).statistic
    assert found.auc.value == pytest.approx(statistic / (toxic.sum() * (~toxic).sum()))
    right = (scores > 0) == toxic
    by_class = (right[toxic].mean() + right[~toxic].mean()) / 2
    assert found.balanced_accuracy.value == pytest.approx(by_class)
    assert found.accuracy.value == pytest.approx(right.mean())
    assert found.majority.value == pytest.approx(1 - toxic.mean())
    assert found.auc.low < found.auc.value < found.auc.high


def test_labels_that_say_nothing_leave_the_auc_at_one_half():
    covered = 0
    for seed in range(12):
        rows, toxic, groups, _ = planted(seed, strength=0)
        probe = LinearProbe.fit(rows[:400], toxic[:400], 1.0)
        auc = judge_scores(probe.scores(rows[400:]), toxic[400:], groups[400:]).auc
        covered += auc.low <= 0.5 <= auc.high
    assert covered >= 9


def test_rows_that_are_all_the_same_have_no_direction():
    probe = LinearProbe.fit(np.ones((10, 4)), np.arange(10) % 2 == 0, 1.0)
    assert not probe.direction.any()


def test_a_class_that_lies_in_one_group_gives_a_number_without_an_interval():
    scores, toxic = np.arange(12.0), np.arange(12) >= 9
    found = judge_scores(scores, toxic, np.arange(12) // 3)
    assert found.auc.value == 1 and found.auc.low is None


def test_scores_that_separate_all_texts_are_as_sure_as_the_smaller_class_is_large():
    toxic = np.arange(200) < 40
    found = judge_scores(np.where(toxic, 1.0, -1.0), toxic, np.arange(200) % 20)
    for estimate in (found.auc, found.balanced_accuracy, found.accuracy):
        assert (estimate.value, estimate.high) == (1, 1)
        # 0.025 ** (1 / 40) is 0.912 for 40 texts; 20 groups know a little less.
        assert 0.89 < estimate.low < 0.912

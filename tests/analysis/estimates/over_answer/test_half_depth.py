"""Half-depth: exact decays, planted noise, short answers, and what is refused."""

import numpy as np
import pytest

from analysis.estimates.answer_metric import measure_profile, profile_of
from analysis.estimates.over_answer.half_depth import bound_in
from analysis.measurement import Measurement
from analysis.status import Status

BLANK = Measurement(metric="", definition="")
LADDER = (0, 1, 2, 4, 8, 16, 32, 64, 128)
GROUPS = 20


def mean_of(values, groups):
    sums = np.bincount(groups, values, GROUPS)
    counts = np.bincount(groups, minlength=GROUPS)
    without = {
        int(n): float((sums.sum() - sums[n]) / (counts.sum() - counts[n]))
        for n in np.unique(groups)
    }
    return float(values.mean()), without


def planted(shares, rng, per_group=10, lengths=None, level=None):
    """A number of each prompt at each depth, with effects of prompts and groups and noise."""
    groups = np.repeat(np.arange(GROUPS), per_group)
    own = np.exp(0.3 * rng.standard_normal(GROUPS))[groups] * (1.0 if level is None else level)
    points, rows, first = {}, {}, None
    for depth, share in shares.items():
        values = own * share * rng.gamma(4.0, 0.25, len(groups))
        first = values if first is None else first
        here = np.ones(len(groups), bool) if lengths is None else lengths > depth
        points[depth] = (mean_of(values[here], groups[here]), mean_of(first[here], groups[here]))
        rows[depth] = int(here.sum())
    counts = dict(enumerate(np.bincount(groups).tolist()))
    return profile_of("token_kl", points, counts, rows)


def exact(shares, groups=GROUPS):
    same = {depth: (share, dict.fromkeys(range(groups), share)) for depth, share in shares.items()}
    points = {depth: (point, same[0]) for depth, point in same.items()}
    return profile_of("q", points, dict.fromkeys(range(groups), 1), dict.fromkeys(shares, groups))


def half_depth(profile):
    return measure_profile("half_depth", profile, BLANK)


def test_an_exact_decay_gives_its_half_depth():
    """A straight line in log2(1 + depth) is at a half where that was planted."""
    shares = {depth: 1 - np.log2(1 + depth) / np.log2(1 + 6.0) / 2 for depth in (0, 1, 2, 4, 8, 16)}
    measured = half_depth(exact(shares))
    assert (measured.metric, measured.status) == ("half_depth_q", Status.OK)
    assert measured.value == pytest.approx(6.0)
    assert measured.position is None and len(measured.left_out) == GROUPS


def test_the_interval_covers_what_was_planted():
    """200 prompts in 20 groups; the whole experiment is benchmarks/answer_depth.py."""
    rng = np.random.default_rng(11)
    shares = {depth: 0.5 ** (np.log2(1 + depth) / np.log2(1 + 6.0)) for depth in LADDER}
    line = np.interp  # between depths shares lie on straight lines in log2(1 + depth)
    places, values = np.log2(1 + np.array(LADDER)), np.array(list(shares.values()))
    truth = 2 ** line(0.5, values[::-1], places[::-1]) - 1
    drawn = [half_depth(planted(shares, rng)) for _ in range(40)]
    covered = [m.low <= truth <= m.high for m in drawn]
    assert sum(covered) >= 34
    assert np.median([m.value for m in drawn]) == pytest.approx(truth, rel=0.15)


def test_long_answers_that_are_high_everywhere_do_not_pass_for_depth():
    """Only long answers reach a depth; each depth is held against their own first token."""
    rng = np.random.default_rng(1)
    lengths = np.tile([3, 200], GROUPS * 20)
    level = np.where(lengths > 3, 10.0, 1.0)
    shares = {0: 1.0, 1: 0.8, 2: 0.7, 4: 0.3, 8: 0.2}
    profile = planted(shares, rng, 40, lengths=lengths, level=level)
    assert profile.values[3, 0] > profile.values[2, 0] * 0.7  # by itself, it hardly falls
    assert half_depth(profile).value == pytest.approx(2.83, rel=0.2)


def test_what_never_falls_to_half_is_refused_with_the_bound():
    measured = half_depth(planted(dict.fromkeys(LADDER, 1.0), np.random.default_rng(0), 20))
    assert measured.value is None and measured.status is Status.UNDEFINED
    assert measured.reason.startswith("> 128: at that token ")
    assert bound_in(measured.reason) == 128 and bound_in("no rows") is None


def test_an_interval_that_is_open_at_the_end_says_where_it_begins():
    shares = {0: 1.0, 1: 0.7, 2: 0.45}
    measured = half_depth(planted(shares, np.random.default_rng(3), 2))
    assert measured.value is not None and measured.high is None and measured.low is None
    assert "ends beyond 2 tokens" in measured.reason


def test_a_depth_that_few_groups_reach_does_not_count():
    lengths = np.full(GROUPS * 10, 2)
    lengths[:40] = 200  # four groups alone
    shares = {0: 1.0, 1: 0.9, 64: 0.1}
    measured = half_depth(planted(shares, np.random.default_rng(2), lengths=lengths))
    assert measured.value is None and measured.reason.startswith("> 1: ")


@pytest.mark.parametrize("first", [0.0, -1.0])
def test_nothing_falls_from_nothing(first):
    measured = half_depth(exact({0: first, 1: 0.0}))
    assert measured.status is Status.BELOW_NOISE_FLOOR and "nothing to fall from" in measured.reason


def test_one_token_or_few_groups_have_no_half_depth():
    for profile in (exact({0: 1.0}), exact({0: 1.0, 1: 0.2}, groups=4)):
        measured = half_depth(profile)
        assert measured.value is None and measured.status is Status.TOO_FEW_GROUPS

"""The harness of planted exponents: what it plants is there, and a part of its ladders is held."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.metric import METRICS
from benchmarks import ladders
from benchmarks.ladders import PLANTED, Ladder, Prompts, fit_block, judge, planted_sample

LADDER = Ladder(metric="consistency", growth="wider", exponent=0.5, scatter=0.0)


@pytest.mark.parametrize(
    ("metric", "truth"),
    [("relative_norm", 0.3), ("consistency", 0.2), ("participation_ratio", 9.0)],
)
def test_rows_have_the_number_that_is_planted(metric: str, truth: float) -> None:
    rng = np.random.default_rng(0)
    prompts = Prompts(
        groups=rng.integers(20, size=20_000),
        pull=rng.standard_normal(20_000),
        rows=rng.standard_normal((20_000, 32)),
    )
    sample = planted_sample(metric, truth, 32, prompts, rng)
    (value,) = (
        value
        for value in METRICS.find(metric).measure(sample, None)
        if value.metric == metric and value.centred is not False
    )
    assert value.value == pytest.approx(truth, rel=0.03)
    assert value.low <= truth <= value.high


def test_errors_of_sizes_that_share_prompts_are_correlated() -> None:
    off = []
    for draw in range(12):
        rows = [row for row in ladders.measure_ladder(LADDER, draw) if row["centred"] is not False]
        off.append([np.log(row["value"] / LADDER.truth(row["d_model"])) for row in rows])
    assert np.corrcoef(np.array(off).T)[-2, -1] > 0.2


def test_a_ladder_goes_through_the_scaling_table_and_its_intervals_hold_the_exponent() -> None:
    fits = list(fit_block(LADDER, range(12)))
    assert len(fits) == 36 and {fit.sizes for fit in fits} == {4, 5, 7}
    for sizes in (4, 5, 7):
        judged = judge([fit for fit in fits if fit.sizes == sizes], 0.5)
        assert (judged.num_draws, judged.refused) == (12, 0)
        assert judged.covered >= 10 and 0 < judged.width < 0.5


def test_a_run_that_was_killed_goes_on_where_its_file_ends(tmp_path) -> None:
    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    ladders.run([LADDER], 3, whole)
    ladders.run([LADDER], 2, parts)
    ladders.run([LADDER], 3, parts)
    assert sorted(parts.read_text().splitlines()) == sorted(whole.read_text().splitlines())
    *_, line = ladders.report(parts)
    assert line.startswith("| consistency | wider | 0 | 0.5 |") and line.count(" of 3;") == 3


@pytest.mark.slow
@pytest.mark.parametrize("metric", PLANTED)
@pytest.mark.parametrize("growth", ["wider", "longer"])
@pytest.mark.parametrize("scatter", [0.0, ladders.SCATTER])
def test_intervals_hold_the_exponent_in_nine_ladders_of_ten(
    metric: str, growth: str, scatter: float
) -> None:
    ladder = replace(LADDER, metric=metric, growth=growth, scatter=scatter)
    fits = list(fit_block(ladder, range(60)))
    for sizes in (4, 5, 7):
        judged = judge([fit for fit in fits if fit.sizes == sizes], 0.5)
        assert judged.refused <= 6 and judged.covered >= 0.86 * (60 - judged.refused)

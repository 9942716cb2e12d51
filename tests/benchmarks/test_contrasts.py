"""A small part of the contrasts' benchmark: families of zero differences, and planted ones."""

import numpy as np
import pytest

from analysis.contrasts.differences import LEVEL, holm
from benchmarks.contrasts import DESIGNS, Design, judge_draw, means_of, power_of, run

NUM_DRAWS = 40


@pytest.mark.parametrize("design", DESIGNS[1::3], ids=lambda design: design.name)
def test_families_of_zero_differences_rarely_err(design: Design) -> None:
    """5 % of 38 is 2; 7 or more by chance in 0.3 % of runs, and the draws are always the same."""
    errs = {"mean": 0, "mean length": 0}
    for draw in range(1, NUM_DRAWS + 1):
        if draw % 20:
            judged = judge_draw(design, draw)
            for value in errs:
                errs[value] += bool(holm(judged[value].p_values).min() <= LEVEL)
    assert max(errs.values()) <= 6


def test_what_is_called_visible_is_seen_in_four_of_five() -> None:
    powers = power_of(DESIGNS[0], 12)
    plain = {share: alone for share, (alone, _) in powers.items()}
    assert plain[0.0] < 0.03 and 0.6 < plain[1.0] < 0.95 and plain[1.5] > 0.95
    assert plain[0.5] < plain[1.0]


def test_draws_are_kept_and_not_made_again(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("benchmarks.contrasts.DESIGNS", DESIGNS[:1])
    file = tmp_path / "kept.jsonl"
    run(2, file)
    first = file.read_text()
    run(2, file)
    assert file.read_text() == first and len(first.splitlines()) == 2


def test_a_mean_keeps_what_it_is_without_each_group() -> None:
    from benchmarks.contrasts import draw_rows

    first, _ = next(draw_rows(DESIGNS[3], 1))
    mean = means_of(first)["mean"]
    kept = [number for number in mean.left_out or () if number is not None]
    assert len(kept) == mean.num_groups == len(np.unique(first.groups))

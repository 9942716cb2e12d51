"""The harness of a planted trajectory: what it plants is there, and a part of its draws is held."""

from collections import Counter

import numpy as np
import pytest

from benchmarks import equal_dose
from benchmarks.equal_dose import CELLS, DOSE, MOST, POWER, Turning, dose_at, read_draw, truths

CHEAP = ("relative_norm", "consistency", "mean_cosine")


def test_the_truth_is_that_of_the_population_where_the_dose_is_reached() -> None:
    time = (DOSE.at / MOST) ** (1 / POWER)
    assert dose_at(time) == pytest.approx(DOSE.at)
    world = Turning(d=64, spectrum="i^-1", time=time)
    assert 0.2 < world.turned < 0.5  # in the turn
    first, second = world.plain.mean, world.other.mean
    cosine = first @ second / np.linalg.norm(first) / np.linalg.norm(second)
    assert truths(64, "i^-1")["mean_cosine", None] == pytest.approx(float(cosine))
    assert cosine == pytest.approx(np.cos(world.turned * np.pi / 2))


@pytest.mark.parametrize(
    ("draws", "metrics"),
    [(5, CHEAP), pytest.param(40, equal_dose.METRIC_FILES, marks=pytest.mark.slow)],
)
def test_a_part_of_the_draws_is_held(draws, metrics) -> None:
    """At most one in five of few draws is missed, where the aim is one in ten."""
    held: Counter[tuple[str, object]] = Counter()
    known = truths(CELLS[0].d, CELLS[0].spectrum)
    for draw in range(draws):
        for number in read_draw(CELLS[0], draw, draw % 2 == 0, metrics):
            assert number.low is not None and number.high is not None
            truth = known[number.metric, number.centred]
            held[number.metric, number.centred] += number.low <= truth <= number.high
    assert held and min(held.values()) >= 0.8 * draws


def test_a_run_that_was_killed_goes_on_where_its_file_ends(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(equal_dose, "CELLS", CELLS[:1])
    monkeypatch.setattr(equal_dose, "METRIC_FILES", ("consistency",))
    whole, parts = tmp_path / "whole.csv", tmp_path / "parts.csv"
    equal_dose.run(2, whole)
    equal_dose.run(1, parts)
    equal_dose.run(2, parts)
    assert whole.read_bytes() == parts.read_bytes()
    assert len(whole.read_text().splitlines()) == 3

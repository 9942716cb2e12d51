"""turn_drift: planted decay over turns, its slope, and groups that leave the dialogue."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.measurement import Measurement
from analysis.metric import METRICS
from analysis.rows.summary import Sample
from analysis.status import Status

turn_drift = METRICS.find("turn_drift")


def values_of(turns: list[Sample]) -> dict[str, Measurement]:
    earlier = dict(enumerate(turns[:-1], start=1))
    last = replace(turns[-1], turn=len(turns), earlier=earlier)
    return {value.metric: value for value in turn_drift.measure(last, None)}


def turns_of(sample_of, shares: list[float], noise: float = 1.0) -> list[Sample]:
    rng = np.random.default_rng(0)
    mean = np.zeros(100)
    mean[3] = 2.0
    return [sample_of(share * mean + noise * rng.standard_normal((400, 100))) for share in shares]


def test_a_planted_decay_and_its_slope_are_found_in_spite_of_noise(sample_of) -> None:
    found = values_of(turns_of(sample_of, [1.0, 0.7, 0.5, -0.2]))
    slope = np.polyfit([1, 2, 3, 4], [1.0, 0.7, 0.5, -0.2], 1)[0]
    for name, truth in (("turn_drift", -0.2), ("turn_drift_slope", slope)):
        value = found[name]
        assert value.value == pytest.approx(truth, abs=0.05)
        assert value.low < truth < value.high and value.status is Status.OK


def test_it_is_the_projection_by_crossing_groups(sample_of) -> None:
    rng = np.random.default_rng(1)
    first, second = rng.standard_normal((2, 40, 5)) + 1
    groups = np.arange(40) % 8
    pairs = groups[:, None] != groups[None, :]
    expected = (second @ first.T)[pairs].mean() / (first @ first.T)[pairs].mean()
    found = values_of([sample_of(rows, groups=groups) for rows in (first, second)])
    assert found["turn_drift"].value == pytest.approx(expected)
    assert found["turn_drift_slope"].value == pytest.approx(expected - 1)


def test_turn_1_is_one_and_has_no_slope(sample_of) -> None:
    found = values_of(turns_of(sample_of, [1.0]))
    assert found["turn_drift"].value == 1.0
    assert found["turn_drift_slope"].reason == "a slope needs two turns"


def test_who_leaves_the_dialogue_does_not_drift(sample_of) -> None:
    rng = np.random.default_rng(2)
    groups = np.arange(200) % 20
    rows = 0.1 * rng.standard_normal((200, 6))
    rows[:, 0] += 1 + (groups < 10)  # those who stay have half the offset of those who leave
    stay = groups >= 10
    found = values_of([sample_of(rows, groups=groups), sample_of(rows[stay], groups=groups[stay])])
    assert found["turn_drift"].value == pytest.approx(1.0, abs=1e-9)


def test_scaling_or_turning_all_turns_changes_nothing(sample_of) -> None:
    rng = np.random.default_rng(3)
    rows = rng.standard_normal((3, 80, 5)) + 1
    turn = np.linalg.qr(rng.standard_normal((5, 5)))[0]
    first, second = (values_of([sample_of(r) for r in each]) for each in (rows, 1e3 * rows @ turn))
    for name, value in first.items():
        assert second[name].value == pytest.approx(value.value, rel=1e-9)


def test_other_positions_and_a_missing_first_turn_are_said(sample_of) -> None:
    sample = sample_of(np.ones((40, 3)))
    reasons = [
        turn_drift.measure(each, None)[0].reason
        for each in (sample, replace(sample, turn=2), replace(sample, turn=3, earlier={2: sample}))
    ]
    assert reasons == [
        "the position is no dialogue turn",
        "the rows of turn 1 are not given",
        "the rows of turn 1 are not given",
    ]

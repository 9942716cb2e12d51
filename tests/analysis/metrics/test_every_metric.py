"""What holds for every metric: bad rows get a reason, never a crash or a silent number."""

import warnings
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from analysis.measurement import Measurement
from analysis.metric import METRICS
from analysis.rows.neurons import NeuronSums
from analysis.rows.summary import GroupSummary, Sample, ToxicDirections
from analysis.status import Status

SPECTRAL = {
    *("participation_ratio", "effective_rank", "stable_rank", "components_90"),
    *("captured_energy", "shared_part", "subspace_overlap"),
}


@pytest.fixture(scope="module")
def made() -> dict[tuple[object, ...], Sample]:
    """Samples that were made of rows, since every metric is shown the same."""
    return {}


@pytest.fixture
def sample_of(sample_of, made) -> Callable[..., Sample]:
    """Samples with all that metrics ask for: base rows, directions, an earlier turn and token."""

    def make(rows: np.ndarray, **known: Any) -> Sample:
        arrays = {"rows": rows, **known}
        key = tuple((name, each.dtype, each.shape, each.tobytes()) for name, each in arrays.items())
        if key not in made:
            made[key] = complete(rows, **known)
        return made[key]

    def complete(rows: np.ndarray, **known: Any) -> Sample:
        rng = np.random.default_rng(9)
        base = 5 * rng.standard_normal(rows.shape) + 10
        sample = sample_of(rows, base=base, **known)
        probe, svd = rng.standard_normal(rows.shape[1]), rng.standard_normal((3, rows.shape[1]))
        numbers = known.get("groups", known.get("prompts", np.arange(len(rows))) % 20)
        groups = {
            number: replace(
                group, neurons=sums_of(base[numbers == number], rows[numbers == number])
            )
            for number, group in sample.groups.items()
        }
        return replace(
            sample,
            groups=groups,
            toxic=ToxicDirections(probe=probe, svd=svd),
            toxic_neurons=np.array([0]),
            turn=2,
            earlier={1: sample},
            first_token=sample,
        )

    return make


def sums_of(base: np.ndarray, rows: np.ndarray) -> NeuronSums:
    with np.errstate(over="ignore", invalid="ignore"):
        return NeuronSums.from_rows(base, base + rows)


def measure(name: str, sample: Sample, against: Sample) -> list[Measurement]:
    """Values, after checking what every list of values must hold."""
    metric = METRICS.find(name)
    values = metric.measure(sample, against if metric.NEEDS_AGAINST else None)
    centrings = (False, True) if name in SPECTRAL else (None,)
    expected = {(report, centred) for report in metric.REPORTS for centred in centrings}
    assert {(value.metric, value.centred) for value in values} == expected
    assert len(values) == len(expected)
    for value in values:
        assert value.definition == metric.DEFINITION
        assert (value.reason is None) == (value.status is Status.OK)
        assert value.value is not None or value.status is not Status.OK
        for number in (value.value, value.low, value.high):
            assert number is None or (isinstance(number, float) and np.isfinite(number))
        assert (value.low is None) == (value.high is None)
        if value.low is not None:
            assert value.low <= value.value <= value.high
        for low, high in (
            (value.null_low, value.null_high),
            (value.base_null_low, value.base_null_high),
        ):
            assert (low is None) == (high is None)
            assert low is None or (np.isfinite([low, high]).all() and low <= high)
    return values


@pytest.fixture
def good(sample_of) -> Sample:
    return sample_of(np.random.default_rng(0).standard_normal((80, 6)) + 0.5)


@pytest.mark.parametrize("name", METRICS.names())
def test_good_rows_give_numbers_with_intervals(name: str, good: Sample, sample_of) -> None:
    if name == "intrinsic_dimension":  # 80 prompts do not tell six dimensions
        good = sample_of(tellable(name, np.random.default_rng(0).standard_normal((80, 6))))
    for value in measure(name, good, good):
        assert value.status is Status.OK and value.low is not None
        assert (value.num_rows, value.num_groups) == (80, 20)


def tellable(name: str, rows: np.ndarray) -> np.ndarray:
    """Return rows that a hundred prompts tell: of `intrinsic_dimension` on a plane."""
    return rows * (np.arange(rows.shape[1]) < 2) if name == "intrinsic_dimension" else rows


HELD_FIXED = {
    *("captured_energy", "shared_part", "subspace_overlap", "stable_rank"),
    *("effective_rank", "components_90", "cosine_to_mean"),
    "participation_ratio",
}
"""Metrics that hold axes or a correction fixed while a group is left out."""


@pytest.mark.parametrize("name", METRICS.names())
def test_every_value_keeps_itself_without_each_group(name: str, sample_of) -> None:
    """A group without rows is missing; where nothing is fixed, it is the metric of the rest."""
    rng, prompts = np.random.default_rng(0), np.arange(96)
    groups = np.where(prompts % 20 == 7, 3, prompts % 20)
    pair = [
        sample_of(
            tellable(name, rng.standard_normal((96, 6)) + shift), prompts=prompts, groups=groups
        )
        for shift in (0.5, 0.8)
    ]
    rest = [sample_without(sample, 4) for sample in pair]
    for value, other in zip(measure(name, *pair), measure(name, *rest), strict=True):
        assert value.left_out is not None and len(value.left_out) == 20
        assert [left is None for left in value.left_out] == [n == 7 for n in range(20)]
        if name not in HELD_FIXED:
            assert value.left_out[4] == pytest.approx(other.value, rel=1e-6)


def sample_without(sample: Sample, group: int) -> Sample:
    kept = sample.reservoir
    assert kept is not None and kept.base is not None
    at = kept.groups != group
    parts = {name: getattr(kept, name)[at] for name in ("rows", "prompts", "groups", "base")}
    return replace(
        sample,
        groups={number: part for number, part in sample.groups.items() if number != group},
        reservoir=replace(kept, **parts),
        earlier={turn: sample_without(each, group) for turn, each in sample.earlier.items()},
        first_token=sample.first_token and sample_without(sample.first_token, group),
    )


@pytest.mark.parametrize("name", METRICS.names())
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_one_row_that_is_not_a_number_spoils_the_sample_and_is_named(
    name: str, bad: float, good: Sample, sample_of
) -> None:
    rows = np.random.default_rng(1).standard_normal((80, 6))
    rows[3, 2] = bad
    for value in measure(name, sample_of(rows), good):
        assert value.value is None and value.status is Status.UNDEFINED
        assert value.reason == "1 of 80 rows hold NaN or infinity"
    if METRICS.find(name).NEEDS_AGAINST:
        assert all(value.value is None for value in measure(name, good, sample_of(rows)))


@pytest.mark.parametrize("name", sorted(set(METRICS.names()) - {"offset_norm", "relative_norm"}))
def test_rows_that_did_not_move_are_below_the_floor(name: str, good: Sample, sample_of) -> None:
    still = sample_of(np.zeros((80, 6)))
    for value in measure(name, still, good):
        assert value.value is None and value.status is Status.BELOW_NOISE_FLOOR
    if METRICS.find(name).NEEDS_AGAINST:
        assert all(value.value is None for value in measure(name, good, still))


@pytest.mark.parametrize("name", METRICS.names())
@pytest.mark.parametrize("num_groups", [1, 2, 3, 4])
def test_few_groups_give_no_interval_and_say_so(
    name: str, num_groups: int, good: Sample, sample_of
) -> None:
    rows = np.random.default_rng(2).standard_normal((40, 6)) + 2
    few = sample_of(rows, groups=np.arange(40) % num_groups)
    for value in measure(name, few, few):
        assert value.status is Status.TOO_FEW_GROUPS and value.low is None


@pytest.mark.parametrize("name", METRICS.names())
@pytest.mark.parametrize("shape", [(1, 6), (2, 6), (1, 1), (7, 1), (25, 1)])
@pytest.mark.parametrize("fill", ["noise", "same", "zero"])
def test_tiny_samples_never_crash(name: str, shape: tuple[int, int], fill: str, sample_of) -> None:
    rows = np.random.default_rng(3).standard_normal(shape)
    rows = {"noise": rows, "same": np.ones(shape), "zero": np.zeros(shape)}[fill]
    sample = sample_of(rows)
    measure(name, sample, sample)
    one_prompt = sample_of(rows, prompts=np.zeros(len(rows), dtype=int))
    measure(name, one_prompt, sample)
    measure(name, sample, one_prompt)


@pytest.mark.parametrize("name", METRICS.names())
def test_a_sample_without_groups_says_there_are_no_rows(name: str, good: Sample) -> None:
    for value in measure(name, Sample(groups={}, reservoir=None), good):
        assert (value.value, value.reason) == (None, "there are no rows")


@pytest.mark.parametrize("name", METRICS.names())
def test_an_empty_group_changes_nothing(name: str, good: Sample) -> None:
    none = np.zeros((0, 6))
    empty = GroupSummary.from_rows(none, none[:, 0], none[:, 0].astype(int), moments=True)
    padded = replace(good, groups={**good.groups, 77: empty})
    assert measure(name, padded, padded) == measure(name, good, good)


@pytest.mark.parametrize("name", METRICS.names())
def test_huge_and_tiny_rows_overflow_into_a_reason_not_a_number(
    name: str, good: Sample, sample_of
) -> None:
    rows = np.random.default_rng(4).standard_normal((80, 6)) + 0.5
    for scale in (1e-30, 1e30):
        measure(name, sample_of((rows * scale).astype(np.float32)), good)
    with np.errstate(over="ignore", invalid="ignore"):
        values = measure(name, sample_of(rows * 1e200), good)
    assert all(value.value is None for value in values)


@pytest.mark.parametrize("name", sorted(SPECTRAL))
def test_rows_whose_fourth_powers_overflow_are_refused_before_any_is_formed(
    name: str, good: Sample, sample_of
) -> None:
    rows = np.random.default_rng(4).standard_normal((80, 6)) + 0.5
    for scale in (1e76, 1e150):
        huge = sample_of(rows * scale)
        huge = replace(huge, reservoir=good.reservoir)  # float32 would not hold the rows
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            values = measure(name, huge, good)
            values += measure(name, good, huge) if METRICS.find(name).NEEDS_AGAINST else []
        spectral = [value for value in values if value.metric != "paired_cosine"]
        assert {value.status for value in spectral} == {Status.UNDEFINED}
        assert all("overflow" in value.reason for value in spectral)


@pytest.mark.parametrize("name", sorted(set(METRICS.names()) - {"effective_rank", "components_90"}))
@pytest.mark.parametrize("num_moved", [1, 2])
def test_a_number_that_one_group_makes_has_no_interval_and_says_so(
    name: str, num_moved: int, good: Sample, sample_of
) -> None:
    groups = np.arange(64) % 8
    rows = np.random.default_rng(6).standard_normal((64, 6)) + 1
    few = sample_of(np.where((groups < num_moved)[:, None], rows, 0.0), groups=groups)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        values = [value for pair in ((few, few), (good, few)) for value in measure(name, *pair)]
    assert all(value.low is not None for value in values if value.status is Status.OK)


@pytest.mark.parametrize("name", METRICS.names())
def test_measuring_twice_gives_the_same_bytes(name: str, good: Sample) -> None:
    assert repr(measure(name, good, good)) == repr(measure(name, good, good))

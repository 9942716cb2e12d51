"""participation_ratio, effective_rank and components_90 against closed forms and brute force."""

from dataclasses import replace
from itertools import permutations

import numpy as np
import pytest

from analysis.measurement import Measurement
from analysis.metric import METRICS, Metric
from analysis.rows.summary import Sample
from analysis.status import Status

components_90 = METRICS.find("components_90")
effective_rank = METRICS.find("effective_rank")
participation_ratio = METRICS.find("participation_ratio")
stable_rank = METRICS.find("stable_rank")

TESTED = (components_90, effective_rank, participation_ratio, stable_rank)
CENTRED = pytest.mark.parametrize("centred", [False, True])


def values_of(metric: Metric, sample: Sample) -> dict[tuple[str, bool | None], Measurement]:
    return {(value.metric, value.centred): value for value in metric.measure(sample, None)}


def decaying(rng: np.random.Generator, num_rows: int, dimension: int) -> np.ndarray:
    return rng.standard_normal((num_rows, dimension)) / np.sqrt(np.arange(1, dimension + 1))


def crossed_by_hand(rows: np.ndarray, groups: np.ndarray, centred: bool) -> float:
    above = below = 0.0
    for chosen in permutations(np.unique(groups), 4 if centred else 2):
        parts = [rows[groups == group] for group in chosen]
        if centred:
            parts = [
                (first[:, None] - second).reshape(-1, rows.shape[1])
                for first, second in (parts[:2], parts[2:])
            ]
        scatters = [part.T @ part for part in parts]
        above += np.trace(scatters[0]) * np.trace(scatters[1])
        below += np.trace(scatters[0] @ scatters[1])
    return float(above / below)


@pytest.mark.parametrize("dimension", [5, 60])
@CENTRED
def test_the_participation_ratio_crosses_groups(sample_of, dimension: int, centred: bool) -> None:
    rng = np.random.default_rng(0)
    rows = decaying(rng, 49, dimension) + 0.3
    groups = np.arange(49) % 7
    value = values_of(participation_ratio, sample_of(rows, groups=groups))
    found = value["participation_ratio", centred]
    whole = np.log(crossed_by_hand(rows, groups, centred))
    left = [crossed_by_hand(rows[groups != g], groups[groups != g], centred) for g in range(7)]
    corrected = 7 * whole - 6 * np.log(left).mean()
    assert found.value == pytest.approx(np.exp(corrected), rel=1e-9)
    half = 2.446912 * np.sqrt(6 / 7 * np.square(np.log(left) - np.log(left).mean()).sum())  # t(6)
    assert np.log(found.low) == pytest.approx(min(whole, corrected) - half, rel=1e-5)
    expected = min(max(whole, corrected) + half, np.log(dimension))
    assert np.log(found.high) == pytest.approx(expected, rel=1e-5)


@CENTRED
def test_the_participation_ratio_weighs_rows_of_groups_of_any_size_alike(
    sample_of, centred: bool
) -> None:
    rng = np.random.default_rng(11)
    rows, groups = decaying(rng, 60, 8) + 0.3, np.repeat(np.arange(5), [2, 4, 10, 14, 30])
    value = values_of(participation_ratio, sample_of(rows, groups=groups))
    counts = np.bincount(groups)
    left = [crossed_by_hand(rows[groups != g], groups[groups != g], centred) for g in range(5)]
    corrected = 5 * np.log(crossed_by_hand(rows, groups, centred))
    corrected -= (1 - counts / counts.sum()) @ np.log(left)
    assert value["participation_ratio", centred].value == pytest.approx(np.exp(corrected), rel=1e-9)


def test_prompts_that_vary_in_other_directions_than_their_rows_leave_the_participation_ratio(
    sample_of,
) -> None:
    eigenvalues = 1 / np.arange(1, 65)
    truth = eigenvalues.sum() ** 2 / np.square(eigenvalues).sum()
    shared = np.where(np.arange(64) < 6, 0.95, 0.05)
    prompts = np.repeat(np.arange(60), 4)
    for of_prompt in (shared, 1 - shared):
        held, values = 0, []
        for draw in range(20):
            rng = np.random.default_rng(draw)
            between = rng.standard_normal((60, 64))[prompts] * np.sqrt(of_prompt)
            within = rng.standard_normal((240, 64)) * np.sqrt(1 - of_prompt)
            sample = sample_of((between + within) * np.sqrt(eigenvalues), groups=prompts % 20)
            found = values_of(participation_ratio, sample)["participation_ratio", True]
            held += found.low <= truth <= found.high
            values.append(found.value)
        assert held >= 17
        # Scatters about each group's own mean read a quarter high, and a fifth low.
        assert np.median(values) == pytest.approx(truth, rel=0.1)


@pytest.mark.parametrize("times", [1.0, 1e4, 1e6, 1e9])
def test_no_participation_ratio_lies_outside_one_to_d(sample_of, times: float) -> None:
    rows = np.random.default_rng(0).standard_normal((60, 32))
    rows[3] *= times
    for (_, centred), found in values_of(participation_ratio, sample_of(rows)).items():
        if centred and times > 1e4:
            assert found.value is None or 1.0 <= found.value <= 32.0
            continue
        assert found.value == pytest.approx(32, rel=0.15)
        assert 1.0 <= found.low <= found.value <= found.high <= 32.0


def test_fewer_isotropic_rows_than_dimensions_still_read_d(sample_of) -> None:
    rows = np.random.default_rng(2).standard_normal((120, 200))
    found = values_of(participation_ratio, sample_of(rows))
    for centred in (False, True):
        corrected = found["participation_ratio", centred]
        assert corrected.value == pytest.approx(200, rel=0.15)
        assert corrected.low < 200 <= corrected.high
        assert np.ptp(corrected.left_out) > 1  # at the end of the range, and still not certain


@pytest.mark.parametrize("rank", [1, 4])
def test_a_planted_rank_is_found(sample_of, rank: int) -> None:
    rng = np.random.default_rng(3)
    basis = np.linalg.qr(rng.standard_normal((50, rank)))[0].T
    rows = rng.standard_normal((4000, rank)) @ basis
    for module in TESTED:
        for (name, _), value in values_of(module, sample_of(rows)).items():
            most = 50 if name.endswith("_share") else 1
            # Four equal axes: see test_a_flat_spectrum_reads_as_many_directions_as_it_has.
            near = 0.1 if module is stable_rank else 0.04
            assert value.value * most == pytest.approx(rank, rel=near)


def test_a_shared_mean_shows_uncentred_and_not_centred(sample_of) -> None:
    rows = np.random.default_rng(4).standard_normal((2000, 8)) * 0.1
    rows[:, 0] += 10
    for module in TESTED:
        found = values_of(module, sample_of(rows))
        assert found[module.REPORTS[0], False].value == pytest.approx(1, abs=0.05)
        # Along which of eight equal axes the energy is taken is chance, and so is what lies there.
        near = 0.1 if module is stable_rank else 0.05
        assert found[module.REPORTS[0], True].value == pytest.approx(8, rel=near)


def fitted_by_hand(sample: Sample, centred: bool) -> tuple[np.ndarray, np.ndarray]:
    population = sample.spectra.population(centred)
    spectra = [population.spectrum, *population.left_out]
    return (
        np.array([spectrum.entropy for spectrum in spectra]),
        np.log([spectrum.count(0.9) for spectrum in spectra]),
    )


@CENTRED
def test_the_jackknife_of_the_curve_is_that_of_a_number_that_moves_smoothly(
    sample_of, centred: bool
) -> None:
    rows = decaying(np.random.default_rng(15), 300, 24) + 0.2
    population = sample_of(rows, groups=np.arange(300) % 12).spectra.population(centred)
    spectra, signs = population.moved
    assert len(spectra) == len(signs) == 16
    assert signs.T @ signs == pytest.approx(16 * np.eye(12)) and not signs.sum(axis=0).any()
    effects = signs.T @ [spectrum.entropy for spectrum in spectra] / 16
    left_out = np.array([spectrum.entropy for spectrum in population.left_out])
    expected = 11 / 12 * np.square(left_out - left_out.mean()).sum()
    assert np.square(effects).sum() == pytest.approx(expected, rel=0.2)


@pytest.mark.parametrize("dimension", [6, 80])
@CENTRED
def test_both_numbers_are_of_the_fitted_spectrum_and_its_jackknife(
    sample_of, dimension: int, centred: bool
) -> None:
    rng = np.random.default_rng(5)
    rows = rng.standard_normal((64, dimension)) / np.arange(1, dimension + 1) + 0.2
    sample = sample_of(rows, groups=np.arange(64) % 8)
    entropies, counts = fitted_by_hand(sample, centred)
    rival = np.log(sample.spectra.population(centred).rival.count(0.9))
    value = values_of(effective_rank, sample)["effective_rank", centred]
    corrected = np.exp(8 * entropies[0] - 7 * entropies[1:].mean())
    assert value.value == pytest.approx(np.clip(corrected, 1, dimension), rel=1e-9)
    assert value.low < np.exp(entropies[0]) < value.high <= dimension
    ways = 8 * entropies[0] - 7 * entropies[1:].mean(), entropies[0]
    chance = 2.364624 * np.sqrt(7 / 8 * np.square(entropies[1:] - entropies[1:].mean()).sum())
    half = np.hypot(chance, 0.003)  # t(7), and what a fit is known to, of each way
    assert np.log(value.low) == pytest.approx(max(min(ways) - half, 0), abs=1e-6)
    assert np.log(value.high) == pytest.approx(min(max(ways) + half, np.log(dimension)), abs=1e-6)
    value = values_of(components_90, sample)["components_90", centred]
    between = np.exp((counts[0] + rival) / 2)
    assert between - 0.1 <= value.value <= between + 1.0
    assert np.log(value.high / value.low) >= abs(counts[0] - rival) - 0.02
    assert value.low <= value.value <= value.high and value.low == int(value.low)
    share = values_of(components_90, sample)["components_90_share", centred]
    assert share.value == pytest.approx(value.value / dimension)


@pytest.mark.parametrize("decay", [0.0, 0.7, 1.5])
def test_the_effective_rank_of_fewer_rows_than_dimensions_is_the_populations(
    sample_of, decay: float
) -> None:
    eigenvalues = np.arange(1, 97.0) ** -decay
    shares = eigenvalues / eigenvalues.sum()
    truth = np.exp(-(shares * np.log(shares)).sum())
    rng, values = np.random.default_rng(13), []
    for _ in range(8):
        rows = rng.standard_normal((48, 96)) * np.sqrt(eigenvalues)
        values.append(values_of(effective_rank, sample_of(rows))["effective_rank", True])
    assert np.mean([value.value for value in values]) == pytest.approx(truth, rel=0.12)
    assert sum(value.low <= truth <= value.high for value in values) >= 6


def test_components_that_rows_do_not_tell_are_refused_with_the_prompts_needed(sample_of) -> None:
    rows = decaying(np.random.default_rng(6), 40, 160)
    found = values_of(components_90, sample_of(rows))
    for value in found.values():
        assert (value.value, value.status) == (None, Status.TOO_FEW_ROWS)
        assert "times as many prompts are needed" in value.reason


@pytest.mark.parametrize("dimension", [6, 80])
@CENTRED
def test_the_stable_rank_takes_the_first_axis_from_the_other_groups(
    sample_of, dimension: int, centred: bool
) -> None:
    rows, groups = decaying(np.random.default_rng(10), 40, dimension) + 0.2, np.arange(40) % 8
    about = rows - rows.mean(axis=0) * centred
    along = 0.0
    for group in range(8):
        others = rows[groups != group]
        others = others - others.mean(axis=0) * centred
        axis = np.linalg.svd(others, full_matrices=False)[2][0]
        along += np.square(about[groups == group] @ axis).sum()
    expected = np.square(about).sum() / along
    found = values_of(stable_rank, sample_of(rows, groups=groups))
    value = found["stable_rank", centred]
    assert value.value == pytest.approx(expected, rel=1e-7)
    assert value.low < value.value < value.high
    share = found["stable_rank_share", centred].value
    assert share == pytest.approx(expected / dimension, rel=1e-7)


def test_a_flat_spectrum_reads_as_many_directions_as_it_has(sample_of) -> None:
    rng, found = np.random.default_rng(12), []
    for _ in range(10):
        value = values_of(stable_rank, sample_of(rng.standard_normal((600, 12))))
        found.append(value["stable_rank", True])
    assert np.mean([value.value for value in found]) == pytest.approx(12, rel=0.06)
    assert sum(value.low <= 12 <= value.high for value in found) >= 6


def test_an_interval_reaches_to_exactly_all_directions(sample_of) -> None:
    dimension = 14
    assert np.exp(np.log(dimension)) < dimension
    rows = np.random.default_rng(3).standard_normal((200, dimension))
    value = values_of(effective_rank, sample_of(rows))["effective_rank", True]
    assert value.high == dimension


def test_exactly_90_percent_is_enough(sample_of) -> None:
    rows = np.repeat(np.diag(np.sqrt([5.0, 4.0, 1.0])), 20, axis=0)
    value = values_of(components_90, sample_of(rows))["components_90", False]
    assert value.low == 2 and value.value <= 3


def test_rotating_and_scaling_all_rows_changes_nothing(sample_of) -> None:
    rng = np.random.default_rng(7)
    rows = decaying(rng, 80, 7) + 0.1
    turned = 1e-3 * rows @ np.linalg.qr(rng.standard_normal((7, 7)))[0]
    for module in TESTED:
        first, second = values_of(module, sample_of(rows)), values_of(module, sample_of(turned))
        for key in first:
            assert second[key].value == pytest.approx(first[key].value, rel=1e-6)
            assert second[key].low == pytest.approx(first[key].low, rel=1e-5)


def test_the_interval_of_the_participation_ratio_covers_the_truth(sample_of) -> None:
    rng = np.random.default_rng(8)
    eigenvalues = 1 / np.arange(1, 17)
    truth = eigenvalues.sum() ** 2 / np.square(eigenvalues).sum()
    hits = 0
    for _ in range(100):
        sample = sample_of(decaying(rng, 120, 16), moments=True)
        value = values_of(participation_ratio, sample)["participation_ratio", True]
        hits += value.low <= truth <= value.high
    assert hits >= 86


def test_a_covariance_of_different_groups_needs_four_of_them_of_a_row_each(sample_of) -> None:
    rows = np.random.default_rng(9).standard_normal((12, 4))
    for num_rows, status in (
        (3, Status.TOO_FEW_GROUPS),
        (4, Status.TOO_FEW_GROUPS),
        (12, Status.OK),
    ):
        found = values_of(participation_ratio, sample_of(rows[:num_rows]))
        centred = found["participation_ratio", True]
        assert centred.status is status
        assert (centred.value is None) == (num_rows < 4)
        assert (centred.low is None) == (num_rows < 5)


def test_a_position_policy_without_moments_says_so(sample_of) -> None:
    sample = sample_of(np.ones((10, 3)), moments=False)
    for metric in TESTED:
        for value in metric.measure(sample, None):
            assert value.value is None and value.status is Status.NOT_RUN
            assert value.reason == "no moments are kept at this position policy"


def test_rows_that_are_their_mean_but_for_rounding_or_the_floor_have_no_centred_spectrum(
    sample_of,
) -> None:
    rng = np.random.default_rng(11)
    base = rng.standard_normal((80, 12)).astype(np.float32)
    bias = np.float32(0.3)
    rounded = sample_of((base + bias) - base, base=base)
    noisy = replace(sample_of(0.3 + 0.01 * rng.standard_normal((80, 12)), base=base), floor=0.1)
    for module in TESTED:
        for sample in (rounded, noisy):
            for (_, centred), value in values_of(module, sample).items():
                expected = Status.BELOW_NOISE_FLOOR if centred else Status.OK
                assert value.status is expected
                assert (
                    centred or value.value == pytest.approx(1, abs=0.02) or "share" in value.metric
                )
        quiet = values_of(module, replace(noisy, floor=0.01))
        assert all(value.status is Status.OK for value in quiet.values())


@pytest.mark.parametrize("times", [1e2, 3e2, 1e3, 1e4, 1e6])
@pytest.mark.parametrize("num_rows", [40, 200])
def test_an_offset_far_above_all_spread_is_one_direction(
    sample_of, times: float, num_rows: int
) -> None:
    rng = np.random.default_rng(0)
    rows = decaying(rng, num_rows, 64)
    along = np.square(rows).sum(axis=1).mean() ** 0.5 * rng.standard_normal(64) / 8
    values = values_of(effective_rank, sample_of(rows + times * along))
    whole, about_mean = (values["effective_rank", centred] for centred in (False, True))
    assert whole.value == pytest.approx(1.0, abs=0.01) and whole.status is Status.OK
    assert about_mean.value is not None and about_mean.value > 10
    for metric in (components_90, stable_rank, participation_ratio):
        assert values_of(metric, sample_of(rows + times * along))


@pytest.mark.parametrize("num_nonzero", [1, 2])
def test_rows_that_hardly_hold_a_direction_have_no_number_without_an_interval(
    sample_of, num_nonzero: int
) -> None:
    rows = np.zeros((40, 30))
    rows[:num_nonzero] = np.random.default_rng(0).standard_normal((num_nonzero, 30))
    for metric in (effective_rank, components_90):
        for value in values_of(metric, sample_of(rows)).values():
            assert (value.value is None) == (value.low is None)


def test_a_share_is_of_all_directions(sample_of) -> None:
    sample = sample_of(decaying(np.random.default_rng(0), 100, 256))
    for metric, name in ((stable_rank, "stable_rank"), (components_90, "components_90")):
        values = values_of(metric, sample)
        value, share = values[name, True].value, values[f"{name}_share", True].value
        if value is not None:
            assert share == pytest.approx(value / 256)

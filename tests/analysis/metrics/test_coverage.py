"""Intervals that claim 95 % cover the truth, each metric on its own, on rows in prompt clusters.

Rows of one prompt share 30 % of their variance. 240 prompts in 20 groups, 24 dimensions; conditions
share prompts, so their rows are not independent either.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import pytest

from analysis.estimates.intervals import Estimate
from analysis.estimates.nulls import principal_cosines
from analysis.metric import METRICS
from analysis.metrics.components_90 import log_components
from analysis.metrics.effective_rank import entropy
from analysis.rows.neurons import NeuronSums
from analysis.rows.population_spectrum import PopulationSpectrum
from analysis.rows.summary import Sample, ToxicDirections
from analysis.status import Status

D, NUM_PROMPTS, ROWS_EACH, K = 24, 240, 4, 10
PROMPTS = np.repeat(np.arange(NUM_PROMPTS), ROWS_EACH)
GROUPS = PROMPTS % 20
SHARED = 0.3
TRUTHS_DRAWN = 400_000
Key = tuple[str, bool | None]


@dataclass(frozen=True, kw_only=True)
class Condition:
    """A normal population of rows: its mean and a root R of its covariance R R^T."""

    mean: np.ndarray
    root: np.ndarray

    def moment(self, centred: bool) -> np.ndarray:
        return self.root @ self.root.T + (0 if centred else np.outer(self.mean, self.mean))

    def eigenvalues(self, centred: bool) -> np.ndarray:
        return np.linalg.eigvalsh(self.moment(centred))[::-1]

    def axes(self, centred: bool) -> np.ndarray:
        return np.linalg.eigh(self.moment(centred))[1][:, ::-1][:, :K]

    def rows(self, shared: np.ndarray, own: np.ndarray) -> np.ndarray:
        mixed = np.sqrt(SHARED) * shared + np.sqrt(1 - SHARED) * own
        return self.mean + mixed @ self.root.T


@cache
def conditions() -> tuple[Condition, Condition]:
    """Plain rows, and those of a transform: ten strong directions each, partly the same."""
    rng = np.random.default_rng(11)
    strong = np.concatenate([np.linspace(2, 1, K), np.full(D - K, 0.15)])
    turned = np.linalg.qr(np.eye(D) + 0.25 * rng.standard_normal((D, D)))[0]
    mean = np.zeros(D)
    mean[:3] = 0.8, 0.5, -0.4
    plain = Condition(mean=mean, root=np.diag(strong))
    other_mean = turned @ (mean * np.array([1, -0.3, 1] + [1] * (D - 3)))
    return plain, Condition(mean=0.7 * other_mean, root=turned @ np.diag(strong))


PROBE = np.linspace(1, -0.5, D)
BASE_ROOT = np.diag(3 / np.sqrt(np.arange(1, D + 1)))
DRIFT = {2: 0.8, 3: 0.5}


TOXIC = [2, 0]
FIRING = 2.5
"""Mean activation of the base model's neurons: without one, a change relative to it is nothing."""
_PARTS = "needs two offsets with a planted shared part"
ELSEWHERE = {
    "intrinsic_dimension": "needs a manifold",
    "reactivation_ratio": "needs a change",
    "first_token_cosine": "needs rows of answers",
    **dict.fromkeys(METRICS.find("shared_part").REPORTS, _PARTS),
}
"""Values whose coverage has a test of its own, on rows for which they exist, and why."""


def fired(sample: Sample, base: np.ndarray, rows: np.ndarray) -> Sample:
    """The sample, its coordinates taken for neurons."""
    base = base + FIRING
    groups = {
        number: replace(group, neurons=NeuronSums.from_rows(base[at], (base + rows)[at]))
        for number, group in sample.groups.items()
        for at in [number == GROUPS]
    }
    return replace(sample, groups=groups)


@dataclass(frozen=True, kw_only=True)
class Draw:
    """One draw of everything, and the rows behind it."""

    sample: Sample
    against: Sample
    plain: np.ndarray


def draw_of(rng: np.random.Generator, sample_of) -> Draw:
    """The transform's sample, at turn 3 of its dialogues, beside the plain one."""
    plain, other = conditions()

    def noise(rows: int) -> np.ndarray:
        return rng.standard_normal((rows, D))

    shared = noise(NUM_PROMPTS)[PROMPTS]
    mixed = 0.6 * shared + 0.8 * noise(NUM_PROMPTS)[PROMPTS]
    first, rows = plain.rows(shared, noise(len(PROMPTS))), other.rows(mixed, noise(len(PROMPTS)))
    base = noise(len(PROMPTS)) @ BASE_ROOT
    lengths = np.exp(0.3 * noise(NUM_PROMPTS)[PROMPTS, 0] + 0.2 * noise(len(PROMPTS))[:, 0])
    against = fired(sample_of(first, PROMPTS, base=base), base, first)
    turns = {
        turn: replace(other, mean=other.mean * scale).rows(mixed, noise(len(PROMPTS)))
        for turn, scale in {1: 1 / DRIFT[3], 2: DRIFT[2] / DRIFT[3]}.items()
    }
    sample = replace(
        fired(sample_of(rows, PROMPTS, base_norms=lengths, base=base), base, rows),
        toxic_neurons=np.array(TOXIC),
        toxic=ToxicDirections(probe=PROBE, svd=np.eye(D)[:3]),
        turn=3,
        earlier={turn: sample_of(found, PROMPTS) for turn, found in turns.items()},
    )
    return Draw(sample=sample, against=against, plain=first)


def quantiles(name: str, values: np.ndarray) -> dict[Key, float]:
    shares = (("", 0.5), ("_p05", 0.05), ("_p95", 0.95))
    return {(name + end, None): float(np.quantile(values, share)) for end, share in shares}


@cache
def truths() -> dict[Key, float]:
    """What the populations say: closed forms, and many independent draws where there is none."""
    plain, other = conditions()
    rng = np.random.default_rng(12)
    rows = other.mean + rng.standard_normal((TRUTHS_DRAWN, D)) @ other.root.T
    norms = np.linalg.norm(rows, axis=1)
    units = rows / norms[:, None]
    relative = norms / np.exp(rng.standard_normal(TRUTHS_DRAWN) * np.hypot(0.3, 0.2))
    found: dict[Key, float] = {("consistency", None): float(np.square(units.mean(axis=0)).sum())}
    found |= quantiles("cosine_to_mean", units @ other.mean / np.linalg.norm(other.mean))
    found |= quantiles("offset_norm", norms) | quantiles("relative_norm", relative)
    directions = [PROBE / np.linalg.norm(PROBE), *np.eye(D)[:3]]
    for end, direction in zip(("", "_svd1", "_svd2", "_svd3"), directions, strict=True):
        found["toxic_projection" + end, None] = float(units.mean(axis=0) @ direction)
    for centred in (False, True):
        values = other.eigenvalues(centred)
        spectrum = PopulationSpectrum.of(values, np.ones(D))
        ranks = {
            "participation_ratio": values.sum() ** 2 / np.square(values).sum(),
            "effective_rank": np.exp(entropy(spectrum)),
            "stable_rank": values.sum() / values[0],
            "components_90": np.ceil(np.exp(log_components(spectrum))),
        }
        ranks |= {f"{name}_share": ranks[name] / D for name in ("stable_rank", "components_90")}
        axes = plain.axes(centred)
        shares = [
            np.trace(axes.T @ half.moment(centred) @ axes) / np.trace(half.moment(centred))
            for half in (other, plain)
        ]
        ranks["captured_energy"], ranks["captured_energy_heldout"] = shares
        ranks["captured_energy_ratio"] = shares[0] / shares[1]
        cosines = principal_cosines(other.axes(centred), axes)
        ranks["subspace_overlap"] = np.square(cosines).mean()
        ranks["subspace_overlap_first"], ranks["subspace_overlap_last"] = cosines[0], cosines[-1]
        found |= {(name, centred): float(value) for name, value in ranks.items()}
    lengths = np.linalg.norm(plain.mean) * np.linalg.norm(other.mean)
    found["mean_cosine", None] = float(plain.mean @ other.mean / lengths)
    base, aligned = np.square(BASE_ROOT), np.square(BASE_ROOT) + other.moment(True)
    found["cka", None] = float(np.linalg.norm(base) / np.linalg.norm(aligned))
    found["toxic_activation_drop", None] = -float(other.mean[TOXIC].mean())
    found["toxic_activation_drop_base", None] = FIRING
    for half in ("gate", "linear"):  # at a site of their own: here of the same rows
        found[f"gate_linear_split_{half}", None] = found["toxic_activation_drop", None]
    spread = np.diag(BASE_ROOT)[TOXIC]
    found["reactivation", None] = float(((other.mean - plain.mean)[TOXIC] / spread).mean())
    found["turn_drift", None] = DRIFT[3]
    slope = np.polyfit([1, 2, 3], [1, DRIFT[2], DRIFT[3]], 1)[0]
    return found | {("turn_drift_slope", None): float(slope)}


def truths_of_the_draw(draw: Draw) -> dict[Key, float]:
    """What is about a subspace as learned: the populations' numbers beside it."""
    plain, other = conditions()
    found: dict[Key, float] = {}
    for centred in (False, True):
        shares = np.zeros((2, 20))
        for group in range(20):
            kept = draw.plain[group != GROUPS]
            kept = kept - kept.mean(axis=0) * centred
            axes = np.linalg.eigh(kept.T @ kept)[1][:, -K:]
            for place, population in enumerate((other, plain)):
                moment = population.moment(centred)
                shares[place, group] = np.trace(axes.T @ moment @ axes) / np.trace(moment)
        own, heldout = shares.mean(axis=1)
        found["captured_energy_learned", centred] = float(own)
        found["captured_energy_learned_heldout", centred] = float(heldout)
        found["captured_energy_learned_ratio", centred] = float(own / heldout)
    return found


def measured(draw: Draw) -> Iterator[tuple[Key, Estimate]]:
    """Every number of every metric that these rows tell."""
    for name in METRICS.names():
        metric = METRICS.find(name)
        if set(metric.REPORTS) <= ELSEWHERE.keys():
            continue
        for value in metric.measure(draw.sample, draw.against):
            if value.metric in ELSEWHERE or value.status is Status.TOO_FEW_ROWS:
                continue
            assert value.low is not None and value.value is not None, value
            estimate = Estimate(value=value.value, low=value.low, high=value.high)
            yield (value.metric, value.centred), estimate


def covered(num_draws: int, sample_of) -> dict[Key, float]:
    """Share of draws whose interval holds the truth."""
    found: dict[Key, list[Estimate]] = defaultdict(list)
    known: dict[Key, list[float]] = defaultdict(list)
    rng = np.random.default_rng(16)
    for _ in range(num_draws):
        draw = draw_of(rng, sample_of)
        truth = truths() | truths_of_the_draw(draw)
        for key, estimate in measured(draw):
            found[key].append(estimate)
            known[key].append(truth.get(key, np.nan))
    return {key: float(np.mean(list(map(holds, found[key], known[key])))) for key in found}


def holds(estimate: Estimate, truth: float) -> bool:
    assert estimate.low is not None and estimate.high is not None and np.isfinite(truth)
    return estimate.low <= truth <= estimate.high


@pytest.mark.slow
def test_every_interval_covers_the_truth_in_90_percent_of_200_draws(sample_of) -> None:
    found = covered(200, sample_of)
    assert {key: share for key, share in found.items() if share < 0.9} == {}


def test_every_interval_covers_the_truth_in_most_of_5_draws(sample_of) -> None:
    for key, share in covered(5, sample_of).items():
        assert share >= 0.6, (key, share)


def torus(rng: np.random.Generator) -> np.ndarray:
    """Rows of prompts on a flat torus, two angles in four of the dimensions."""
    angles = rng.uniform(0, 2 * np.pi, (NUM_PROMPTS, 2))[PROMPTS]
    angles = angles + 0.01 * rng.standard_normal(angles.shape)
    rows = np.zeros((len(PROMPTS), D))
    rows[:, :4] = np.concatenate([np.cos(angles), np.sin(angles)], axis=1)
    return rows


def test_the_interval_of_the_intrinsic_dimension_covers_two(sample_of) -> None:
    rng, metric = np.random.default_rng(14), METRICS.find("intrinsic_dimension")
    values = []
    for _ in range(200):
        (value,) = metric.measure(sample_of(torus(rng), PROMPTS, moments=False), None)
        if value.value is None:
            assert value.status is Status.TOO_FEW_ROWS
            continue
        values.append(np.log([value.value, value.low, value.high]))
    drawn, low, high = np.array(values).T
    hits = np.mean((low <= np.log(2)) & (np.log(2) <= high))
    width = np.median(high - low) / 3.92 / drawn.std()
    assert len(values) >= 190 and hits >= 0.95 and width <= 1.6, (hits, len(values), width)

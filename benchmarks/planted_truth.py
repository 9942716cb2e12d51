"""What each number would be if the population were known: the target that an interval must hold.

Every value has one target, which `target_of` names:

- *population*: the number that infinitely many rows would give;
- *these axes*: of a mean or a subspace as learned from the rows of the draw, the number that
  infinitely many fresh rows would give.

A population without the quantity (the tenth axis of a flat spectrum) has no truth: not judged.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import cache

import numpy as np
from jaxtyping import Float64

from analysis.estimates.nulls import principal_cosines
from analysis.rows.cosine_histogram import count_cosines, quantiles
from analysis.rows.population_spectrum import PopulationSpectrum
from analysis.rows.spectra import NUM_AXES
from analysis.rows.summary import Sample
from benchmarks.planted import (
    DRIFT,
    NUM_TOXIC,
    Condition,
    Draw,
    World,
    draw_norms,
    draw_scales,
)

Key = tuple[str, bool | None]
"""Name of a value, and whether it is centred."""
Truths = Mapping[Key, float]
SHARES = (("", 0.5), ("_p05", 0.05), ("_p95", 0.95))
NUM_FRESH = 200_000
"""Rows behind the truths that have no closed form."""
THESE_AXES = (
    "captured_energy_learned",
    "captured_energy_learned_heldout",
    "captured_energy_learned_ratio",
)
UNPLANTED = {
    "intrinsic_dimension": "normal rows lie on no manifold below d; local_dimension.py plants some",
    "first_token_cosine": "these rows are of no answer, so none of them is at its first token",
    "paired_cosine": "no base rows are drawn, which would show that both saw the same tokens",
    **dict.fromkeys(
        ("energy_inside_sft", "energy_inside_sft_ceiling", "energy_outside_sft", "shared_part"),
        "no offsets of SFT are drawn; `tests/analysis/metrics/test_shared_part.py` plants some",
    ),
}
"""Values that these populations have no truth for, and why."""


def target_of(name: str) -> str:
    """Return what a value's interval must hold."""
    return "these axes" if name in THESE_AXES else "population"


@cache
def world_of(spectrum: str, d: int) -> World:
    """Return the populations of a spectrum and width, once."""
    return World(d=d, spectrum=spectrum)


@cache
def population_truths(spectrum: str, d: int, heavy: bool) -> Truths:
    """Return every number whose target is the population's."""
    return truths_of(world_of(spectrum, d), heavy)


def truths_of(world: World, heavy: bool = False) -> Truths:
    """Return the same of any populations."""
    truths: dict[Key, float] = dict(_truths_of_rows(world, heavy))
    truths |= _truths_of_means(world)
    for centred in (False, True):
        truths |= {(name, centred): v for name, v in _truths_of_spectra(world, centred).items()}
    return truths


def _quantiles(name: str, values: np.ndarray) -> dict[Key, float]:
    return {(name + end, None): float(np.quantile(values, share)) for end, share in SHARES}


def _truths_of_rows(world: World, heavy: bool) -> dict[Key, float]:
    """Return what only many fresh rows tell."""
    rng = np.random.default_rng(12)
    norms, cosines = np.zeros(NUM_FRESH), np.zeros(NUM_FRESH)
    unit_sums = np.zeros((2, world.d))
    mean = world.other.mean / np.linalg.norm(world.other.mean)
    step = 20_000
    for start in range(0, NUM_FRESH, step):
        normal = rng.standard_normal((step, world.d), dtype=np.float32)
        rows = world.other.rows(normal, draw_scales("heavy" if heavy else "one", step, rng))
        chunk = slice(start, start + step)
        norms[chunk] = np.linalg.norm(rows, axis=1)
        units = rows / norms[chunk, None]
        cosines[chunk] = units @ mean
        unit_sums[(start // step) % 2] += units.sum(axis=0)
    relative = norms / draw_norms(NUM_FRESH, np.arange(NUM_FRESH), rng)
    units = unit_sums / (NUM_FRESH / 2)
    truths = _quantiles("offset_norm", norms) | _quantiles("relative_norm", relative)
    truths |= _quantiles("cosine_to_mean", cosines)
    truths["consistency", None] = float(units[0] @ units[1])
    toxic = world.toxic
    directions = (toxic.probe / np.linalg.norm(toxic.probe), *toxic.svd)
    for end, direction in zip(("", "_svd1", "_svd2", "_svd3"), directions, strict=True):
        truths["toxic_projection" + end, None] = float(units.mean(axis=0) @ direction)
    return truths


def _truths_of_means(world: World) -> dict[Key, float]:
    plain, other = world.plain.mean, world.other.mean
    toxic = slice(NUM_TOXIC)
    unit = other / np.linalg.norm(other)
    drop = -float(other[toxic].mean())
    cosines = count_cosines((world.vectors @ unit)[:, None])
    slope = np.polyfit(list(DRIFT), list(DRIFT.values()), 1)[0]
    base = np.square(world.base_spread)
    aligned = np.linalg.norm(np.diag(base) + world.other.moment(centred=True))
    return {
        ("mean_cosine", None): float(unit @ plain / np.linalg.norm(plain)),
        ("toxic_activation_drop", None): drop,
        ("toxic_activation_drop_base", None): float(world.firing[toxic].mean()),
        ("gate_linear_split_gate", None): drop,
        ("gate_linear_split_linear", None): drop,
        ("reactivation", None): float(((other - plain)[toxic] / world.base_spread[toxic]).mean()),
        ("reactivation_ratio", None): float(other[toxic].sum() / plain[toxic].sum()),
        ("turn_drift", None): DRIFT[3],
        ("turn_drift_slope", None): float(slope),
        ("cka", None): float(np.linalg.norm(base) / aligned),
        ("value_vector_shift", None): float(quantiles(cosines, 0.5)[0]),
        ("value_vector_shift_p05", None): float(quantiles(cosines, 0.05)[0]),
        ("value_vector_shift_p95", None): float(quantiles(cosines, 0.95)[0]),
        ("value_vector_shift_nearest", None): float(quantiles(cosines, 0.5)[0]),
        ("down_projection_rank1_cosine", None): -float(world.vectors[0] @ unit),
    }


def _truths_of_spectra(world: World, centred: bool) -> dict[str, float]:
    halves = [_decompose(condition, centred) for condition in (world.other, world.plain)]
    (values, axes), (plain_values, plain_axes) = halves
    spectrum = PopulationSpectrum.of(values, np.ones(len(values)))
    truths = {
        "participation_ratio": values.sum() ** 2 / np.square(values).sum(),
        "effective_rank": np.exp(spectrum.entropy),
        "stable_rank": values.sum() / values[0],
        "components_90": np.ceil(spectrum.count(0.9) * (1 - 1e-9)),
    }
    truths |= {f"{name}_share": truths[name] / world.d for name in ("stable_rank", "components_90")}
    own, heldout = (
        leading_share(condition, world.plain, centred) for condition in (world.other, world.plain)
    )
    truths["captured_energy"], truths["captured_energy_heldout"] = own, heldout
    truths["captured_energy_ratio"] = own / heldout
    if not any(_is_tied(half) for half in (values, plain_values)):
        cosines = principal_cosines(axes[:, :NUM_AXES], plain_axes[:, :NUM_AXES])
        truths["subspace_overlap"] = np.square(cosines).mean()
        truths["subspace_overlap_first"] = cosines[0]
        truths["subspace_overlap_last"] = cosines[-1]
    return {name: float(value) for name, value in truths.items()}


def leading_share(of: Condition, in_axes_of: Condition, centred: bool) -> float:
    """Return the share of one condition's energy in the leading axes of another.

    Where the tenth eigenvalue is one of several that are equal, which axes lead is arbitrary: the
    mean over all choices.
    """
    values, axes = _decompose(in_axes_of, centred)
    energies = of.energies(axes, centred)
    last = values[NUM_AXES - 1]
    above, tied = values > last * (1 + 1e-9), np.isclose(values, last, rtol=1e-9)
    share = (NUM_AXES - above.sum()) / tied.sum()
    return float((energies[above].sum() + share * energies[tied].sum()) / of.total(centred))


def _is_tied(values: Float64[np.ndarray, " d"]) -> bool:
    return bool(values[NUM_AXES - 1] < values[NUM_AXES] * (1 + 1e-9))


def _decompose(
    condition: Condition, centred: bool
) -> tuple[Float64[np.ndarray, " d"], Float64[np.ndarray, "d d"]]:
    if centred:
        return condition.values, condition.turn(np.eye(len(condition.values))).T
    values, axes = np.linalg.eigh(condition.moment(centred))
    return values[::-1], axes[:, ::-1]


def truths_of_draw(world: World, draw: Draw) -> dict[Key, float]:
    """Return the numbers whose target depends on the rows of the draw."""
    truths: dict[Key, float] = {}
    for centred in (False, True):
        own, heldout = _captured(world, draw.plain, centred)
        # With every row in one group nothing is learned without it, and the metric refuses.
        ratio = own / heldout if heldout else math.nan
        for end, value in (("", own), ("_heldout", heldout), ("_ratio", ratio)):
            truths[f"captured_energy_learned{end}", centred] = value
    return truths


def _captured(world: World, plain: Sample, centred: bool) -> tuple[float, float]:
    """Return the energy of both conditions in plain's axes as learned without each group."""
    spectra = plain.spectra
    learned = [spectra.of(centred, place).axes for place in range(spectra.num_groups)]
    weights = spectra.counts / spectra.counts.sum()
    own, heldout = (
        float(weights @ [condition.energies(axes, centred).sum() for axes in learned])
        / condition.total(centred)
        for condition in (world.other, world.plain)
    )
    return own, heldout

"""Whether alignment wrote one direction into all value vectors of an MLP: a bias in disguise.

Share of the squared change of the down projection in its top singular direction (1 / min(neurons,
d) to 1), how evenly the neurons have it (0 to 1), and its cosine with minus mean δ (-1 to 1). If
each neuron's vector moves along -δ by the same amount, neurons that rest below zero write +δ
whatever the input. Rotating the stream, or scaling the change, changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
from jaxtyping import Float32, Float64

from analysis.estimates.evaluation import Measured, missing, with_number
from analysis.estimates.intervals import TAIL, Estimate
from analysis.estimates.mean_offset import MeanOffset
from analysis.estimates.nulls import Band, random_cosine
from analysis.measurement import Measurement
from analysis.status import Status

DEFINITION = (
    "v3: squared top singular value of aligned - base value vectors [neurons, d] over their "
    "squared norm; _constancy: squared cosine of the neurons' coefficients with a constant; "
    "_cosine: of the top direction, turned so that the mean coefficient is above 0, with minus "
    "mean δ, for the last MLP that has written to the stream there, the mean's length over pairs "
    "of rows of different prompt groups, delete-group jackknife, that length fixed or found "
    "again, the bias taken off and not; bands: random matrices of the same shape, random directions"
)
REPORTS = (
    "down_projection_rank1",
    "down_projection_rank1_constancy",
    "down_projection_rank1_cosine",
)
NEEDS_OFFSETS = True
HEADLINES = {"down_projection_rank1": 210}
AXIS_LABEL = "share of the down projection's change in one direction (0 to 1)"
RANGES = dict.fromkeys(REPORTS[:2], (0.0, 1.0)) | {REPORTS[2]: (-1.0, 1.0)}
NUM_MATRICES = 200
"""Random matrices for the band of the share."""
_STILL = Status.BELOW_NOISE_FLOOR, "the down projection did not change"


@dataclass(frozen=True, kw_only=True, eq=False)
class TopDirection:
    """The top singular direction of one down projection's change."""

    share: float
    """Of the squared norm."""
    constancy: float
    """Squared cosine between the coefficients of the neurons and a constant."""
    direction: Float64[np.ndarray, " d"]
    """In the stream, of length 1; the mean coefficient along it is not below 0."""
    shape: tuple[int, int]
    """Neurons and d."""


def top_direction(change: Float32[np.ndarray, "neurons d"]) -> TopDirection | None:
    """Find the top direction of aligned minus base value vectors; None where nothing changed."""
    from scipy.sparse.linalg import svds

    scale = float(np.abs(change).max(initial=0.0))
    if not scale > 0:
        return None
    scaled = change / scale  # changes are small: their squares must not vanish in float32
    start = np.random.default_rng(7).standard_normal(min(scaled.shape))
    _, _, right = svds(scaled, k=1, v0=start.astype(scaled.dtype))
    direction = right[0].astype(np.float64)
    direction /= np.linalg.norm(direction)
    coefficients = scaled.astype(np.float64) @ direction
    square = float(coefficients @ coefficients)
    total = float(coefficients.sum())
    return TopDirection(
        share=square / _square(scaled),
        constancy=total**2 / (square * len(coefficients)),
        direction=direction if total >= 0 else -direction,
        shape=change.shape,
    )


def values_of_weights(top: TopDirection | None) -> list[Measurement]:
    """Measure share and constancy, which need no activations."""
    if top is None:
        return [_absent(name, *_STILL) for name in REPORTS[:2]]
    neurons, dimension = top.shape
    null = random_share(neurons, dimension)
    even = random_constancy(neurons)
    values = (top.share, null), (top.constancy, even)
    return [
        with_number(
            Measurement(metric=name, definition=DEFINITION),
            Measured(estimate=Estimate(value=value), num_rows=neurons, groups=None, null=band),
        )
        for name, (value, band) in zip(REPORTS[:2], values, strict=True)
    ]


def value_at(top: TopDirection | None, offset: MeanOffset) -> Measurement:
    """Measure the cosine of the top direction with minus mean δ at one place."""
    fault = _STILL if top is None else offset.problem
    if fault is not None or top is None:
        return _absent(REPORTS[2], *(fault or _STILL))
    result = Measured(
        estimate=offset.cosine(-top.direction),
        num_rows=offset.num_rows,
        groups=offset.numbers,
        null=random_cosine(len(top.direction)),
    )
    return with_number(Measurement(metric=REPORTS[2], definition=DEFINITION), result)


def unmeasured(status: Status, reason: str) -> Sequence[Measurement]:
    """Return the value that needs activations, missing for one reason."""
    return [_absent(REPORTS[2], status, reason)]


def _absent(name: str, status: Status, reason: str) -> Measurement:
    return missing(Measurement(metric=name, definition=DEFINITION), reason, status)


@cache
def random_share(neurons: int, dimension: int) -> Band:
    """Draw the band of the top direction's share in normal matrices of this shape.

    Drawn exactly from their bidiagonal form, whose entries are independent chi variables: Dumitriu
    and Edelman 2002, *Matrix models for beta ensembles*, section III.
    """
    from scipy.linalg import eigvalsh_tridiagonal

    wide, narrow = max(neurons, dimension), min(neurons, dimension)
    if narrow < 2:
        return Band(low=1.0, high=1.0)
    draw = np.random.default_rng(11)
    shares = []
    for _ in range(NUM_MATRICES):
        main = draw.chisquare(wide - np.arange(narrow))
        side = draw.chisquare(narrow - 1 - np.arange(narrow - 1))
        diagonal = main + np.concatenate([[0.0], side])
        beside = np.sqrt(main[:-1] * side)
        last = (narrow - 1, narrow - 1)
        top = eigvalsh_tridiagonal(diagonal, beside, select="i", select_range=last)[0]
        shares.append(float(top / diagonal.sum()))
    return Band.of_draws(np.array(shares))


def random_constancy(neurons: int) -> Band:
    """Return the band of a random squared cosine: Beta(1 / 2, (neurons - 1) / 2)."""
    from scipy.special import betaincinv

    low, high = betaincinv(0.5, max(neurons - 1, 1) / 2, np.array([TAIL, 1 - TAIL]))
    return Band(low=float(low), high=float(high))


def _square(matrix: Float32[np.ndarray, "neurons d"]) -> float:
    """Return the squared norm, summed in fp64 row by row: a large matrix is not copied."""
    return float(sum(float(np.square(row, dtype=np.float64).sum()) for row in matrix))

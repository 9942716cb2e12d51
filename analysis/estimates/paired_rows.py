"""Kept rows of two conditions at the same tokens, prompt by prompt."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

from analysis.estimates.evaluation import UnmeasurableError, require_kept
from analysis.estimates.nulls import Band
from analysis.rows.summary import Reservoir, Sample
from analysis.status import Status

NUM_DRAWS = 200
"""Orders in which rows are paired with those of other prompts, for the band of such pairs."""
SAME_TOKEN = 1e-2
"""Most by which the base's rows at one token differ, over their norm: rounding, in 16 bits too."""


@dataclass(frozen=True, kw_only=True, eq=False)
class PairedRows:
    """One row of each prompt of both conditions, at the same token."""

    first: Float64[np.ndarray, "prompts d"]
    """Offsets of the sample."""
    second: Float64[np.ndarray, "prompts d"]
    """Offsets of the other condition."""
    groups: Int64[np.ndarray, " prompts"]
    """Number of each prompt's group."""

    @classmethod
    def of(cls, sample: Sample, other: Sample) -> PairedRows:
        """Pair the kept rows of the prompts that both conditions have.

        Raises:
            UnmeasurableError: no rows are kept, or the base's rows show that the tokens differ.
        """
        pair = require_kept(sample), require_kept(other)
        shared = np.intersect1d(pair[0].prompts, pair[1].prompts)
        first, second = (_at(kept, shared) for kept in pair)
        if first.base is None or second.base is None:
            reason = "no base rows are kept, which would show that both saw the same tokens"
            raise UnmeasurableError(reason, Status.NOT_RUN)
        apart = np.linalg.norm(first.base.astype(np.float64) - second.base, axis=1)
        size = np.linalg.norm(first.base.astype(np.float64), axis=1)
        if not len(shared) or (apart > SAME_TOKEN * size).any():
            raise UnmeasurableError("the two conditions are not of the same tokens of one base")
        return cls(
            first=first.rows.astype(np.float64),
            second=second.rows.astype(np.float64),
            groups=first.groups,
        )

    def centred(self) -> PairedRows:
        """Return the rows minus the mean of all rows outside their group."""
        first, second = (_less_others(rows, self.groups) for rows in (self.first, self.second))
        return PairedRows(first=first, second=second, groups=self.groups)

    def cosines(self) -> Float64[np.ndarray, " prompts"]:
        """Return the cosine of both rows of each prompt; NaN where one of them is zero."""
        return np.asarray(np.einsum("ij,ij->i", _unit(self.first), _unit(self.second)))

    def unpaired(self) -> Band:
        """Return the band of the mean cosine where prompts are paired at random."""
        draw = np.random.default_rng(5)
        inner = _unit(self.first) @ _unit(self.second).T
        orders = (draw.permutation(len(inner)) for _ in range(NUM_DRAWS))
        places = np.arange(len(inner))
        # A row that is zero has no cosine; an order may pair all others with such rows.
        drawn = (inner[places, order] for order in orders)
        means = [np.nanmean(cosines) for cosines in drawn if not np.isnan(cosines).all()]
        return Band.of_draws(np.array(means))


def _at(kept: Reservoir, prompts: Int64[np.ndarray, " prompts"]) -> Reservoir:
    """Return the rows of some prompts, ascending; `kept` has one row of each, in that order."""
    chosen = np.isin(kept.prompts, prompts)
    return Reservoir(
        rows=kept.rows[chosen],
        prompts=kept.prompts[chosen],
        groups=kept.groups[chosen],
        base=None if kept.base is None else kept.base[chosen],
    )


def _less_others(
    rows: Float64[np.ndarray, "prompts d"], groups: Int64[np.ndarray, " prompts"]
) -> Float64[np.ndarray, "prompts d"]:
    numbers, owners = np.unique(groups, return_inverse=True)
    sums, counts = np.zeros((len(numbers), rows.shape[1])), np.bincount(owners)
    np.add.at(sums, owners, rows)
    others = np.maximum(len(rows) - counts, 1)[:, None]
    return np.asarray(rows - ((sums.sum(axis=0) - sums) / others)[owners])


def _unit(rows: Float64[np.ndarray, "prompts d"]) -> Float64[np.ndarray, "prompts d"]:
    lengths = np.linalg.norm(rows, axis=1, keepdims=True)
    nothing = np.full(rows.shape, np.nan)
    return np.asarray(np.divide(rows, lengths, out=nothing, where=lengths > 0))

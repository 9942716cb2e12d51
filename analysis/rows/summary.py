"""What is kept of the rows of one sample: a summary per prompt group and a few rows themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, reduce

import numpy as np
from jaxtyping import Float, Float32, Float64, Int, Int64

from analysis.rows.base_rows import BaseRows
from analysis.rows.directions import DirectionSums
from analysis.rows.histogram import Histogram
from analysis.rows.moments import Moments
from analysis.rows.neurons import NeuronSums
from analysis.rows.spectra import Spectra

FLOAT32_ERROR = 2**-21
"""Bound on the relative error of an activation that a model computes in float32.

One rounding to float32 is at most 2^-24 of the number; an activation is the end of a chain of sums
that were each rounded. Measured: where every true offset is the same planted bias, the offsets of
models of three layers differ from their mean by 0.1 to 0.4 of this bound.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupSummary:
    """Mergeable summary of the rows of one prompt group at one site, layer and position."""

    num_rows: int
    """Number of finite rows."""
    num_prompts: int
    """Number of prompts that the finite rows come from."""
    num_nonfinite: int
    """Number of rows with a value or norm that is not finite; counted only here."""
    norms: Histogram
    """Norms of the rows."""
    relative_norms: Histogram
    """Norms over the base row's norm; rows whose base row is zero are absent."""
    directions: DirectionSums
    """Sums of unit rows."""
    moments: Moments | None
    """Count, mean and scatter; None where the position policy keeps none."""
    neurons: NeuronSums | None = None
    """Sums of both models' activations; None at sites whose coordinates are no neurons."""

    @classmethod
    def from_rows(
        cls,
        rows: Float[np.ndarray, "rows d"],
        base_norms: Float[np.ndarray, " rows"],
        prompts: Int[np.ndarray, " rows"],
        moments: bool,
    ) -> GroupSummary:
        """Summarise rows.

        Args:
            rows: offsets, aligned minus base.
            base_norms: norm of the base model's row at each token.
            prompts: number of each row's prompt; all rows of a prompt belong in one summary.
            moments: whether to keep count, mean and scatter.

        Returns:
            The summary, without sums of neurons.
        """
        exact = rows.astype(np.float64)
        norms = np.sqrt(np.einsum("ij,ij->i", exact, exact))
        finite = np.isfinite(norms) & np.isfinite(base_norms)
        num_nonfinite = int(len(rows) - finite.sum())
        if num_nonfinite:
            exact, norms = exact[finite], norms[finite]
            base_norms, prompts = base_norms[finite], prompts[finite]
        based = base_norms > 0
        return cls(
            num_rows=len(exact),
            num_prompts=len(np.unique(prompts)),
            num_nonfinite=num_nonfinite,
            norms=Histogram.from_values(norms),
            relative_norms=Histogram.from_values(norms[based] / base_norms[based]),
            directions=DirectionSums.from_rows(exact, prompts),
            moments=Moments.from_rows(exact) if moments else None,
        )

    @classmethod
    def merge_all(cls, parts: Sequence[GroupSummary]) -> GroupSummary:
        """Summarise the rows of all parts (at least one); no prompt may be in two."""
        moments = [part.moments for part in parts if part.moments is not None]
        neurons = [part.neurons for part in parts if part.neurons is not None]
        assert len(moments) in (0, len(parts)), "some parts have moments and some have none"
        return cls(
            num_rows=sum(part.num_rows for part in parts),
            num_prompts=sum(part.num_prompts for part in parts),
            num_nonfinite=sum(part.num_nonfinite for part in parts),
            norms=reduce(Histogram.merge, (part.norms for part in parts)),
            relative_norms=reduce(Histogram.merge, (part.relative_norms for part in parts)),
            directions=reduce(DirectionSums.merge, (part.directions for part in parts)),
            moments=Moments.merge_all(moments) if moments else None,
            neurons=reduce(NeuronSums.merge, neurons) if len(neurons) == len(parts) else None,
        )

    def to_arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Return arrays for a safetensors file, each name starting with `prefix`."""
        counts = np.array([self.num_rows, self.num_prompts, self.num_nonfinite], dtype=np.int64)
        arrays = {
            f"{prefix}counts": counts,
            **self.norms.to_arrays(f"{prefix}norms."),
            **self.relative_norms.to_arrays(f"{prefix}relative_norms."),
            **self.directions.to_arrays(f"{prefix}directions."),
        }
        if self.moments:
            arrays |= self.moments.to_arrays(f"{prefix}moments.")
        if self.neurons:
            arrays |= self.neurons.to_arrays(f"{prefix}neurons.")
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> GroupSummary:
        """Read what `to_arrays` returned; `arrays` may hold more than this summary."""
        num_rows, num_prompts, num_nonfinite = (int(n) for n in arrays[f"{prefix}counts"])
        moments, neurons = f"{prefix}moments.", f"{prefix}neurons."
        return cls(
            num_rows=num_rows,
            num_prompts=num_prompts,
            num_nonfinite=num_nonfinite,
            norms=Histogram.from_arrays(arrays, f"{prefix}norms."),
            relative_norms=Histogram.from_arrays(arrays, f"{prefix}relative_norms."),
            directions=DirectionSums.from_arrays(arrays, f"{prefix}directions."),
            moments=Moments.from_arrays(arrays, moments) if f"{moments}counts" in arrays else None,
            neurons=NeuronSums.from_arrays(arrays, neurons) if f"{neurons}sums" in arrays else None,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Reservoir:
    """Rows that were kept one by one, a subsample."""

    rows: Float32[np.ndarray, "rows d"]
    """Offsets, aligned minus base."""
    prompts: Int64[np.ndarray, " rows"]
    """Number of each row's prompt."""
    groups: Int64[np.ndarray, " rows"]
    """Number of each row's prompt group."""
    base: Float32[np.ndarray, "rows d"] | None = None
    """The base model's rows at the same tokens: the aligned model's are `base + rows`. For `cka`
    and for null bands from the base activations' covariance; None where they were not kept."""

    def one_per_prompt(self) -> Reservoir:
        """Return the first row of every prompt; these are independent of each other."""
        _, first = np.unique(self.prompts, return_index=True)
        return Reservoir(
            rows=self.rows[first],
            prompts=self.prompts[first],
            groups=self.groups[first],
            base=None if self.base is None else self.base[first],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class ToxicDirections:
    """Directions of the base model that stand for toxicity, in the coordinates of the rows."""

    probe: Float[np.ndarray, " d"]
    """W_toxic, of any length but zero."""
    svd: Float[np.ndarray, "k d"]
    """SVD directions of the toxic value vectors, the strongest first, oriented by the probe."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """The rows at one site, layer, position and condition.

    A metric whose input is missing here reports the status `not_run`, never a guess.
    """

    groups: Mapping[int, GroupSummary]
    """Prompt group -> summary; groups without rows are absent."""
    reservoir: Reservoir | None
    """Some of the rows; None where the position policy keeps none."""
    site: str | None = None
    """Where in a block the rows were read; None where that is not known, and then metrics that
    belong to one site measure the rows all the same."""
    toxic: ToxicDirections | None = None
    """For `toxic_projection`; None at sites whose coordinates are not the residual stream's."""
    toxic_neurons: Int64[np.ndarray, " k"] | None = None
    """Coordinates of the layer's toxic value vectors, the most toxic first, for metrics of toxic
    neurons; None at sites whose coordinates are no neurons."""
    turn: int | None = None
    """Number of the dialogue turn these rows stand at, from 1; None at other positions."""
    floor: float | None = None
    """Median norm of a row of the base against itself; None where it was not measured."""
    first_token: Sample | None = None
    """At `response-k`: the rows at `response-0` of those answers; None at other positions, and
    where not all of them are stored."""
    earlier: Mapping[int, Sample] = field(default_factory=dict)
    """Turn -> the rows of that earlier turn of the same dialogues, for `turn_drift`."""

    @cached_property
    def filled(self) -> tuple[int, ...]:
        """Numbers of the prompt groups with rows, in the order of `groups`."""
        return tuple(number for number, group in self.groups.items() if group.num_rows)

    @cached_property
    def spectra(self) -> Spectra:
        """Spectra of the rows; there must be moments of every group with rows."""
        filled = [group for group in self.groups.values() if group.num_rows]
        moments = [group.moments for group in filled if group.moments is not None]
        assert moments and len(moments) == len(filled), "spectra need moments"
        return Spectra(moments, rounding=self.rounding)

    @cached_property
    def rounding(self) -> Float64[np.ndarray, " d"] | None:
        """Bound on the mean squared error of each coordinate; None without finite base rows.

        An offset is the difference of two activations of the base row's size, each as wrong as
        `FLOAT32_ERROR` says. Offsets that all lie along one direction still vary by this much in
        every other.
        """
        kept = self.reservoir
        if kept is None or kept.base is None or not kept.base.size:
            return None
        squares = np.square(kept.base, dtype=np.float64).mean(axis=0)
        return np.asarray(FLOAT32_ERROR**2 * squares) if np.isfinite(squares).all() else None

    @cached_property
    def base(self) -> BaseRows | None:
        """Kept rows of the base model; None where there are under two, or one is not finite."""
        kept = self.reservoir
        if kept is None or kept.base is None or len(kept.base) < 2:
            return None
        return BaseRows.of(kept.base, kept.groups) if np.isfinite(kept.base).all() else None

    @cached_property
    def total(self) -> GroupSummary:
        """Summary of all groups together; there must be one."""
        assert self.groups, "a sample without groups has no total"
        return GroupSummary.merge_all(list(self.groups.values()))

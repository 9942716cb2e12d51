"""What is kept of the rows of one sample: a summary per prompt group and a few rows themselves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from jaxtyping import Float, Float32, Int, Int64

from analysis.directions import DirectionSums
from analysis.histogram import Histogram
from analysis.moments import Moments
from analysis.neurons import NeuronSums


@dataclass(frozen=True, kw_only=True, eq=False)
class GroupSummary:
    """Mergeable summary of the rows of one prompt group at one site, layer and position policy."""

    num_rows: int
    """Finite rows."""
    num_prompts: int
    """Prompts they come from."""
    num_nonfinite: int
    """Rows with NaN or infinity, in them, their norm or their base norm; counted nowhere else."""
    norms: Histogram
    """Norms of the rows."""
    relative_norms: Histogram
    """Norms divided by the base row's norm; rows whose base row is zero are absent."""
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
        """Summarise rows; a prompt's rows must all be here, in no other summary of the group."""
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

    def merge(self, other: GroupSummary) -> GroupSummary:
        """Summary of the rows of both; no prompt may be in both."""
        assert (self.moments is None) == (other.moments is None), "one has moments, one has none"
        moments = neurons = None
        if self.moments is not None and other.moments is not None:
            moments = self.moments.merge(other.moments)
        if self.neurons is not None and other.neurons is not None:
            neurons = self.neurons.merge(other.neurons)
        return GroupSummary(
            num_rows=self.num_rows + other.num_rows,
            num_prompts=self.num_prompts + other.num_prompts,
            num_nonfinite=self.num_nonfinite + other.num_nonfinite,
            norms=self.norms.merge(other.norms),
            relative_norms=self.relative_norms.merge(other.relative_norms),
            directions=self.directions.merge(other.directions),
            moments=moments,
            neurons=neurons,
        )

    def to_arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Plain arrays for a safetensors file, each name starting with `prefix`."""
        counts = np.array([self.num_rows, self.num_prompts, self.num_nonfinite], dtype=np.int64)
        arrays = {f"{prefix}counts": counts}
        parts = {
            "norms": self.norms.to_arrays(),
            "relative_norms": self.relative_norms.to_arrays(),
            "directions": self.directions.to_arrays(),
            "moments": self.moments.to_arrays() if self.moments else {},
            "neurons": self.neurons.to_arrays() if self.neurons else {},
        }
        for part, members in parts.items():
            arrays |= {f"{prefix}{part}.{name}": array for name, array in members.items()}
        return arrays

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> GroupSummary:
        """The inverse of `to_arrays`; `arrays` may hold more than this summary."""
        num_rows, num_prompts, num_nonfinite = (int(n) for n in arrays[f"{prefix}counts"])

        def members(part: str, *names: str) -> dict[str, np.ndarray]:
            return {name: arrays[f"{prefix}{part}.{name}"] for name in names}

        has_moments = f"{prefix}moments.counts" in arrays
        has_neurons = f"{prefix}neurons.sums" in arrays
        bins = ("columns", "counts", "range")
        sums = ("counts", "unit_sum", "prompt_square")
        moments = ("counts", "mean", "scatter")
        neurons = ("num_rows", "sums")
        return cls(
            num_rows=num_rows,
            num_prompts=num_prompts,
            num_nonfinite=num_nonfinite,
            norms=Histogram.from_arrays(members("norms", *bins)),
            relative_norms=Histogram.from_arrays(members("relative_norms", *bins)),
            directions=DirectionSums.from_arrays(members("directions", *sums)),
            moments=Moments.from_arrays(members("moments", *moments)) if has_moments else None,
            neurons=NeuronSums.from_arrays(members("neurons", *neurons)) if has_neurons else None,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Reservoir:
    """A subsample of rows, kept as they are."""

    rows: Float32[np.ndarray, "rows d"]
    """The rows."""
    prompts: Int64[np.ndarray, " rows"]
    """The prompt each belongs to."""
    groups: Int64[np.ndarray, " rows"]
    """The prompt group each belongs to."""

    @classmethod
    def concatenate(cls, parts: Sequence[Reservoir]) -> Reservoir:
        """The rows of all parts (at least one), in the order given."""
        return cls(
            rows=np.concatenate([part.rows for part in parts]),
            prompts=np.concatenate([part.prompts for part in parts]),
            groups=np.concatenate([part.groups for part in parts]),
        )

    def merge(self, other: Reservoir) -> Reservoir:
        """The rows of this one, then of the other."""
        return Reservoir.concatenate([self, other])

    def to_arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Plain arrays for a safetensors file, each name starting with `prefix`."""
        return {
            f"{prefix}rows": self.rows,
            f"{prefix}prompts": self.prompts,
            f"{prefix}groups": self.groups,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> Reservoir:
        """The inverse of `to_arrays`."""
        return cls(
            rows=arrays[f"{prefix}rows"],
            prompts=arrays[f"{prefix}prompts"],
            groups=arrays[f"{prefix}groups"],
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class Sample:
    """All that is known of the rows at one site, layer, position policy and condition."""

    groups: Mapping[int, GroupSummary]
    """Prompt group -> summary; groups without rows are absent."""
    reservoir: Reservoir | None
    """Some of the rows; None where the position policy keeps none."""

    @cached_property
    def total(self) -> GroupSummary:
        """All groups merged; there must be one."""
        assert self.groups, "a sample without groups has no total"
        return reduce(GroupSummary.merge, self.groups.values())

    def leave_out(self, group: int) -> GroupSummary:
        """All groups but one merged; there must be another."""
        rest = [summary for number, summary in self.groups.items() if number != group]
        assert rest, "leaving out the only group leaves nothing"
        return reduce(GroupSummary.merge, rest)

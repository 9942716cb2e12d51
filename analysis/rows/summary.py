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

RESOLUTION = 2**-21
"""Of activations in float32: four times the 2^-23 that a last bit is worth, because sums before it
rounded too: a planted bias left 0.1 to 0.4 of it about its mean in models of three layers."""


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
        return GroupSummary.merge_all([self, other])

    @classmethod
    def merge_all(cls, parts: Sequence[GroupSummary]) -> GroupSummary:
        """Summary of the rows of all parts (at least one); no prompt may be in two."""
        moments = [part.moments for part in parts if part.moments is not None]
        neurons = [part.neurons for part in parts if part.neurons is not None]
        assert len(moments) in (0, len(parts)), "one has moments, one has none"
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
    base: Float32[np.ndarray, "rows d"] | None = None
    """The base model's rows at the same tokens: the aligned model's are `base + rows`. For `cka`
    and for null bands from the base activations' covariance; None where they were not kept."""

    @classmethod
    def concatenate(cls, parts: Sequence[Reservoir]) -> Reservoir:
        """The rows of all parts (at least one), in the order given; base rows if all have them."""
        base = [part.base for part in parts if part.base is not None]
        return cls(
            rows=np.concatenate([part.rows for part in parts]),
            prompts=np.concatenate([part.prompts for part in parts]),
            groups=np.concatenate([part.groups for part in parts]),
            base=np.concatenate(base) if len(base) == len(parts) else None,
        )

    def one_per_prompt(self) -> Reservoir:
        """The first kept row of every prompt: these are independent, rows of one prompt are not."""
        _, first = np.unique(self.prompts, return_index=True)
        return Reservoir(
            rows=self.rows[first],
            prompts=self.prompts[first],
            groups=self.groups[first],
            base=None if self.base is None else self.base[first],
        )

    def merge(self, other: Reservoir) -> Reservoir:
        """The rows of this one, then of the other."""
        return Reservoir.concatenate([self, other])

    def to_arrays(self, prefix: str) -> dict[str, np.ndarray]:
        """Plain arrays for a safetensors file, each name starting with `prefix`."""
        arrays = {
            f"{prefix}rows": self.rows,
            f"{prefix}prompts": self.prompts,
            f"{prefix}groups": self.groups,
        }
        return arrays if self.base is None else arrays | {f"{prefix}base": self.base}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray], prefix: str) -> Reservoir:
        """The inverse of `to_arrays`."""
        return cls(
            rows=arrays[f"{prefix}rows"],
            prompts=arrays[f"{prefix}prompts"],
            groups=arrays[f"{prefix}groups"],
            base=arrays.get(f"{prefix}base"),
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
    """All that is known of the rows at one site, layer, position policy and condition.

    What a metric needs and is not here gives `not_run` with the reason, never a guess.
    """

    groups: Mapping[int, GroupSummary]
    """Prompt group -> summary; groups without rows are absent."""
    reservoir: Reservoir | None
    """Some of the rows; None where the position policy keeps none."""
    site: str | None = None
    """Where in a block the rows were read, for metrics that are of one site alone; None where that
    is not known, and then they take the rows to be theirs."""
    toxic: ToxicDirections | None = None
    """For `toxic_projection`; None at sites whose coordinates are not the residual stream's."""
    toxic_neurons: Int64[np.ndarray, " k"] | None = None
    """Coordinates of the layer's toxic value vectors, the most toxic first, for metrics of toxic
    neurons; None at sites whose coordinates are no neurons."""
    turn: int | None = None
    """Number of the dialogue turn these rows stand at, from 1; None at other positions."""
    floor: float | None = None
    """Median norm of a row of the base against itself; None where it was not measured."""
    earlier: Mapping[int, Sample] = field(default_factory=dict)
    """Turn -> the rows of that earlier turn of the same dialogues, for `turn_drift`."""

    @cached_property
    def spectra(self) -> Spectra:
        """What spectral metrics share; there must be moments of every group with rows."""
        found = [group.moments for group in self.groups.values() if group.num_rows]
        kept = [moments for moments in found if moments is not None]
        assert kept and len(kept) == len(found), "spectra need moments"
        return Spectra(kept, rounding=self.rounding)

    @cached_property
    def rounding(self) -> Float64[np.ndarray, " d"] | None:
        """Mean square of what float32 leaves of each coordinate of a row; None without base rows.

        A row is the difference of two numbers of the base row's size, each the end of a chain of
        sums. Offsets that are all one direction keep so much of every other.
        """
        kept = self.reservoir
        if kept is None or kept.base is None or not kept.base.size:
            return None
        squares = np.square(kept.base, dtype=np.float64).mean(axis=0)
        return np.asarray(RESOLUTION**2 * squares) if np.isfinite(squares).all() else None

    @cached_property
    def base(self) -> BaseRows | None:
        """The kept rows of the base model, None where there are none or not finite ones."""
        kept = self.reservoir
        if kept is None or kept.base is None or len(kept.base) < 2:
            return None
        return BaseRows.of(kept.base, kept.groups) if np.isfinite(kept.base).all() else None

    @cached_property
    def total(self) -> GroupSummary:
        """All groups merged; there must be one."""
        assert self.groups, "a sample without groups has no total"
        return GroupSummary.merge_all(list(self.groups.values()))

    def leave_out(self, group: int) -> GroupSummary:
        """All groups but one merged; there must be another."""
        rest = [summary for number, summary in self.groups.items() if number != group]
        assert rest, "leaving out the only group leaves nothing"
        return GroupSummary.merge_all(rest)

"""From two checkpoints and an extraction of them to rows of measurements, layer by layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from jaxtyping import Float32

from analysis.estimates.mean_offset import MeanOffset
from analysis.long_table.depth import depth_of
from analysis.long_table.files import to_parquet
from analysis.measurement import Measurement
from analysis.status import Status
from analysis.weight_metrics import down_projection_rank1 as rank1
from analysis.weight_metrics import value_vector_shift as shift
from analysis.weight_metrics import weight_drift as drift
from cluster.errors import UserError
from jobs.artifacts.artifact import Artifact
from jobs.extraction.paired_inputs import require_common_model
from jobs.store.activation_store import ActivationStore
from jobs.store.checkpoint import Checkpoint
from jobs.weights import full_tables
from jobs.weights.mean_offsets import STREAM, StreamPlace, find_stream_places
from jobs.worker.measured_rows import write_measurements
from jobs.worker.work import Work

_NO_EXTRACTION = "no extraction of this pair was given: mean δ is not known"

VECTOR_METRICS = {"value_vector_shift", "down_projection_rank1"}
"""Metrics of the value vectors, which are read layer by layer."""

Row = dict[str, Any]


def measure(work: Work) -> dict[str, Any]:
    """Measure and write the rows and the full tables; returns counts of rows by status."""
    survey = Survey(work)
    num_layers = survey.model["num_layers"]
    rows = [
        each if each.layer is None else replace(each, depth=depth_of(each.layer, num_layers))
        for each in survey.rows()
    ]
    (work.folder / full_tables.SHIFTS).write_bytes(to_parquet(full_tables.of_shifts(survey.lines)))
    (work.folder / full_tables.DRIFTS).write_bytes(to_parquet(full_tables.of_drifts(survey.drifts)))
    _mirror(work, rows)
    return {"rows": write_measurements(work.folder, rows, survey.model)}


class Survey:
    """Walks over the layers once, from the first: value vectors are held of one layer at a time."""

    def __init__(self, work: Work) -> None:
        base, aligned = work.input("base"), work.input("aligned")
        self.model = require_common_model(base, aligned)
        self.lines: list[Row] = []
        """A line per place and layer of value vectors: the full table of `value_vector_shift`."""
        self.drifts: list[drift.TensorDrift] = []
        """A line per tensor: the full table of `weight_drift`."""
        self._work = work
        self._base, self._aligned = (
            Checkpoint(each.directory("model"), each.folder) for each in (base, aligned)
        )
        self._places = self._found(work)
        self._shifts = {
            place: shift.Shift(offset=place.offset)
            for place in self._places
            if isinstance(place.offset, MeanOffset)
        }

    def _found(self, work: Work) -> list[StreamPlace]:
        if not work.has("delta"):
            return []
        delta = work.input("delta")
        for name in ("base", "aligned"):
            _require_same(delta, work.input(name), name)
        return list(find_stream_places(ActivationStore(delta)))

    def rows(self) -> Iterator[Measurement]:
        """All rows of the chosen metrics: of each place, of each layer, of the model."""
        chosen = set(self._work.params.metrics)
        if not self._places:
            yield from self._absent(chosen)
        if chosen & VECTOR_METRICS:
            yield from self._of_vectors(chosen)
        if "weight_drift" in chosen:
            yield from self._of_tensors()

    def _of_vectors(self, chosen: set[str]) -> Iterator[Measurement]:
        """What value vectors say."""
        yield from self._of_places(-1, None, chosen)
        for layer in range(self.model["num_layers"]):
            self._work.progress(layer / self.model["num_layers"], f"layer {layer}")
            change = self._change(layer)
            if "value_vector_shift" in chosen:
                self._shift(layer, change)
            top = None
            if "down_projection_rank1" in chosen:
                top = rank1.top_direction(change)
                yield from (replace(value, layer=layer) for value in rank1.values_of_weights(top))
            yield from self._of_places(layer, top, chosen)

    def _of_tensors(self) -> Iterator[Measurement]:
        """What the weights of each block, and all of them, say."""
        self._work.progress(None, "comparing weights")
        names = self._common()
        for layer in range(self.model["num_layers"]):
            block = [name for name in self._base.block(layer) if name in names]
            yield from _drift_rows(self._drifts_of(block), layer)
        seen = {each.name for each in self.drifts}
        self._drifts_of([name for name in sorted(names) if name not in seen])
        yield from _drift_rows(self.drifts, None)

    def _common(self) -> set[str]:
        """Names of weights that both have in one shape; a larger embedding is left out."""
        both = set(self._base.names) & set(self._aligned.names)
        return {n for n in both if self._base.tensor(n).shape == self._aligned.tensor(n).shape}

    def _change(self, layer: int) -> Float32[np.ndarray, "neurons d"]:
        """Aligned minus base value vectors."""
        before, after = (each.value_vectors(layer) for each in (self._base, self._aligned))
        if before.shape != after.shape:
            raise UserError(f"the MLPs of layer {layer} differ in shape", where="base and aligned")
        after -= before
        if not np.isfinite(after).all():
            raise UserError(f"value vectors of layer {layer} hold NaN or infinity", where="weights")
        return after

    def _shift(self, layer: int, change: Float32[np.ndarray, "neurons d"]) -> None:
        """Take one layer's value vectors into every place above it."""
        above = [place for place in self._shifts if place.nearest >= layer]
        moved = shift.Moved.of(change) if above else None
        for place in above:
            assert moved is not None
            own = {"site": place.site, "layer": place.layer, "position": place.position}
            line = self._shifts[place].add(layer, moved)
            self.lines.append({**own, "value_layer": layer, **line})

    def _of_places(
        self, layer: int, top: rank1.TopDirection | None, chosen: set[str]
    ) -> Iterator[Measurement]:
        """Rows of the places whose last MLP is this layer's."""
        for place in (each for each in self._places if each.nearest == layer):
            for value in (*self._shifted(place, chosen), *self._ranked(place, top, chosen)):
                yield replace(value, site=place.site, layer=place.layer, position=place.position)

    def _shifted(self, place: StreamPlace, chosen: set[str]) -> Sequence[Measurement]:
        if "value_vector_shift" not in chosen:
            return []
        if not isinstance(place.offset, MeanOffset):
            return shift.unmeasured(*place.offset)
        return self._shifts[place].values(place.nearest)

    def _ranked(
        self, place: StreamPlace, top: rank1.TopDirection | None, chosen: set[str]
    ) -> Sequence[Measurement]:
        if "down_projection_rank1" not in chosen:
            return []
        if not isinstance(place.offset, MeanOffset):
            return rank1.unmeasured(*place.offset)
        if place.nearest < 0:
            return rank1.unmeasured(Status.UNDEFINED, "no MLP has written to the stream there")
        return [rank1.value_at(top, place.offset)]

    def _absent(self, chosen: set[str]) -> Iterator[Measurement]:
        """What needs mean δ, where there is none."""
        kept_none = f"the extraction kept none of {', '.join(STREAM)}"
        reason = kept_none if self._work.has("delta") else _NO_EXTRACTION
        for name, metric in (("value_vector_shift", shift), ("down_projection_rank1", rank1)):
            if name in chosen:
                yield from metric.unmeasured(Status.NOT_RUN, reason)

    def _drifts_of(self, names: Sequence[str]) -> list[drift.TensorDrift]:
        found = [
            drift.TensorDrift.of(
                name,
                self._base.tensor(name),
                self._aligned.tensor(name),
                self._aligned.dtype(name),
            )
            for name in names
        ]
        self.drifts += found
        return found


def _require_same(delta: Artifact, model: Artifact, name: str) -> None:
    """The extraction must be of these very models."""
    if model.key not in delta.record.inputs:
        raise UserError(
            f"the extraction is not of this {name} model",
            where=delta.folder,
            hint=f"give `weights` and its `delta` the same {name}",
        )


def _drift_rows(tensors: Sequence[drift.TensorDrift], layer: int | None) -> Iterator[Measurement]:
    """Rows of one block, or of the whole model; the norm stands beside its floor."""
    norm, least = drift.measure(tensors, whole=layer is None)
    floor = None if norm.value is None else drift.rounding_floor(tensors)
    yield replace(norm, layer=layer, floor=floor)
    yield replace(least, layer=layer)


def _mirror(work: Work, measurements: Sequence[Measurement]) -> None:
    """Log one point of each curve per layer."""
    by_layer: dict[int, dict[str, float]] = {}
    for each in measurements:
        if each.layer is not None:
            values = by_layer.setdefault(each.layer, {})
            if each.value is not None:
                values[_curve(each)] = each.value
    for layer, values in sorted(by_layer.items()):
        work.tracker.log(values, axis="layer", step=layer)


def _curve(measured: Measurement) -> str:
    place = f"{measured.site} {measured.position}" if measured.site else "weights"
    return f"{measured.metric}/{place}"

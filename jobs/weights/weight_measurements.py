"""Measurements of the weights of two checkpoints, and of an extraction of them, layer by layer."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import cast

import numpy as np
from jaxtyping import Float32

from analysis.estimates.mean_offset import MeanOffset
from analysis.long_table.depth import depth_of
from analysis.long_table.files import to_parquet
from analysis.measurement import Measurement
from analysis.status import Status
from analysis.weight_metric import WEIGHT_METRICS, TensorMetric, TensorPair, WeightMetric
from analysis.weight_metrics import down_projection_rank1 as rank1
from analysis.weight_metrics import value_vector_shift as shift
from analysis.weight_metrics import weight_drift as drift
from cluster.errors import UserError
from jobs.artifacts.artifact import Artifact
from jobs.extraction.paired_inputs import require_common_model
from jobs.models.family import STREAM_SITES
from jobs.models.opened_model import model_folder
from jobs.store.activation_store import ActivationStore
from jobs.store.checkpoint import Checkpoint
from jobs.weights import full_tables
from jobs.weights.mean_offsets import StreamPlace, find_stream_places
from jobs.worker.measured_rows import log_curves, write_measurements
from jobs.worker.work import Work

_NO_EXTRACTION = "no extraction of this pair was given: mean δ is not known"

VECTOR_METRICS = {"value_vector_shift", "down_projection_rank1"}
"""Metrics of the value vectors, which are read layer by layer."""


def measure(work: Work) -> dict[str, object]:
    """Measure two checkpoints, write results and full tables; return counts by status."""
    survey = WeightSurvey(work)
    num_layers = survey.model["num_layers"]
    measurements = [
        m if m.layer is None else replace(m, depth=depth_of(m.layer, num_layers))
        for m in survey.measurements()
    ]
    shifts = full_tables.tabulate_shifts(survey.shift_lines)
    drifts = full_tables.tabulate_drifts(survey.drifts)
    (work.folder / full_tables.SHIFTS).write_bytes(to_parquet(shifts))
    (work.folder / full_tables.DRIFTS).write_bytes(to_parquet(drifts))
    log_curves(work.tracker, measurements, _point_of)
    return {"rows": write_measurements(work.folder, measurements, survey.model)}


class WeightSurvey:
    """Walks over the layers once, from the first, with the value vectors of one in memory."""

    def __init__(self, work: Work) -> None:
        base, aligned = work.input("base"), work.input("aligned")
        self.model = require_common_model(base, aligned)
        """Facts of the base model."""
        self.shift_lines: list[dict[str, object]] = []
        """The full table of `value_vector_shift`: a line per place and layer of value vectors."""
        self.drifts: list[drift.TensorDrift] = []
        """The full table of `weight_drift`: an entry per tensor."""
        self._work = work
        self._base, self._aligned = (
            Checkpoint(model_folder(model), model.folder) for model in (base, aligned)
        )
        self._places = self._find_places(work)
        self._shifts = {
            place: shift.Shift(offset=place.offset)
            for place in self._places
            if isinstance(place.offset, MeanOffset)
        }

    def _find_places(self, work: Work) -> list[StreamPlace]:
        if not work.has("delta"):
            return []
        delta = work.input("delta")
        for name in ("base", "aligned"):
            _require_same_model(delta, work.input(name), name)
        return list(find_stream_places(ActivationStore(delta)))

    def measurements(self) -> Iterator[Measurement]:
        """Yield the chosen metrics of every place, every layer, and the model."""
        chosen = set(self._work.params.metrics)
        if not self._places:
            yield from self._without_offset(chosen)
        if chosen & VECTOR_METRICS:
            yield from self._of_vectors(chosen)
        if "weight_drift" in chosen:
            yield from self._of_tensors()
        for name in sorted(chosen - VECTOR_METRICS - {"weight_drift"}):
            yield from self._of_pairs(WEIGHT_METRICS.find(name))

    def _of_vectors(self, chosen: set[str]) -> Iterator[Measurement]:
        """Yield the metrics of value vectors."""
        yield from self._of_places(-1, None, chosen)
        for layer in range(self.model["num_layers"]):
            self._work.progress(layer / self.model["num_layers"], f"layer {layer}")
            change = self._value_vector_change(layer)
            if "value_vector_shift" in chosen:
                self._add_shift(layer, change)
            top = None
            if "down_projection_rank1" in chosen:
                top = rank1.top_direction(change)
                yield from (replace(value, layer=layer) for value in rank1.values_of_weights(top))
            yield from self._of_places(layer, top, chosen)

    def _of_tensors(self) -> Iterator[Measurement]:
        """Yield the weight drift of each block, then of the whole model."""
        self._work.progress(None, "comparing weights")
        names = self._common_names()
        for layer in range(self.model["num_layers"]):
            block = [name for name in self._base.block(layer) if name in names]
            yield from _measure_drifts(self._add_drifts(block), layer)
        in_blocks = {tensor.name for tensor in self.drifts}
        self._add_drifts([name for name in sorted(names) if name not in in_blocks])
        yield from _measure_drifts(self.drifts, None)

    def _of_pairs(self, metric: WeightMetric) -> Iterator[Measurement]:
        """Yield what a metric of pairs of tensors says of each block, then of the whole model."""
        measure = cast(TensorMetric, metric).measure
        names = self._common_names()
        for layer in range(self.model["num_layers"]):
            self._work.progress(layer / self.model["num_layers"], f"layer {layer}")
            block = [name for name in self._base.block(layer) if name in names]
            of_block = measure(self._pairs(block), whole=False)
            yield from (replace(value, layer=layer) for value in of_block)
        yield from measure(self._pairs(sorted(names)), whole=True)

    def _pairs(self, names: Iterable[str]) -> Iterator[TensorPair]:
        for name in names:
            yield TensorPair(
                name=name, base=self._base.tensor(name), aligned=self._aligned.tensor(name)
            )

    def _common_names(self) -> set[str]:
        """Return names of weights that both have in one shape; a larger embedding is left out."""
        both = set(self._base.names) & set(self._aligned.names)
        return {n for n in both if self._base.tensor(n).shape == self._aligned.tensor(n).shape}

    def _value_vector_change(self, layer: int) -> Float32[np.ndarray, "neurons d"]:
        """Return aligned minus base value vectors of one layer."""
        before, after = (model.value_vectors(layer) for model in (self._base, self._aligned))
        if before.shape != after.shape:
            raise UserError(f"the MLPs of layer {layer} differ in shape", where="base and aligned")
        after -= before
        if not np.isfinite(after).all():
            raise UserError(f"value vectors of layer {layer} hold NaN or infinity", where="weights")
        return after

    def _add_shift(self, layer: int, change: Float32[np.ndarray, "neurons d"]) -> None:
        """Add the value vectors of one layer to every place that the layer writes to."""
        reached = [place for place in self._shifts if place.nearest >= layer]
        moved = shift.Moved.of(change) if reached else None
        for place in reached:
            assert moved is not None
            columns = {"site": place.site, "layer": place.layer, "position": place.position}
            line = self._shifts[place].add(layer, moved)
            self.shift_lines.append({**columns, "value_layer": layer, **line})

    def _of_places(
        self, layer: int, top: rank1.TopDirection | None, chosen: set[str]
    ) -> Iterator[Measurement]:
        """Yield the metrics of places where this layer's MLP was the last to write."""
        for place in (place for place in self._places if place.nearest == layer):
            values = (*self._shift_values(place, chosen), *self._rank1_values(place, top, chosen))
            for value in values:
                yield replace(value, site=place.site, layer=place.layer, position=place.position)

    def _shift_values(self, place: StreamPlace, chosen: set[str]) -> Sequence[Measurement]:
        if "value_vector_shift" not in chosen:
            return []
        if not isinstance(place.offset, MeanOffset):
            return shift.unmeasured(*place.offset)
        return self._shifts[place].values(place.nearest)

    def _rank1_values(
        self, place: StreamPlace, top: rank1.TopDirection | None, chosen: set[str]
    ) -> Sequence[Measurement]:
        if "down_projection_rank1" not in chosen:
            return []
        if not isinstance(place.offset, MeanOffset):
            return rank1.unmeasured(*place.offset)
        if place.nearest < 0:
            return rank1.unmeasured(Status.UNDEFINED, "no MLP has written to the stream there")
        return [rank1.value_at(top, place.offset)]

    def _without_offset(self, chosen: set[str]) -> Iterator[Measurement]:
        """Yield the metrics that need mean δ, without a number."""
        no_sites = f"the extraction kept none of {', '.join(STREAM_SITES)}"
        reason = no_sites if self._work.has("delta") else _NO_EXTRACTION
        for name, metric in (("value_vector_shift", shift), ("down_projection_rank1", rank1)):
            if name in chosen:
                yield from metric.unmeasured(Status.NOT_RUN, reason)

    def _add_drifts(self, names: Sequence[str]) -> list[drift.TensorDrift]:
        """Compare tensors and add them to `drifts`; return those just added."""
        drifts = [
            drift.TensorDrift.of(
                name, self._base.tensor(name), self._aligned.tensor(name), self._aligned.dtype(name)
            )
            for name in names
        ]
        self.drifts += drifts
        return drifts


def _require_same_model(delta: Artifact, model: Artifact, name: str) -> None:
    if model.key not in delta.record.inputs:
        raise UserError(
            f"the extraction is not of this {name} model",
            where=delta.folder,
            hint=f"give `weights` and its `delta` the same {name}",
        )


def _measure_drifts(
    tensors: Sequence[drift.TensorDrift], layer: int | None
) -> Iterator[Measurement]:
    """Yield the drift of one block, or of the whole model; the norm with its rounding floor."""
    norm, least = drift.measure(tensors, whole=layer is None)
    floor = None if norm.value is None else drift.rounding_floor(tensors)
    yield replace(norm, layer=layer, floor=floor)
    yield replace(least, layer=layer)


def _point_of(measurement: Measurement) -> tuple[str, float, str] | None:
    """Return the place of a value in a curve over layers; of the whole model it has none."""
    place = f"{measurement.site} {measurement.position}" if measurement.site else "weights"
    layer = measurement.layer
    return None if layer is None else ("layer", layer, f"{measurement.metric}/{place}")

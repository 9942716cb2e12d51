"""Measurements of an activation store: every metric at every place, or why there is no value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.long_table.depth import depth_of
from analysis.measurement import Measurement
from analysis.metric import METRICS, Metric
from analysis.rows.summary import Sample
from analysis.status import Status
from cluster.errors import UserError
from jobs.measuring.figure_tables import FigureTables
from jobs.measuring.over_answer import measure_over_answer
from jobs.measuring.store_samples import StoreSamples
from jobs.probing.directions_file import StoredDirections
from jobs.store.activation_store import ActivationStore
from jobs.tokens.position_policy import answer_token
from jobs.worker.measured_rows import log_curves, write_measurements
from jobs.worker.work import Work

FLOORS = ("offset_norm", "relative_norm")
"""Metrics that have a noise floor of their own; at a place where one is below it, all are noise."""


def measure(work: Work) -> dict[str, object]:
    """Measure a store with all chosen metrics and write the results; return counts by status."""
    artifact = work.input("delta")
    store = ActivationStore(artifact)
    against = ActivationStore(work.input("against")) if work.has("against") else None
    metrics = [METRICS.find(name) for name in work.params.metrics]
    samples, over = StoreSamples(store, _read_toxic(work)), work.params.over_answer
    measuring = _StoreMeasuring(store, samples, against, metrics, over)
    tables = FigureTables()
    model = artifact.facts["model"]
    measurements: list[Measurement] = []
    for number, layer in enumerate(store.layers):
        work.progress(number / len(store.layers), f"layer {layer}")
        depth = depth_of(layer, model["num_layers"])
        of_layer = [
            replace(measurement, layer=layer, depth=depth) for measurement in measuring.layer(layer)
        ]
        _add_figure_tables(tables, store, layer)
        log_curves(work.tracker, of_layer, _point_of)
        measurements += of_layer
    tables.write(work.folder)
    return {"rows": write_measurements(work.folder, measurements, model)}


@dataclass(frozen=True, eq=False)
class _StoreMeasuring:
    """The metrics of one job, applied to one store, and to another condition where given."""

    store: ActivationStore
    samples: StoreSamples
    against: ActivationStore | None
    metrics: Sequence[Metric]
    over_answer: Sequence[str] = ()

    def layer(self, layer: int) -> Iterator[Measurement]:
        """Yield the measurements of one layer, positions without tokens included."""
        store = self.store
        # How many turns are missing is not known, so that there is no label for them.
        absent = [policy for policy in store.absent_positions if policy != "turn"]
        for site in store.sites:
            at_tokens: dict[int, list[Measurement]] = {}
            for label in (*store.positions, *absent):
                floor = store.floor(site, layer, label)
                values = self._values(site, layer, label, floor)
                if (depth := answer_token(label)) is not None:
                    at_tokens[depth] = values
                for value in values:
                    own_floor = (floor or {}).get(value.metric)
                    yield replace(value, site=site, position=label, floor=own_floor)
            if self.over_answer:
                yield from self._over_answer(site, layer, at_tokens)

    def _over_answer(
        self, site: str, layer: int, at_tokens: Mapping[int, Sequence[Measurement]]
    ) -> Iterator[Measurement]:
        """Yield the metrics over an answer, which have no position, at a site and layer."""
        samples, rows = {}, {}
        if site not in self.store.missing:
            samples = {
                depth: self.samples.at(site, layer, f"response-{depth}")
                for depth in at_tokens
                if f"response-{depth}" in self.store.positions
            }
        if 0 in samples:
            rows = {n: group.num_rows for n, group in samples[0].groups.items() if group.num_rows}
        for metric in self.metrics:
            firsts = {
                depth: {value.metric: value for value in metric.measure(sample.first_token, None)}
                for depth, sample in samples.items()
                if metric.OVER_ANSWER and sample.first_token is not None
            }
            for quantity in metric.OVER_ANSWER:
                depths = {
                    depth: (value, firsts[depth][quantity])
                    for depth in firsts
                    for value in at_tokens[depth]
                    if value.metric == quantity
                }
                for measured in measure_over_answer(self.over_answer, quantity, depths, rows):
                    yield replace(measured, site=site)

    def _values(
        self, site: str, layer: int, label: str, floor: Mapping[str, float] | None
    ) -> list[Measurement]:
        """Return the values of all metrics at one place."""
        store, against = self.store, self.against
        if site in store.missing:
            return self._missing(Status.NOT_DEFINED_FOR_FAMILY, store.missing[site])
        if label in store.absent_positions:
            return self._missing(Status.NOT_RUN, f"no prompt has a token at {label}")
        sample = _with_floor(self.samples.at(site, layer, label), floor)
        other = None
        if against and against.has(site, layer, label):
            other_floor = against.floor(site, layer, label)
            other = _with_floor(against.sample(site, layer, label), other_floor)
        values = []
        for metric in self.metrics:
            measured = metric.measure(sample, other)
            if against and other is None and metric.NEEDS_AGAINST:
                reason = f"the other condition has no rows at {site}, layer {layer}, {label}"
                measured = [replace(value, reason=reason) for value in measured]
            values += measured
        return _mark_noise(values, floor) if floor else values

    def _missing(self, status: Status, reason: str) -> list[Measurement]:
        """Return the values that the metrics would have reported, without numbers."""
        empty = Sample(groups={}, reservoir=None)
        return [
            replace(value, value=None, low=None, high=None, status=status, reason=reason)
            for metric in self.metrics
            for value in metric.measure(empty, None)
        ]


def _add_figure_tables(tables: FigureTables, store: ActivationStore, layer: int) -> None:
    for site in store.sites:
        for label in store.positions if site not in store.missing else ():
            tables.add(site, layer, label, store.rows(site, layer, label))


def _read_toxic(work: Work) -> StoredDirections | None:
    """Read the input `toxic`; raise UserError when it is of a model that is not compared."""
    if not work.has("toxic"):
        return None
    toxic, delta = work.input("toxic"), work.input("delta")
    if not set(toxic.record.inputs) & set(delta.record.inputs):
        raise UserError(
            "the toxic directions are of a model that the extraction does not compare",
            where=toxic.folder,
            hint="give `probe-direction` the base of the extraction as its `model`",
        )
    return StoredDirections(toxic)


def _with_floor(sample: Sample, floor: Mapping[str, float] | None) -> Sample:
    return replace(sample, floor=floor["offset_norm"]) if floor else sample


def _mark_noise(values: Sequence[Measurement], floor: Mapping[str, float]) -> list[Measurement]:
    """Give all values the status BELOW_NOISE_FLOOR where a norm does not exceed its floor.

    Numbers stay, for readers who want to see them.
    """
    norms = {value.metric: value.value for value in values if value.value is not None}
    below = [name for name in FLOORS if name in norms and norms[name] <= floor[name]]
    if not below:
        return list(values)
    reason = f"{below[0]} of the base against itself is {floor[below[0]]:.3g}"
    return [
        replace(value, status=Status.BELOW_NOISE_FLOOR, reason=reason)
        if value.value is not None
        else value
        for value in values
    ]


def _point_of(measurement: Measurement) -> tuple[str, float, str]:
    """Return the place of a value in a curve over layers."""
    centring = {None: "", True: " centred", False: " uncentred"}[measurement.centred]
    curve = f"{measurement.metric}{centring}/{measurement.site} {measurement.position}"
    return "layer", measurement.layer or 0, curve

"""From an activation store to rows of measurements, the missing ones with their reasons."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from analysis.long_table.depth import depth_of
from analysis.lookup import load_metric
from analysis.measurement import Measurement
from analysis.rows.summary import Sample
from analysis.status import Status
from cluster.errors import UserError
from jobs.measuring.figure_tables import FigureTables
from jobs.measuring.store_samples import StoreSamples
from jobs.probing.directions_file import StoredDirections
from jobs.store.activation_store import ActivationStore
from jobs.worker.measured_rows import write_measurements
from jobs.worker.work import Work

if TYPE_CHECKING:
    from analysis.metric import Metric

FLOORS = ("offset_norm", "relative_norm")
"""Values that have a noise floor of their own; under it every other value is noise too."""


def measure(work: Work) -> dict[str, Any]:
    """Measure everything asked for and write it; returns counts of rows by status."""
    artifact = work.input("delta")
    store = ActivationStore(artifact)
    uses_against = work.has("against")
    against = ActivationStore(work.input("against")) if uses_against else None
    samples = StoreSamples(store, _toxic(work))
    metrics = {name: load_metric(name) for name in work.params.metrics}
    details = FigureTables()
    model = artifact.facts["model"]
    rows: list[Measurement] = []
    for number, layer in enumerate(store.layers):
        work.progress(number / len(store.layers), f"layer {layer}")
        depth = depth_of(layer, model["num_layers"])
        found = [
            replace(each, layer=layer, depth=depth)
            for each in _at_layer(store, samples, against, metrics, layer)
        ]
        _keep_details(details, store, layer)
        _mirror(work, layer, found)
        rows += found
    details.write(work.folder)
    return {"rows": write_measurements(work.folder, rows, model)}


def _at_layer(
    store: ActivationStore,
    samples: StoreSamples,
    against: ActivationStore | None,
    metrics: Mapping[str, Metric],
    layer: int,
) -> Iterator[Measurement]:
    for site in store.sites:
        for label in (*store.positions, *_named(store.absent_positions)):
            floors = store.floor(site, layer, label) or {}
            for value in _values(store, samples, against, metrics, site, layer, label):
                yield replace(value, site=site, position=label, floor=floors.get(value.metric))


def _keep_details(details: FigureTables, store: ActivationStore, layer: int) -> None:
    """What figures draw of this layer."""
    for site in store.sites:
        for label in store.positions if site not in store.missing else ():
            place = {"site": site, "layer": layer, "position": label}
            details.add(place, store.rows(site, layer, label))


def _toxic(work: Work) -> StoredDirections | None:
    """What a probe found. Raises UserError when it is of another model than the extraction."""
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


def _named(policies: Sequence[str]) -> list[str]:
    """Policies whose label is their own name; how many turns were missed nobody knows."""
    return [policy for policy in policies if policy != "turn"]


def _values(
    store: ActivationStore,
    samples: StoreSamples,
    against: ActivationStore | None,
    metrics: Mapping[str, Metric],
    site: str,
    layer: int,
    label: str,
) -> list[Measurement]:
    """Values of all metrics at one place."""
    if site in store.missing:
        return _absent(metrics, Status.NOT_DEFINED_FOR_FAMILY, store.missing[site])
    if label in store.absent_positions:
        return _absent(metrics, Status.NOT_RUN, f"no prompt has a token at {label}")
    floor = store.floor(site, layer, label)
    sample = _with_floor(samples.at(site, layer, label), floor)
    other = None
    if against and against.has(site, layer, label):
        theirs = against.floor(site, layer, label)
        other = _with_floor(against.sample(site, layer, label), theirs)
    values = []
    for metric in metrics.values():
        found = metric.measure(sample, other)
        if against and other is None and metric.NEEDS_AGAINST:
            reason = f"the other condition has no rows at {site}, layer {layer}, {label}"
            found = [replace(value, reason=reason) for value in found]
        values += found
    return _screened(values, floor) if floor else values


def _with_floor(sample: Sample, floor: Mapping[str, float] | None) -> Sample:
    """The sample beside what the base against itself reads there."""
    return replace(sample, floor=floor["offset_norm"]) if floor else sample


def _absent(metrics: Mapping[str, Metric], status: Status, reason: str) -> list[Measurement]:
    """The values that the metrics would have reported, without numbers."""
    nothing = Sample(groups={}, reservoir=None)
    return [
        replace(value, value=None, low=None, high=None, status=status, reason=reason)
        for metric in metrics.values()
        for value in metric.measure(nothing, None)
    ]


def _screened(values: Sequence[Measurement], floor: Mapping[str, float]) -> list[Measurement]:
    """Mark what the base against itself reads as well; numbers stay, for who wants to see them."""
    norms = {value.metric: value.value for value in values if value.value is not None}
    under = [name for name in FLOORS if name in norms and norms[name] <= floor[name]]
    if not under:
        return list(values)
    reason = f"{under[0]} of the base against itself is {floor[under[0]]:.3g}"
    return [
        replace(value, status=Status.BELOW_NOISE_FLOOR, reason=reason)
        if value.value is not None
        else value
        for value in values
    ]


def _mirror(work: Work, layer: int, measurements: Sequence[Measurement]) -> None:
    """Log one row of geometry per layer."""
    values = {_curve(each): each.value for each in measurements if each.value is not None}
    if values:
        work.tracker.log(values, axis="layer", step=layer)


def _curve(measured: Measurement) -> str:
    centring = {None: "", True: " centred", False: " uncentred"}[measured.centred]
    return f"{measured.metric}{centring}/{measured.site} {measured.position}"

"""What a comparison is made of: upstream jobs, done or not, and their values on the axes."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from analysis.measurement import Scalar, label_of
from analysis.metric import METRICS
from analysis.status import Status
from analysis.weight_metric import WEIGHT_METRICS
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import AxisValues, Cell
from jobs.artifacts.request import readable_request
from jobs.comparing.measuring_kinds import expected_values
from jobs.worker.absence import absence

if TYPE_CHECKING:
    import pyarrow as pa

_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d{1,2})?")
"""A number as a job writes it; Python would also read `1_000` and `nan` as such."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One upstream job of a comparison, done or not."""

    stage: str
    """Its stage."""
    cell: Cell
    """Its cell, which gives the columns of the axes."""
    values: AxisValues = field(default_factory=dict)
    """The typed values behind the cell; where they are not known the columns are text."""
    artifact: Artifact | None
    """The artifact with its measurements; None when there is none."""
    status: str = "ok"
    """Why there are no measurements, as a `Status`."""
    reason: str | None = None
    """The status in words."""
    metrics: Sequence[str] = ()
    """The metrics that it would have measured, used where no job of its stage has measured."""
    model: Mapping[str, Scalar] = field(default_factory=dict)
    """Facts of the checkpoint upstream, where there is no artifact and that one is done."""


def present(source: Source) -> Source:
    """Return a source; where its job had nothing to measure, as one without measurements."""
    if source.artifact is None or (why := absence(source.artifact.facts)) is None:
        return source
    request = readable_request(source.artifact.storage, f"{source.artifact.folder}/job.json")
    return replace(
        source,
        artifact=None,
        status=Status.NOT_RUN,
        reason=why,
        metrics=expected_values(source.artifact.kind, request["params"]) if request else (),
    )


def axis_values(source: Source) -> dict[str, Scalar]:
    """Return axis column -> the value behind the cell, or its label where that is not known."""
    from analysis.long_table.columns import axis_column

    return {
        axis_column(axis): label if axis == "model" else _axis_value(source, axis)
        for axis, label in source.cell.items()
    }


def _axis_value(source: Source, axis: str) -> Scalar:
    """Return the value of a source on an axis; its label, where the value does not keep that."""
    label = source.cell[axis]
    value = source.values.get(axis, label)
    return value if label_of(value) == label else label


def axis_types(sources: Sequence[Source], tables: "Sequence[pa.Table]") -> "dict[str, pa.DataType]":
    """Return the type of each axis column: of numbers, if all its values are and keep their labels.

    Jobs write the axes that they sweep themselves as text: numbers where all of it reads as such.
    """
    from analysis.long_table.columns import axes_of, axis_column, common_type

    values: dict[str, list[Scalar]] = {}
    for source in sources:
        for axis in source.cell:
            values.setdefault(axis_column(axis), []).append(_axis_value(source, axis))
    for table in tables:
        for name in axes_of(table.column_names):
            written = [text for text in table[name].unique().to_pylist() if text is not None]
            values.setdefault(name, []).extend(map(_number_or_text, written))
    return {name: common_type(kinds) for name, kinds in values.items() if name != "model"}


def _number_or_text(text: str) -> float | str:
    return float(text) if _NUMBER.fullmatch(text) else text


def order_of(sources: Sequence[Source], swept: set[str]) -> dict[str, dict[str, None]]:
    """Map axis column -> values in the study's order; none of an axis that jobs sweep."""
    from analysis.long_table.columns import axis_column

    columns = {axis_column(axis) for source in sources for axis in source.cell}
    order: dict[str, dict[str, None]] = {axis: {} for axis in sorted(columns | swept)}
    for source in sources:
        for axis, value in source.cell.items():
            order[axis_column(axis)][value] = None
    return order


def model_name(facts: Mapping[str, Scalar], served: str | None = None) -> str:
    """Name a model by family and size, or as its endpoint does, where a study has no such axis."""
    family, size = facts["family"], facts["num_parameters"]
    return f"{family}-{size}" if size is not None else served or str(family)


def reports_of(name: str) -> Sequence[str]:
    """Return the values that a metric of activations or of weights reports; else the name."""
    metric = METRICS.get(name) or WEIGHT_METRICS.get(name)
    return (name,) if metric is None else metric.REPORTS

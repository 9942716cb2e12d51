"""The tables behind measurements that a figure draws: of layers, curves, doses."""

from collections.abc import Sequence
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from analysis.measurement import Scalar
from jobs.artifacts.artifact import Artifact
from jobs.comparing.sources import Source, axis_values, model_name
from jobs.models.model_facts import MODEL_FACTS
from jobs.worker.measured_rows import FILE

if TYPE_CHECKING:
    import pyarrow as pa

    from analysis.drawing.figure import Detail


def details(sources: Sequence[Source], name: str) -> "list[Detail]":
    """List the `<name>.parquet` of every source that has one, with its cell and model's facts.

    Several stages may measure one sample: what they then say alike is listed once.
    """
    from analysis.drawing.figure import Detail

    file = f"{name}.parquet"
    found = dict[tuple[str, frozenset[tuple[str, str]]], Detail]()
    # A stage without an axis of the others leaves it blank, as in the long table.
    axes = dict.fromkeys(axis for source in sources for axis in axis_values(source))
    for source in sources:
        artifact = source.artifact
        if artifact is not None and file in artifact.names():
            same = artifact.record.files[file].xxh3, frozenset(source.cell.items())
            detail = Detail(
                about={**axes, **_detail_about(source, artifact)},
                read=partial(_read_detail, artifact, file),
            )
            found.setdefault(same, detail)
    return list(found.values())


def _detail_about(source: Source, artifact: Artifact) -> "dict[str, Scalar]":
    """Return what a row of measurements of the same job says of its cell and model."""
    table = _read_detail(artifact, FILE, MODEL_FACTS).slice(0, 1)
    facts: dict[str, Scalar] = table.to_pylist()[0] if len(table) else dict.fromkeys(MODEL_FACTS)
    return {"model": model_name(facts), **facts, **axis_values(source), "key": artifact.key}


def _read_detail(artifact: Artifact, file: str, columns: Sequence[str] | None = None) -> "pa.Table":
    import pyarrow.parquet as pq

    return pq.read_table(BytesIO(artifact.read(file)), columns=columns and list(columns))

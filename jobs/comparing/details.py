"""Details: parquet files beside measurements, for figures; none is read before a figure asks."""

from collections.abc import Sequence
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from jobs.models.facts import MODEL_FACTS
from jobs.worker.measured_rows import FILE

if TYPE_CHECKING:
    import pyarrow as pa

    from analysis.drawing.figure import Detail
    from analysis.tables.measurement import Scalar
    from jobs.artifacts.artifact import Artifact
    from jobs.comparing.source import Source


def details(sources: "Sequence[Source]", name: str) -> "list[Detail]":
    """The `<name>.parquet` of every source that has one, with its cell, key and model's facts."""
    from analysis.drawing.figure import Detail

    file = f"{name}.parquet"
    found = [(source, source.artifact) for source in sources if source.artifact is not None]
    return [
        Detail(about=_about(source, artifact), read=partial(_read, artifact, file))
        for source, artifact in found
        if file in artifact.names()
    ]


def _about(source: "Source", artifact: "Artifact") -> "dict[str, Scalar]":
    """What a row of measurements of the same job says of its cell and model."""
    from analysis.tables.measurement import axis_column

    table = _read(artifact, FILE, MODEL_FACTS).slice(0, 1)
    facts: dict[str, Scalar] = table.to_pylist()[0] if len(table) else dict.fromkeys(MODEL_FACTS)
    named = f"{facts['family']}-{facts['num_parameters']}"  # where the study has no axis `model`
    cell = {axis_column(axis): value for axis, value in source.cell.items()}
    return {"model": named, **facts, **cell, "key": artifact.key}


def _read(artifact: "Artifact", file: str, columns: Sequence[str] | None = None) -> "pa.Table":
    import pyarrow.parquet as pq

    return pq.read_table(BytesIO(artifact.read(file)), columns=columns and list(columns))

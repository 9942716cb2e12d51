"""The long table of measurements as csv, Parquet and pandas: exact, the same bytes each time."""

import csv
import io
import json
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.measurement import Scalar

if TYPE_CHECKING:
    import pandas as pd

_BATCH = 65_536
"""Rows that are Python objects at a time."""


def to_csv(table: pa.Table) -> bytes:
    """Return CSV in full precision (the shortest text that reads back equal), missing as empty."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(table.column_names)
    for batch in table.to_batches(max_chunksize=_BATCH):  # a million Python rows take gigabytes
        for row in batch.to_pylist():
            writer.writerow(spell(value) for value in row.values())
    return out.getvalue().encode()


def to_parquet(table: pa.Table) -> bytes:
    """Return Parquet bytes that depend only on the rows and the version of pyarrow."""
    out = io.BytesIO()
    pq.write_table(table.combine_chunks(), out, compression="zstd", row_group_size=1 << 20)
    return out.getvalue()


def from_parquet(data: bytes) -> pa.Table:
    """Return the table that `to_parquet` wrote."""
    table: pa.Table = pq.read_table(io.BytesIO(data))
    return table


def to_pandas(table: pa.Table) -> "pd.DataFrame":
    """Return a DataFrame with nullable types: counts stay whole numbers, a missing value is NA."""
    import pandas as pd

    kinds = {
        pa.string(): pd.StringDtype(),
        pa.int64(): pd.Int64Dtype(),
        pa.float64(): pd.Float64Dtype(),
        pa.bool_(): pd.BooleanDtype(),
    }
    frame: pd.DataFrame = table.to_pandas(types_mapper=kinds.get)
    return frame


def spell(value: Scalar) -> str:
    """Write one entry of a CSV file: empty where it is missing, the shortest exact number."""
    if value is None:
        return ""
    if isinstance(value, list | tuple):
        return json.dumps(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return str(value)

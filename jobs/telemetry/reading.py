"""Reads a study's telemetry back, part by part; what is damaged or foreign is passed over."""

import io
from contextlib import suppress
from typing import TYPE_CHECKING

from cluster.disk.disk_faults import ForeignEntry
from cluster.storage import Storage
from jobs.telemetry.columns import schema
from jobs.telemetry.parts import telemetry_folder

if TYPE_CHECKING:
    import pyarrow as pa


def read_telemetry(storage: Storage, study: str, table: str) -> "pa.Table":
    """Return one table of all launches of a study, in the order of their files.

    Args:
        storage: the output root.
        study: name of the study.
        table: `samples` or `attempts`.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    folder, wanted = f"{telemetry_folder(study)}/{table}", schema(table)
    parts = [wanted.empty_table()]
    for name in storage.list(folder):
        if name.endswith(".parquet"):
            with suppress(pa.ArrowException, FileNotFoundError, ForeignEntry):
                parts.append(pq.read_table(io.BytesIO(storage.read(f"{folder}/{name}"))))
    # A file of an earlier version lacks columns, one of a later version has more.
    return pa.concat_tables(parts, promote_options="default").select(wanted.names)

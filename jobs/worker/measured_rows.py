"""The file that every kind which measures leaves, and how it is written."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

FILE = "measurements.parquet"


def write_rows(
    folder: Path, rows: Sequence[Mapping[str, Any]], axes: Sequence[str] = ()
) -> dict[str, int]:
    """Write the rows of one job; returns how many there are of each status.

    A model's name and the job's key are added when rows are gathered; so is its cell, but for the
    `axes` that the job sweeps itself.
    """
    from analysis.long_table.columns import to_table
    from analysis.long_table.files import to_parquet

    table = to_table([dict(row) for row in rows], list(axes)).drop_columns(["model", "key"])
    (folder / FILE).write_bytes(to_parquet(table))
    return dict(sorted(Counter(str(row["status"]) for row in rows).items()))

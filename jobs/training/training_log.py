"""The metrics of record: one row per logged step, no times, equal for equal runs.

The first rank writes. The rows that a checkpoint holds come first, whichever attempt made them.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from jobs.training.early_stopping import LOSS
from jobs.worker import ranks

LOG = "training_log.jsonl"
"""The metrics of record: one row per logged step, no times, equal for equal runs."""
EVALUATION = "evaluation.jsonl"
"""The validations of record: the rows of the log that have one."""

Row = Mapping[str, float]
"""Name of a metric -> its value; always has `step`."""


def append_row(folder: Path, rows: Sequence[Row]) -> None:
    """Append the last row to the log; write all rows the first time in an attempt."""
    if not ranks.is_first():
        return
    path = folder / LOG
    if not path.exists():
        write_rows(path, rows)
        return
    with open(path, "a", encoding="utf-8") as stream:
        stream.write(_line(rows[-1]))


def write_logs(folder: Path, rows: Sequence[Row]) -> None:
    """Write the whole log, and the validations in it."""
    if not ranks.is_first():
        return
    write_rows(folder / LOG, rows)
    validations = [row for row in rows if LOSS in row]
    if validations:
        write_rows(folder / EVALUATION, [_validation(row) for row in validations])


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write one JSON object per line."""
    path.write_text("".join(_line(row) for row in rows), encoding="utf-8")


def _validation(row: Row) -> Row:
    prefix = LOSS.partition("/")[0] + "/"
    return {name: row[name] for name in row if name == "step" or name.startswith(prefix)}


def _line(row: Row) -> str:
    """Write a row as JSON, sorted: the same bytes whether it was resumed or just made."""
    rest = {name: row[name] for name in sorted(row) if name != "step"}
    return json.dumps({"step": row["step"], **rest}) + "\n"

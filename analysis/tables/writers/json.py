"""JSON: the whole table with its statuses and reasons, for programs."""

import json

from analysis.long_table.columns import NULLS
from analysis.tables.table import Cell, Table

SUFFIX = ".json"


def render(table: Table) -> bytes:
    """`cells[row][column]` holds value, interval and controls (null when missing), status, reason.

    The schema of the document is `table_schema`.
    """
    document = {
        "title": table.title,
        "caption": table.caption,
        "row_levels": table.row_levels,
        "rows": table.rows,
        "column_levels": table.column_levels,
        "columns": table.columns,
        "cells": [[_cell(cell) for cell in line] for line in table.cells],
        "footnotes": table.footnotes,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()


def _cell(cell: Cell) -> dict[str, object]:
    return {
        "value": cell.value,
        "low": cell.low,
        "high": cell.high,
        "floor": cell.floor,
        **{name: getattr(cell, name) for name in NULLS},
        "num_seeds": cell.num_seeds,
        "text": cell.text,
        "status": cell.status,
        "reason": cell.reason,
        "footnote": cell.mark or None,
        "keys": cell.keys,
    }

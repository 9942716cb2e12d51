"""JSON: the whole table with its statuses and reasons, for programs."""

import json

from analysis.table import Cell, Table

SUFFIX = ".json"


def render(table: Table) -> bytes:
    """`cells[row][column]` holds value, low, high (null when missing), text, status and reason."""
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
        "num_seeds": cell.num_seeds,
        "text": cell.text,
        "status": cell.status,
        "reason": cell.reason,
        "footnote": cell.mark or None,
        "keys": cell.keys,
    }

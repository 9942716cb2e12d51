"""JSON: the whole table with its statuses and reasons, for programs."""

import json

from analysis.tables.table import Table

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
        "row_values": table.typed_rows,
        "column_levels": table.column_levels,
        "columns": table.columns,
        "column_values": table.typed_columns,
        "cells": [[cell.as_json() for cell in line] for line in table.cells],
        "footnotes": table.footnotes,
    }
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False)
    return (text + "\n").encode()

"""The published JSON Schemas of a comparison: of its table, and of the long table's rows."""

from typing import Any

import pyarrow as pa

from analysis.long_table.columns import FIXED, NULLS
from analysis.status import MEANINGS, Status

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NUMBER = {"type": ["number", "null"]}
_TEXT = {"type": ["string", "null"]}
_HEADER = {"type": "array", "items": {"type": "string"}}
_STATUS = {
    "enum": [status.value for status in Status],
    "description": "; ".join(f"{status.value}: {text}" for status, text in MEANINGS.items()),
}


def table_schema() -> dict[str, Any]:
    """What `compare --json` prints: `cells[row][column]` under multi-level headers."""
    return {
        "$schema": _DIALECT,
        "title": "deltascale comparison table",
        **_object(
            title={"type": "string"},
            caption={"type": "string", "description": "how the numbers were chosen"},
            row_levels=_HEADER,
            rows={"type": "array", "items": _HEADER},
            column_levels=_HEADER,
            columns={"type": "array", "items": _HEADER},
            cells={"type": "array", "items": {"type": "array", "items": _cell()}},
            footnotes={"type": "object", "additionalProperties": {"type": "string"}},
        ),
    }


def measurements_schema() -> dict[str, Any]:
    """What `compare --long --format json` prints: one object per number; axes are text."""
    columns = {field.name: _column(field) for field in FIXED}
    columns["status"] = _STATUS
    return {
        "$schema": _DIALECT,
        "title": "deltascale measurements",
        "type": "array",
        "items": {**_object(**columns), "additionalProperties": _TEXT},
    }


def _cell() -> dict[str, Any]:
    numbers = dict.fromkeys(("value", "low", "high", "floor", *NULLS), _NUMBER)
    return {
        **_object(
            **numbers,
            num_seeds={"type": "integer", "minimum": 0},
            text={"type": "string", "description": "as tables for people show it"},
            status=_STATUS,
            reason=_TEXT,
            footnote=_TEXT,
            keys={"type": "array", "items": {"type": "string"}},
        ),
        "if": {"properties": {"value": {"type": "null"}}},
        "then": {"properties": {"reason": {"type": "string"}}},
    }


def _object(**properties: Any) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _column(field: pa.Field) -> dict[str, Any]:
    by_type = {pa.int64(): "integer", pa.float64(): "number", pa.bool_(): "boolean"}
    return {"type": [by_type.get(field.type, "string"), "null"]}

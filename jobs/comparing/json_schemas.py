"""The published JSON Schemas of a comparison: of its table, and of the long table's rows."""

from analysis.measurement import FIELDS, Field, LeftOut
from analysis.status import MEANINGS, Status

Schema = dict[str, object]

NAMES = ("table", "measurements")
"""Names of the schemas."""

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_TEXT = {"type": ["string", "null"]}
_AXIS = {"type": ["string", "number", "boolean", "null"], "description": "value of an axis"}
_TEXTS = {"type": "array", "items": {"type": "string"}}
_TYPES = {str: "string", bool: "boolean", int: "integer", float: "number"}


def published_schema(name: str) -> Schema:
    """Return the schema of one of NAMES."""
    return {"table": table_schema, "measurements": measurements_schema}[name]()


def table_schema() -> Schema:
    """Return what `compare --json` prints: `cells[row][column]` under multi-level headers."""
    return {
        "$schema": _DIALECT,
        "title": "deltascale comparison table",
        **_object(
            title={"type": "string"},
            caption={"type": "string", "description": "how the numbers were chosen"},
            row_levels=_TEXTS,
            rows={"type": "array", "items": _TEXTS},
            row_values=_headers("row headers for programs: counts and axes of numbers as numbers"),
            column_levels=_TEXTS,
            columns={"type": "array", "items": _TEXTS},
            column_values=_headers("column headers for programs: axes of numbers as numbers"),
            cells={"type": "array", "items": {"type": "array", "items": _cell()}},
            footnotes={"type": "object", "additionalProperties": {"type": "string"}},
        ),
    }


def measurements_schema() -> Schema:
    """Return what `compare --long --format json` prints: one object per number."""
    columns = {name: _field(declared) for name, declared in FIELDS.items()}
    return {
        "$schema": _DIALECT,
        "title": "deltascale measurements",
        "type": "array",
        "items": {**_object(**columns), "additionalProperties": _AXIS},
    }


def _headers(about: str) -> Schema:
    return {
        "type": "array",
        "items": {"type": "array", "items": _AXIS},
        "description": about,
    }


def _cell() -> Schema:
    fields = {name: _field(declared) for name, declared in FIELDS.items() if declared.in_tables}
    fields["num_seeds"] |= {"type": "integer", "minimum": 0}
    return {
        **_object(
            **fields,
            text={"type": "string", "description": "as tables for people show it"},
            footnote=_TEXT,
            keys=_TEXTS,
        ),
        "if": {"properties": {"value": {"type": "null"}}},
        "then": {"properties": {"reason": {"type": "string"}}},
    }


def _object(**properties: object) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def _field(declared: Field) -> Schema:
    if declared.type is Status:
        meanings = "; ".join(f"{status.value}: {text}" for status, text in MEANINGS.items())
        return {"enum": [status.value for status in Status], "description": meanings}
    if declared.type == LeftOut:
        entries = {"type": ["number", "null"]}
        return {"type": ["array", "null"], "items": entries, "description": declared.about}
    return {"type": [_TYPES[declared.type], "null"], "description": declared.about}

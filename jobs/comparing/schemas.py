"""The published JSON Schemas of what a comparison writes, by name."""

from typing import Any

NAMES = ("table", "measurements")


def published_schema(name: str) -> dict[str, Any]:
    """One of NAMES."""
    from analysis.tables.json_schema import measurements_schema, table_schema

    return {"table": table_schema, "measurements": measurements_schema}[name]()

"""The published JSON Schema of profiles: with it, editors complete and check one.

What needs more than one place of the file (a price without its currency) is left to the reader.
"""

from typing import Any

from orchestrator.profiles.kind import PROFILE_KINDS

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def schema() -> dict[str, Any]:
    """Build the schema, with the fields of every kind that exists."""
    kinds, definitions, cases = PROFILE_KINDS.names(), {}, []
    for name in kinds:
        fields = PROFILE_KINDS.find(name).Fields.model_json_schema(
            ref_template=f"#/$defs/{name}.{{model}}"
        )
        for inner, definition in fields.pop("$defs", {}).items():
            definitions[f"{name}.{inner}"] = definition
        definitions[name] = fields
        cases.append(
            {
                "if": {"properties": {"kind": {"const": name}}},
                "then": {"$ref": f"#/$defs/{name}"},
            }
        )
    return {
        "$schema": _DIALECT,
        "title": "deltascale profile",
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": kinds}},
        "allOf": cases,
        "$defs": definitions,
    }

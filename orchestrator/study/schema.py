"""The published JSON Schema of study files: editors complete and check a study by it.

What needs more than one place of the file to judge (does this stage exist?) is left to `plan`.
"""

from typing import Any

from jobs.kind import KINDS, Kind
from orchestrator.study.study_shape import StudyShape

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION = {"type": "string", "pattern": r"\$\{[^{}]+\}"}
_MARKS = ("execution", "path", "model_source", "settings_of")


def schema() -> dict[str, Any]:
    """The schema, with the params and inputs of every kind that exists."""
    study = StudyShape.model_json_schema()
    definitions = study["$defs"]
    stage = definitions["StageShape"]
    kinds = KINDS.names()
    stage["properties"]["kind"]["enum"] = kinds
    stage["allOf"] = []
    for name in kinds:
        kind = KINDS.find(name)
        params = _params(kind, name, definitions)
        definitions[f"{name}.params"] = params
        needed = ["params"] if params.get("required") else []
        then = {
            "properties": {"params": {"$ref": f"#/$defs/{name}.params"}, **_wiring(kind)},
            "required": needed + _needed(kind),
        }
        stage["allOf"].append({"if": {"properties": {"kind": {"const": name}}}, "then": then})
    return {"$schema": _DIALECT, "title": "deltascale study", **study}


def _params(kind: Kind[Any], name: str, definitions: dict[str, Any]) -> dict[str, Any]:
    """The kind's own schema; each param may be an expression, too."""
    params: dict[str, Any] = kind.Params.model_json_schema(
        ref_template=f"#/$defs/{name}.{{model}}", mode="validation"
    )
    for inner, definition in params.pop("$defs", {}).items():
        definitions[f"{name}.{inner}"] = _admitting_expressions(definition)
    return _admitting_expressions(params)


def _admitting_expressions(model: dict[str, Any]) -> dict[str, Any]:
    properties = {
        name: _or_expression(declared) for name, declared in model.get("properties", {}).items()
    }
    return {**model, "properties": properties} if properties else model


def _or_expression(declared: dict[str, Any]) -> dict[str, Any]:
    said: dict[str, Any] = {
        name: declared[name] for name in ("title", "description", "default") if name in declared
    }
    rest = {name: item for name, item in declared.items() if name not in (*said, *_MARKS)}
    for inner in ("items", "additionalProperties"):
        if isinstance(rest.get(inner), dict):
            rest[inner] = _or_expression(rest[inner])
    return {**said, "anyOf": [rest, _EXPRESSION]}


def _needed(kind: Kind[Any]) -> list[str]:
    if kind.GATHERS:
        return ["gather"]
    return ["inputs"] if any(wanted.required for wanted in kind.INPUTS.values()) else []


def _wiring(kind: Kind[Any]) -> dict[str, Any]:
    """Which of inputs, gather, over and per a stage of this kind may have."""
    if kind.GATHERS:
        takes = ", ".join(sorted(kind.gathered_kinds()))
        return {
            "inputs": {"maxProperties": 0},
            "over": {"maxItems": 0},
            "gather": {"description": f"Stages of which all jobs are taken: {takes}."},
        }
    return {
        "inputs": {
            "propertyNames": {"enum": sorted(kind.INPUTS)},
            "required": sorted(name for name, wanted in kind.INPUTS.items() if wanted.required),
        },
        "gather": {"maxItems": 0},
        "per": {"maxItems": 0},
    }

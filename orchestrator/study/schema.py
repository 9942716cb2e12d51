"""The published JSON Schema of study files: with it, editors complete and check a study.

Checks that need more than one place of the file (does this stage exist?) are left to `plan`.
"""

from typing import Any

from jobs.kind import KINDS, Kind, Params
from orchestrator.study.study_fields import StudyFields

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_EXPRESSION = {"type": "string", "pattern": r"\$\{[^{}]+\}"}
_Schema = dict[str, Any]
"""A JSON Schema, or a part of one."""
_MARKS = ("execution", "added", "path", "model_source")


def schema() -> _Schema:
    """Build the schema, with the params and inputs of every kind that exists."""
    study = StudyFields.model_json_schema()
    definitions = study["$defs"]
    stage = definitions["StageFields"]
    kinds = KINDS.names()
    stage["properties"]["kind"]["enum"] = kinds
    stage["allOf"] = []
    for name in kinds:
        kind = KINDS.find(name)
        params = _params(kind, name, definitions)
        definitions[f"{name}.params"] = params
        needed = ["params"] if params.get("required") else []
        keep = {} if kind.large_files else {"keep": {"const": "always"}}
        then = {
            "properties": {
                "params": {"$ref": f"#/$defs/{name}.params"},
                **_input_fields(kind),
                **keep,
            },
            "required": needed + _required_fields(kind),
        }
        stage["allOf"].append({"if": {"properties": {"kind": {"const": name}}}, "then": then})
    return {"$schema": _DIALECT, "title": "deltascale study", **study}


def _params(kind: Kind[Params], name: str, definitions: _Schema) -> _Schema:
    """Return the schema of a kind's params, in which each param may also be an expression."""
    params: _Schema = kind.Params.model_json_schema(
        ref_template=f"#/$defs/{name}.{{model}}", mode="validation"
    )
    for inner, definition in params.pop("$defs", {}).items():
        definitions[f"{name}.{inner}"] = _allow_expressions(definition)
    return _allow_expressions(params)


def _allow_expressions(model: _Schema) -> _Schema:
    properties = {
        name: _allow_expression(declared) for name, declared in model.get("properties", {}).items()
    }
    return {**model, "properties": properties} if properties else model


def _allow_expression(declared: _Schema) -> _Schema:
    described: _Schema = {
        name: declared[name] for name in ("title", "description", "default") if name in declared
    }
    rest = {name: item for name, item in declared.items() if name not in (*described, *_MARKS)}
    if "anyOf" in rest:
        rest["anyOf"] = [_allow_inside(variant) for variant in rest["anyOf"]]
    return {**described, "anyOf": [_allow_inside(rest), _EXPRESSION]}


def _allow_inside(declared: _Schema) -> _Schema:
    """Allow expressions in the items of a list, and in the values of a mapping."""
    inner = {
        name: _allow_expression(declared[name])
        for name in ("items", "additionalProperties")
        if isinstance(declared.get(name), dict)
    }
    return {**declared, **inner}


def _required_fields(kind: Kind[Params]) -> list[str]:
    if kind.GATHERS:
        return ["gather"]
    return ["inputs"] if any(wanted.required for wanted in kind.INPUTS.values()) else []


def _input_fields(kind: Kind[Params]) -> _Schema:
    """Return which of inputs, gather, over and per a stage of this kind may have."""
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

"""The doors that a study may bring entries for, by the names of the folders behind them."""

from functools import cache
from importlib import import_module
from typing import Any

from analysis.door import Door
from cluster.errors import UserError, unknown_name

_DOORS = {
    "answers": "analysis.answering.answer:ANSWERS",
    "directions": "jobs.generation.direction:DIRECTIONS",
    "engines": "jobs.training.engine:ENGINES",
    "families": "jobs.models.family:FAMILIES",
    "figures": "analysis.drawing.figure:FIGURES",
    "formats": "jobs.text.format:FORMATS",
    "interventions": "jobs.intervening.intervention:INTERVENTIONS",
    "kinds": "jobs.kind:KINDS",
    "metrics": "analysis.metric:METRICS",
    "objectives": "jobs.training.objective:OBJECTIVES",
    "over_answer": "analysis.estimates.answer_metric:ANSWER_METRICS",
    "references": "analysis.tables.reference:REFERENCES",
    "scorers": "jobs.behaviour.scorer:SCORERS",
    "transforms": "jobs.text.transform:TRANSFORMS",
    "weight_metrics": "analysis.weight_metric:WEIGHT_METRICS",
    "writers": "analysis.tables.writer:WRITERS",
}
"""Folder -> module and name of its door. Imported when asked for: a figure's contract loads
matplotlib, and planning a study without figures of its own must not."""

_WIDER = {"weight_metrics": "analysis.weight_metric:TensorMetric"}
"""Folder -> module and name of what its own entries fulfil beyond the door's contract."""

NOT_OF_A_STUDY = {
    "executors": "an executor is chosen on the command line, before any study is read",
    "verbs": "a verb is found on the command line, before any study is read",
}
"""Folder of the package -> why a study can bring nothing for it."""


def room_names() -> list[str]:
    """List the folders that a study may bring entries in, sorted."""
    return sorted(_DOORS)


@cache
def door_of(room: str) -> Door[Any]:
    """Return the door of a folder that exists."""
    module, _, name = _DOORS[room].partition(":")
    door = getattr(import_module(module), name)
    assert isinstance(door, Door), f"{_DOORS[room]} is no door"
    return door


def contract_of(room: str) -> type:
    """Return what an own entry in a folder fulfils: its door's contract, or one that is wider."""
    if room not in _WIDER:
        return door_of(room).contract
    module, _, name = _WIDER[room].partition(":")
    contract = getattr(import_module(module), name)
    assert isinstance(contract, type), f"{_WIDER[room]} is no contract"
    return contract


def package_of(room: str) -> str:
    """Return the package that holds a door's entries, without importing the door."""
    return f"{_DOORS[room].partition(':')[0].rpartition('.')[0]}.{room}"


def require_room(name: str, where: str) -> str:
    """Return the name of a folder that entries may lie in.

    Raises:
        UserError: there is no such door; names those that exist and the nearest match.
    """
    if name in NOT_OF_A_STUDY:
        raise UserError(
            f"a study brings no {name}: {NOT_OF_A_STUDY[name]}", where=where, allowed=room_names()
        )
    if name not in _DOORS:
        fault = unknown_name("folder of entries", name, room_names(), where=where)
        raise UserError(
            fault.error,
            where=where,
            allowed=fault.allowed,
            hint=fault.hint
            or "modules of your own that entries share: a file here, or a folder "
            "whose name begins with _",
        )
    return name

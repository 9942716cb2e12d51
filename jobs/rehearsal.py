"""Contract: what a kind may ask of a rehearsal, in which its jobs run small on a processor.

A rehearsal runs a study whole, with stand-ins where the real thing is heavy or elsewhere. Each kind
says in `in_small` what becomes of its params; who makes the stand-ins is in `stand_ins/`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from pydantic import BaseModel

_FEW_HELD_OUT = 0.2
"""Share of so few pairs that holds some."""
FEW = 40
"""Prompts, pairs and texts of a rehearsal: enough for two of most prompt groups."""


_LEAST = {
    "num_cpus": 1,
    "num_gpus": 0,
    "memory_gb": 0,
    "num_ranks": 1,
    "num_nodes": 1,
    "workers": 1,
    "share_gpu": False,
}
"""Params of what jobs ask of machines, in many kinds -> what a rehearsal asks."""


class StandIns(Protocol):
    """What stands in for models and data."""

    most_ranks: int
    """Most processes that may train together."""

    def model(
        self, source: str, revision: str | None, file: str | None, config: object
    ) -> tuple[str, Mapping[str, Any] | None]:
        """Return a folder with a tiny random model of the same architecture.

        Args:
            source: the model as the study names it.
            revision: of the hub; None for its default.
            file: the `.gguf` file of a repository; None for any other model.
            config: our fields, as the study gives them; None where it gives none.

        Returns:
            Its folder, or `source` itself where that is a mistake to be reported as in a launch;
            and the config.json of the real model, where it is here.
        """

    def fields(self, config: Mapping[str, Any]) -> dict[str, Any]:
        """Return our fields of a model, made small; faulty ones as they are."""

    def classifier(self, source: str, revision: str | None, labels: Sequence[str]) -> str:
        """Return a folder with a tiny random classifier of texts.

        Args:
            source: the classifier as the study names it.
            revision: of the hub; None for its default.
            labels: labels that it has where the real one is not here to say so.
        """

    def data(self, source: str, format_name: str, options: Mapping[str, Any]) -> str:
        """Return a file or folder of that format: the real one, or invented rows without it."""

    def vector(self, source: str) -> str:
        """Return a file with one vector as wide as the residual stream of every stand-in.

        Args:
            source: the file that the study names, which must be there, or be data that are not.
        """

    def replaced(self, what: str) -> None:
        """Remember something that the rehearsal does without, to be reported."""


def least_of(declared: type[BaseModel]) -> dict[str, Any]:
    """Return those params of a class that say what a job asks of machines, for one process."""
    return {name: least for name, least in _LEAST.items() if name in declared.model_fields}


def lowered(declared: type[BaseModel], written: Mapping[str, Any], **most: float) -> dict[str, Any]:
    """Return params that are numbers, given or by default, cut to a limit; others are left out.

    Args:
        declared: the class of the params, for the defaults.
        written: params as the study writes them.
        most: param -> its limit.
    """
    cut = {}
    for name, limit in most.items():
        field = declared.model_fields.get(name)
        value = written.get(name, field.default if field else None)
        if isinstance(value, (int, float)) and not isinstance(value, bool) and value > limit:
            cut[name] = limit
    return cut


def sampled(written: Mapping[str, Any], **most: int) -> dict[str, Any]:
    """Return params that say how many are taken, cut to a limit; null, or nothing, means all."""
    values = {name: written.get(name) for name in most}
    return {
        name: most[name]
        for name, value in values.items()
        if value is None or (isinstance(value, int) and value > most[name])
    }


def with_data(written: Mapping[str, Any], stand_ins: StandIns) -> dict[str, Any]:
    """Return the param `source` of a kind that reads data in a `format`, as far as it changes."""
    source, form, options = (written.get(name) for name in ("source", "format", "options"))
    options = options if isinstance(options, Mapping) else {}
    if not isinstance(form, str):
        return {}
    if isinstance(source, str):
        return {"source": stand_ins.data(source, form, options)}
    if isinstance(source, (list, tuple)):
        return {"source": [stand_ins.data(str(one), form, options) for one in source]}
    return {}


def enough_validation(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return shares of validation and test that hold a few of so few pairs, as the study has any.

    A study that gives no share has the default, of which so few pairs may hold none.
    """
    shares = {
        name: written.get(name, default)
        for name, default in (("validation_fraction", 0.1), ("test_fraction", 0.0))
    }
    raised = {
        name: _FEW_HELD_OUT
        for name, share in shares.items()
        if isinstance(share, float) and 0 < share < _FEW_HELD_OUT
    }
    whole = {name: share for name, share in shares.items() if isinstance(share, float)} | raised
    return raised if sum(whole.values()) < 1 else {}

"""A study in rows: models of given sizes, aligned by given objectives, on given prompts."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from analysis.answering.answer import ANSWERS, StudyAnswer
from analysis.answering.findings import Findings
from analysis.long_table.circumstances import Circumstances, Origin
from analysis.long_table.columns import to_rows
from analysis.long_table.selection import Selection

SIZES = {"a": 1e5, "b": 3e5, "c": 1e6, "d": 3e6}


@dataclass
class Rows:
    """Rows and their circumstances, written as a study would leave them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    circumstances: dict[str, Circumstances] = field(default_factory=dict)

    def add(
        self,
        metric: str,
        value: float | None,
        *,
        model: str,
        objective: str | None = "dpo",
        condition: str = "plain",
        seed: str = "0",
        half: float = 0.01,
        about: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        key = "/".join(
            [model, str(objective), condition, seed, metric, *map(str, columns.values())]
        )
        self.circumstances[key] = Circumstances(
            **{
                "base": model,
                "aligned": None if objective is None else f"{model} {objective} {seed}",
                "objective": objective,
                "preferences": None if objective is None else Origin.COLLECTED,
                "prompts": condition,
                "source": "texts",
                "transform": "plain" if condition == "turns" else condition,
                "dialogue": condition == "turns",
                **(about or {}),
            }
        )
        interval = {} if value is None else {"low": value - half, "high": value + half}
        missing = {"status": "undefined", "reason": "no rows"} if value is None else {}
        self.rows.append(
            {
                "objective": objective,
                "condition": condition,
                "seed": None if objective is None else seed,
                "model": model,
                "family": "gpt2",
                "num_parameters": int(SIZES.get(model, 1e5)),
                "num_layers": 5,
                "metric": metric,
                "position": "last",
                "value": value,
                "key": key,
                **interval,
                **missing,
                **columns,
            }
        )

    def offsets(self, value: float, **where: Any) -> None:
        """The consistency of offsets, at the layer that is shown."""
        self.add("consistency", value, site="resid_mid", layer=3, **where)

    def aligned(self, model: str, *, mass: float = 0.05, like: float = 0.9, **where: Any) -> None:
        """A model whose toxic mass was 0.5, aligned: its mass and consistency."""
        if not any(row["model"] == model and row["objective"] is None for row in self.rows):
            self.add("toxic_mass", 0.5, model=model, objective=None)
        self.add("toxic_mass", mass, model=model, **where)
        self.offsets(like, model=model, **where)

    def answer(self, name: str) -> StudyAnswer:
        """What the answer of this name says of all rows."""
        found = Findings.from_rows(
            to_rows(self.rows), self.circumstances, selection=Selection(), seeds="seed"
        )
        return ANSWERS.find(name).answer(found)


@pytest.fixture
def study() -> Rows:
    """A study without any row."""
    return Rows()


@pytest.fixture
def ladder(study: Rows) -> Callable[..., Rows]:
    """A study of four sizes in one family, each aligned alike unless told otherwise."""

    def build(**changes: Mapping[str, Any]) -> Rows:
        for model in SIZES:
            study.aligned(model, **changes.get(model, {}))
        return study

    return build

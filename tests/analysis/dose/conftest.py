"""Trainings in rows: numbers at snapshots that a test chooses, of models of given sizes."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import to_rows
from analysis.measurement import NUM_GROUPS

STEPS = (10, 20, 40, 80)
SIZES = {"a": 1e5, "b": 3e5, "c": 1e6, "d": 3e6}


@dataclass
class Trainings:
    """Rows of snapshots and their circumstances, written as a study would leave them."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    circumstances: dict[str, Circumstances] = field(default_factory=dict)

    def add(
        self,
        metric: str,
        at: Callable[[float], float] | Mapping[int, float | None],
        *,
        steps: Sequence[int] = STEPS,
        model: str = "a",
        error: Callable[[int], np.ndarray] | float = 0.0,
        source: str | None = "texts",
        about: Mapping[str, Any] | None = None,
        **columns: Any,
    ) -> None:
        """One number at every step: `at` says which; step 0 is the base's.

        `error` gives what each prompt group adds to the number (or one scale for fixed draws).
        """
        for step in steps:
            value = at(step) if callable(at) else at[step]
            key = "/".join([model, metric, str(step), *map(str, columns.values())])
            self.circumstances[key] = Circumstances(
                **{
                    "base": model,
                    "aligned": f"{model}@{step}" if step else None,
                    "objective": "dpo" if step else None,
                    "prompts": source and "plain",
                    "source": source,
                    "transform": source and "plain",
                    "run": model if step else None,
                    "step": step or None,
                    **(about or {}),
                }
            )
            row: dict[str, Any] = {
                "objective": "dpo" if step else None,
                "snapshot": f"step-{step}" if step else None,
                "model": model,
                "family": "gpt2",
                "num_parameters": int(SIZES[model]),
                "num_layers": 5,
                "metric": metric,
                "value": value,
                "key": key,
                **columns,
            }
            if value is None:
                row |= {"status": "undefined", "reason": "no rows"}
            else:
                row |= _interval(value, error(step) if callable(error) else _moves(metric, error))
            self.rows.append(row)

    @property
    def table(self):
        return to_rows(self.rows)


def _moves(metric: str, scale: float) -> np.ndarray:
    return scale * np.random.default_rng(len(metric)).standard_normal(NUM_GROUPS)


def _interval(value: float, errors: np.ndarray) -> dict[str, Any]:
    """What a mean of groups with these errors has: its jackknife."""
    left = -(errors - errors.mean()) / (len(errors) - 1)
    half = 2.093 * float(np.sqrt(19 / 20 * np.square(left).sum()))
    return {"low": value - half, "high": value + half, "left_out": [value + m for m in left]}


@pytest.fixture
def trainings() -> Trainings:
    """No training yet."""
    return Trainings()

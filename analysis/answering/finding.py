"""`Finding`: one number over seeds with its circumstances, of which answers are made."""

from __future__ import annotations

from dataclasses import dataclass

from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import axes_of
from analysis.measurement import Row, label_at
from analysis.status import Status

TURN = "turn-"
"""How positions of dialogue turns begin."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Finding:
    """One number over seeds, and how it came about."""

    row: Row
    """The measurement."""
    about: Circumstances
    """Its circumstances; of several seeds those of the first."""
    aligned: frozenset[str]
    """Keys of the aligned models of all seeds in it; empty for the base."""

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.row["model"])

    @property
    def value(self) -> float | None:
        """The number; None where it is missing or below the noise floor."""
        return None if self.below_floor else self._number("value")

    @property
    def low(self) -> float | None:
        """Lower end of its interval."""
        return None if self.below_floor else self._number("low")

    @property
    def high(self) -> float | None:
        """Upper end of its interval."""
        return None if self.below_floor else self._number("high")

    @property
    def null_high(self) -> float | None:
        """The highest upper end of its null bands."""
        ends = [self._number("null_high"), self._number("base_null_high")]
        return max((end for end in ends if end is not None), default=None)

    @property
    def below_floor(self) -> bool:
        """Whether the base against itself reads as much."""
        return self.row["status"] == Status.BELOW_NOISE_FLOOR

    @property
    def turn(self) -> int:
        """The dialogue turn it is of; 0 for none."""
        position = str(self.row["position"])
        return int(position.removeprefix(TURN)) if position.startswith(TURN) else 0

    @property
    def keys(self) -> tuple[str, ...]:
        """Jobs behind it."""
        return tuple(str(self.row["key"] or "").split())

    @property
    def cell(self) -> dict[str, str]:
        """Its axes, the model first."""
        names = ["model", *axes_of(self.row)]
        return {name: label for name in names if (label := label_at(self.row, name)) is not None}

    def _number(self, name: str) -> float | None:
        value = self.row[name]
        return None if value is None else float(value)

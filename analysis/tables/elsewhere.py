"""What a view hides: numbers of its cells that were measured, but at another place.

A row or column of which nothing is at the place stands in the table with dashes that say where its
numbers are and which option shows them; metrics and columns that have no dash are named below it.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial

from analysis.long_table.columns import axes_of
from analysis.long_table.places import Pair, listed, whereabouts
from analysis.long_table.query import LongTable
from analysis.long_table.selection import Selection, describe, spread_failures
from analysis.measurement import Role, Row, Scalar, label_of, with_role
from analysis.status import Status

_NUMBERS = ("metric", "model")
_FACTS = with_role(Role.MODEL, Role.SIZE)

Cell = tuple[Scalar, ...]
"""Metric, model and the value on each axis but that of seeds."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Elsewhere:
    """The numbers of a view's metrics, wherever they were measured."""

    measured: LongTable
    """All that `where` keeps of the metrics."""
    chosen: Selection
    """The place of the view."""
    axes: tuple[str, ...]
    """The axes but that of seeds."""

    @classmethod
    def of(cls, measured: LongTable, chosen: Selection, seeds: str | None) -> Elsewhere:
        """Return what a resolved selection may hide."""
        names = axes_of(measured.columns.column_names)
        axes = tuple(name for name in names if name not in ("model", seeds))
        return cls(measured=measured.where(chosen.where), chosen=chosen, axes=axes)

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that make a cell."""
        return (*_NUMBERS, *self.axes)

    @cached_property
    def cells(self) -> set[Cell]:
        """Every cell that has a number somewhere."""
        return self.measured.combinations(self.columns)

    def rows(self, here: Sequence[Row], sides: Sequence[str]) -> list[Row]:
        """Return the rows of a place, with dashes for what was measured elsewhere.

        Those are of sides of which nothing is here, and of metrics of which only failures are, or
        nothing because the place was never measured.

        Args:
            here: the rows at the place, one per seed.
            sides: the axes down the side of a table.
        """
        known = {self._cell(row) for row in here}
        there = {tuple(row.get(name) for name in sides) for row in here}
        metrics = {row["metric"] for row in here}
        numbers = {row["metric"] for row in here if row["value"] is not None}
        added: dict[tuple[Scalar, ...], list[Cell]] = {}
        for cell in self.cells - known:
            of = dict(zip(self.columns, cell, strict=True))
            side = tuple(of.get(name) for name in sides)
            is_failed = of["metric"] in metrics or bool(self.chosen.elsewhere)
            if side not in there or (of["metric"] not in numbers and is_failed):
                added.setdefault(side, []).append(cell)
        if not added:
            return list(here)
        # A row of its own shows what the others do, as far as it has any of that.
        shown = {
            side: cells
            if side in there
            else [cell for cell in cells if cell[0] in metrics] or cells
            for side, cells in added.items()
        }
        dashes = self._dashes({cell for cells in shown.values() for cell in cells})
        return spread_failures([*here, *dashes])

    def reason(self, of: Mapping[str, Scalar]) -> str | None:
        """Return why a cell has a dash; None where it was measured nowhere."""
        names = tuple(of)
        cells = self._by(names).get(tuple(of.values()), ())
        return self._reason(cells) if cells else None

    def remark(
        self,
        here: Sequence[Row],
        names: Sequence[str],
        dashed: Collection[tuple[Scalar, ...]],
    ) -> str:
        """Return a sentence for numbers that have no place in a table; empty where all have one.

        Args:
            here: the rows of the table.
            names: the columns that tell its cells apart.
            dashed: the values in these columns of each of its cells.
        """
        known, metrics = {self._cell(row) for row in here}, {row["metric"] for row in here}
        by_metric: dict[Scalar, list[Cell]] = {}
        for cell in sorted(self.cells - known, key=str):
            of = dict(zip(self.columns, cell, strict=True))
            if tuple(of[name] for name in names) not in dashed:
                by_metric.setdefault(of["metric"], []).append(cell)
        hidden: dict[str, list[str]] = {}
        for metric, cells in by_metric.items():
            which = self._values_only_in(cells, here) if metric in metrics else ""
            where, ways = self._whereabouts(cells)
            hidden.setdefault(f"{where} ({ways})", []).append(f"{metric}{which}")
        parts = [f"{listed(metrics)} at {where}" for where, metrics in hidden.items()]
        return f"Measured elsewhere: {'; '.join(parts)}." if parts else ""

    def _values_only_in(self, cells: Sequence[Cell], here: Sequence[Row]) -> str:
        """Return the values of axes that only hidden cells of a metric have, in words."""
        of_metric = [row for row in here if row["metric"] == cells[0][0]]
        parts = []
        for at, axis in enumerate(self.columns[1:], 1):
            known = {row[axis] for row in of_metric}
            values = dict.fromkeys(cell[at] for cell in cells if cell[at] not in known)
            if values := {value: None for value in values if value is not None}:
                parts.append(f"{axis} {listed([label_of(value) for value in values])}")
        return f" of {', '.join(parts)}" if parts else " of some cells"

    def _dashes(self, cells: Collection[Cell]) -> Iterator[Row]:
        names = (*self.columns, "compared_by")
        for cell in sorted(self.measured.combinations(names), key=str):
            if cell[:-1] in cells:
                of = dict(zip(names, cell, strict=True))
                empty: Row = dict.fromkeys(self.measured.columns.column_names)
                yield {
                    **empty,
                    **self._facts.get(of["model"], {}),
                    **of,
                    "status": Status.MEASURED_ELSEWHERE.value,
                    "reason": self._reason([cell[:-1]]),
                }

    @cached_property
    def _facts(self) -> dict[Scalar, Row]:
        """Name of a model -> its facts."""
        facts = sorted(self.measured.combinations(_FACTS), key=str)
        return {row["model"]: row for row in (dict(zip(_FACTS, f, strict=True)) for f in facts)}

    def _cell(self, row: Row) -> Cell:
        return tuple(row[name] for name in self.columns)

    @cached_property
    def _indices(self) -> dict[tuple[str, ...], dict[tuple[Scalar, ...], list[Cell]]]:
        return {}

    def _by(self, names: tuple[str, ...]) -> dict[tuple[Scalar, ...], list[Cell]]:
        """Return the values in these columns -> the cells that have them."""
        if names not in self._indices:
            places = [self.columns.index(name) for name in names]
            index = self._indices.setdefault(names, {})
            for cell in self.cells:
                index.setdefault(tuple(cell[at] for at in places), []).append(cell)
        return self._indices[names]

    def _reason(self, cells: Iterable[Cell]) -> str:
        where, ways = self._whereabouts(cells)
        here = describe(replace(self.chosen, where={}, elsewhere=()))
        return f"not at {here}: it is at {where} ({ways})"

    def _whereabouts(self, cells: Iterable[Cell]) -> tuple[str, str]:
        """Return where cells have numbers, in words, and the options that show them."""
        cells, chosen = list(cells), self.chosen
        pairs = {pair for cell in cells for pair in self._pairs[cell]}
        layers = partial(self._layers, cells=cells)
        return whereabouts(pairs, layers, chosen.site, chosen.position, chosen.depths)

    def _layers(self, pair: Pair, cells: Iterable[Cell]) -> set[tuple[int, int]]:
        """Return the layers of cells at a site and position, each with how many its model has."""
        if pair not in self._layers_of:
            here = self.measured.at(*pair)
            of_pair = self._layers_of.setdefault(pair, {})
            for *cell, layer, total in here.combinations((*self.columns, "layer", "num_layers")):
                if isinstance(layer, int) and isinstance(total, int):
                    of_pair.setdefault(tuple(cell), set()).add((layer, total))
        return {layer for cell in cells for layer in self._layers_of[pair].get(cell, ())}

    @cached_property
    def _layers_of(self) -> dict[Pair, dict[Cell, set[tuple[int, int]]]]:
        return {}

    @cached_property
    def _pairs(self) -> dict[Cell, list[Pair]]:
        """Cell -> its sites and positions."""
        pairs: dict[Cell, list[Pair]] = {}
        for *cell, site, position in self.measured.combinations(
            (*self.columns, "site", "position")
        ):
            pairs.setdefault(tuple(cell), []).append((site, position))
        return pairs


def rows_shown(measured: LongTable, chosen: Selection, seeds: str | None) -> list[Row]:
    """Return the rows of a resolved selection, with dashes for what was measured elsewhere.

    Args:
        measured: measurements of the metrics that are shown, of models of which none is to be
            missing.
        chosen: the resolved selection.
        seeds: the axis that is averaged over.
    """
    return Elsewhere.of(measured, chosen, seeds).rows(measured.select(chosen), ("model",))

"""From a long table to the few rows a comparison shows, without making a Python row of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from analysis.long_table.columns import FIXED, axes_of, common_type, is_long_table, schema, to_rows
from analysis.long_table.depth import layer_at
from analysis.long_table.selection import Selection, filter_where, is_named, resolve, select
from analysis.measurement import Row, Scalar

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, kw_only=True, eq=False)
class LongTable:
    """All measurements, in the columns of `schema`."""

    columns: pa.Table
    """The measurements."""

    @classmethod
    def of(cls, data: pa.Table | pd.DataFrame | Iterable[Mapping[str, object]]) -> LongTable:
        """Return the measurements of a table, of a DataFrame or of dicts."""
        if isinstance(data, pa.Table) and is_long_table(data):
            return cls(columns=data)
        rows = to_rows(data)
        axes = axes_of(rows[0] if rows else ())
        types = {name: common_type(row[name] for row in rows) for name in axes}
        return cls(columns=pa.Table.from_pylist(rows, schema=schema(axes, types)))

    def distinct(self, column: str) -> list[Row]:
        """Return one row, empty but for this column, per value of it."""
        empty: Row = dict.fromkeys(self.columns.column_names)
        return [{**empty, column: value} for value in self._values(column)]

    def resolved(self, selection: Selection) -> Selection:
        """Fill the open choices of a selection. Raises ValueError for a bad `where`."""
        for column, values in selection.where.items():
            exists = column in self.columns.column_names and len(self.columns)
            filter_where(self.distinct(column if exists else "metric"), {column: values})
        names = ("site", "layer", "num_layers")
        empty: Row = dict.fromkeys(self.columns.column_names)
        places = self.combinations(names) if len(self.columns) else set()
        layers = [{**empty, **dict(zip(names, place, strict=True))} for place in places]
        return resolve(selection, [*self.distinct("site"), *self.distinct("position"), *layers])

    def without_left_out(self) -> LongTable:
        """Return the measurements less what only fits read: twenty Python numbers to each row."""
        place = self.columns.column_names.index("left_out")
        nothing = pa.nulls(len(self.columns), FIXED.field("left_out").type)
        return LongTable(columns=self.columns.set_column(place, FIXED.field("left_out"), nothing))

    def of_metrics(self, metrics: Sequence[str]) -> LongTable:
        """Return the measurements of these metrics."""
        wanted = pa.array(metrics, pa.string())
        kept = pc.is_in(self.columns["metric"], wanted)
        # A million rows that all stay are not copied.
        return self if pc.all(kept).as_py() else LongTable(columns=self.columns.filter(kept))

    def select(self, selection: Selection) -> list[Row]:
        """Return the rows of a resolved selection, as the function `select` gives them."""
        mask = pa.array([True]).take(pa.repeat(0, len(self.columns)))
        for part in self._masks(selection):
            mask = pc.and_(mask, part)
        return select(to_rows(self.columns.filter(mask)), replace(selection, where={}))

    def combinations(self, columns: Sequence[str]) -> set[tuple[Scalar, ...]]:
        """Return the combinations of values in these columns that have a number somewhere."""
        names = list(dict.fromkeys(columns))
        measured = self.columns.select(names).filter(pc.is_valid(self.columns["value"]))
        rows = measured.group_by(names).aggregate([]).to_pylist()
        return {tuple(row[column] for column in columns) for row in rows}

    def _masks(self, selection: Selection) -> Iterator[pa.ChunkedArray]:
        """Yield what each part of the selection keeps; a missing entry always stays."""
        for column, values in selection.where.items():
            kept = [value for value in self._values(column) if is_named(value, values)]
            yield self._among(column, kept)
        yield self._among("site", [selection.site])
        anywhere = pc.is_null(self.columns["site"])
        yield pc.or_(self._among("position", [selection.position]), anywhere)
        if selection.depths is not None:
            yield self._at(selection.depths)

    def _at(self, depths: Sequence[float]) -> pa.ChunkedArray:
        """Return rows of the layers at these relative depths, and those without a layer."""
        mask = pc.is_null(self.columns["layer"])
        for num_layers in self._values("num_layers"):
            assert isinstance(num_layers, int)
            layers = [layer_at(depth, num_layers) for depth in depths]
            same_depth = pc.fill_null(pc.equal(self.columns["num_layers"], num_layers), False)
            mask = pc.or_(mask, pc.and_(same_depth, self._among("layer", layers)))
        return pc.or_(mask, pc.is_null(self.columns["num_layers"]))

    def _among(self, column: str, values: Sequence[Scalar]) -> pa.ChunkedArray:
        kind = self.columns.schema.field(column).type
        wanted = pa.array([value for value in values if value is not None], kind)
        is_wanted = pc.is_in(self.columns[column], wanted)
        return pc.or_(is_wanted, pc.is_null(self.columns[column]))

    def _values(self, column: str) -> list[Scalar]:
        """Return values of a column, missing left out."""
        values: list[Scalar] = pc.unique(self.columns[column]).to_pylist()
        return [value for value in values if value is not None]

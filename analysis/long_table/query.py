"""From a long table to the few rows a comparison shows, without making a Python row of the rest."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.compute as pc

from analysis.long_table.columns import FIXED, axes_of, common_type, is_long_table, schema, to_rows
from analysis.long_table.depth import layer_at
from analysis.long_table.places import Place
from analysis.long_table.selection import Selection, filter_where, is_named, resolve_at, select
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
        self.require_where(selection.where)
        return self.placed(selection)

    def require_where(self, where: Mapping[str, Sequence[str]]) -> None:
        """Raise ValueError where `where` names a column or a value that does not exist."""
        for column, values in where.items():
            exists = column in self.columns.column_names and len(self.columns)
            filter_where(self.distinct(column if exists else "metric"), {column: values})

    def placed(self, selection: Selection) -> Selection:
        """Fill the open choices of a selection from the places of what its `where` keeps."""
        kept = self.where(selection.where)
        places = kept.combinations(Place._fields) or kept.combinations(Place._fields, every=True)
        return resolve_at(selection, {Place(*place) for place in places})

    def where(self, where: Mapping[str, Sequence[str]]) -> LongTable:
        """Return the measurements with one of these values, or none at all, in each column."""
        return self._under(self._kept_by(where))

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

    def at(self, site: Scalar, position: Scalar) -> LongTable:
        """Return the measurements of exactly one site and position; None: those without one."""
        wanted = {"site": site, "position": position}
        columns = {name: self.columns[name] for name in wanted}
        return self._under(
            pc.is_null(columns[name])
            if value is None
            else pc.fill_null(pc.equal(columns[name], value), False)
            for name, value in wanted.items()
        )

    def select(self, selection: Selection) -> list[Row]:
        """Return the rows of a resolved selection, as the function `select` gives them."""
        kept = self._under(self._masks(selection))
        return select(to_rows(kept.columns), replace(selection, where={}))

    def combinations(
        self, columns: Sequence[str], *, every: bool = False
    ) -> set[tuple[Scalar, ...]]:
        """Return the combinations of values in these columns that have a number somewhere.

        Args:
            columns: the columns.
            every: whether those count, too, that have none.
        """
        names = list(dict.fromkeys(columns))
        measured = self.columns.select(names)
        if not every:
            measured = measured.filter(pc.is_valid(self.columns["value"]))
        rows = measured.group_by(names).aggregate([]).to_pylist()
        return {tuple(row[column] for column in columns) for row in rows}

    def _under(self, masks: Iterable[pa.ChunkedArray]) -> LongTable:
        """Return the measurements that every mask keeps."""
        whole: pa.ChunkedArray | None = None
        for mask in masks:
            whole = mask if whole is None else pc.and_(whole, mask)
        return self if whole is None else LongTable(columns=self.columns.filter(whole))

    def _masks(self, selection: Selection) -> Iterator[pa.ChunkedArray]:
        """Yield what each part of the selection keeps; a missing entry always stays."""
        yield from self._kept_by(selection.where)
        yield self._among("site", [selection.site])
        anywhere = pc.is_null(self.columns["site"])
        yield pc.or_(self._among("position", [selection.position]), anywhere)
        if selection.depths is not None:
            yield self._at(selection.depths)

    def _kept_by(self, where: Mapping[str, Sequence[str]]) -> Iterator[pa.ChunkedArray]:
        for column, values in where.items():
            if len(self.columns):
                kept = [value for value in self._values(column) if is_named(value, values)]
                yield self._among(column, kept)

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

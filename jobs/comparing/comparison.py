"""`Comparison`: all measurements of a study, and the tables that `analysis` makes of them."""

import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING

from cluster.errors import UserError, unknown_name
from jobs.comparing.measuring_kinds import headlines_of_kinds
from jobs.comparing.view import View

if TYPE_CHECKING:
    import pyarrow as pa

    from analysis.drawing.figure import Detail
    from analysis.long_table.circumstances import Circumstances
    from analysis.long_table.selection import Selection
    from analysis.measurement import Row
    from analysis.tables.layout import TableLayout
    from analysis.tables.table import Table


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All measurements of the gathered jobs, and the order of the axes."""

    gathered: "pa.Table"
    """All measurements, missing ones included, in the order in which they were read."""
    order: Mapping[str, Sequence[str]]
    """Axis -> its values in the study's order; empty for an axis that a job swept itself."""
    details: "Callable[[str], Sequence[Detail]]" = lambda name: ()
    """Return the tables of a name that jobs wrote for figures; they are read on demand."""
    circumstances: "Callable[[], Mapping[str, Circumstances]]" = dict
    """Return key of a job -> the circumstances of its measurements; they are read on demand."""

    doses: Sequence[str] = ()
    """The doses at which the numbers are read, in words; none: they are as they were measured."""
    as_measured: "Comparison | None" = None
    """The same at the snapshots, where the numbers are read at doses."""
    stages: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Key of a job -> the stages that it is of."""
    swept: Collection[str] = ()
    """Axes of which one job may have several values, each with a number of its own."""

    @cached_property
    def measurements(self) -> "pa.Table":
        """The long table: all measurements in canonical order."""
        from analysis.long_table.joining import canonical

        return canonical(self.gathered, self.axes)

    @cached_property
    def rows(self) -> "Sequence[Row]":
        """All measurements as Python rows, at a gigabyte of memory per million."""
        from analysis.long_table.columns import to_rows

        return to_rows(self.measurements)

    def ends_of_trainings(self) -> "pa.Table":
        """Return the measurements without those of models on the way of their training."""
        from analysis.dose.trajectories import ends_of_trainings
        from analysis.long_table.columns import to_table

        circumstances = self.circumstances()
        if all(about.step is None for about in circumstances.values()):
            return self.measurements
        return to_table(ends_of_trainings(self.rows, circumstances), self.axes)

    def where(self, kept: Mapping[str, Sequence[str]]) -> "Comparison":
        """Return the same of the measurements with one of these values, or none, in each column.

        Raises:
            UserError: a column or value does not exist.
        """
        from analysis.long_table.query import LongTable

        measured = LongTable(columns=self.gathered)
        try:
            measured.require_where(kept)
        except ValueError as fault:
            raise UserError(str(fault), where="--where") from fault
        return replace(self, gathered=measured.where(kept).columns)

    @property
    def axes(self) -> list[str]:
        """Axes in the study's order."""
        return list(self.order)

    def layout(self, view: View) -> "TableLayout":
        """Return how `analysis` lays the table out."""
        from analysis.tables.layout import TableLayout, headline_places

        measured = set(self.gathered["metric"].unique().to_pylist())
        places = {**headline_places(), **headlines_of_kinds()}
        metrics = view.metrics
        if metrics is None:
            metrics = sorted(places, key=lambda name: places[name])
        return TableLayout(
            rows=tuple(view.rows),
            columns=None if view.columns is None else tuple(view.columns),
            metrics=tuple(name for name in metrics if name in measured),
            seeds=view.seeds,
            order=self.order,
            controls=view.controls,
        )

    def table(self, view: View) -> "Table":
        """Return the comparison table. Raises UserError for names in the view that do not exist."""
        from analysis.tables.comparison_table import compare

        layout, selection = self.layout(view), selection_of(view)
        try:
            table = compare(
                self.gathered,
                layout=layout,
                selection=selection,
                title=view.title,
                references=view.references,
                circumstances=self.circumstances(),
            )
        except ValueError as fault:
            raise UserError(str(fault), where="compare") from fault
        return self._with_doses(table)

    def _with_doses(self, table: "Table") -> "Table":
        """Return a table whose caption says at which dose it stands."""
        if not self.doses:
            return table
        doses = f"At equal dose: {'; '.join(self.doses)}; read between snapshots, never beyond."
        return replace(table, caption=f"{doses} {table.caption}".rstrip())

    def scaling(self, view: View) -> "Table":
        """Return the table of power laws over parameters (with and without embeddings) and width.

        Published references do not enter the fits.
        """
        from analysis.tables.scaling_table import scaling_table

        layout, selection = self.layout(view), selection_of(view)
        return self._with_doses(scaling_table(self.gathered, layout=layout, selection=selection))

    def contrasts(self, view: View, own: View | None = None) -> "Table":
        """Return the table of the view's contrasts.

        Args:
            view: what is shown.
            own: what the study itself says: its contrasts and its place make the families; None:
                the same view.

        Raises:
            UserError: a contrast or another name does not exist.
        """
        from analysis.tables.contrast_table import contrast_table

        own = own or view
        try:
            table = contrast_table(
                self.gathered,
                contrasts=view.contrasts,
                declared=own.contrasts,
                place=selection_of(own),
                layout=self.layout(view),
                selection=selection_of(view),
                stages=self.stages,
                circumstances=self.circumstances(),
            )
        except ValueError as fault:
            raise UserError(str(fault), where="compare") from fault
        return self._with_doses(table)


def selection_of(view: View, *, every_layer: bool = False) -> "Selection":
    """Return the part of the measurements that a view shows."""
    from analysis.long_table.selection import Selection

    depths = None if every_layer else (view.depth,)
    return Selection(site=view.site, position=view.position, depths=depths, where=view.filters())


def rendered(table: "Table", form: str, width: int | None = None) -> bytes:
    """Return the table as a file of a format.

    Args:
        table: the table.
        form: name of the format.
        width: columns of the terminal that it is read on; None: it goes into a file.

    Raises:
        UserError: the format does not exist.
    """
    from analysis.tables.writer import WRITERS

    if form == "terminal" and width is not None:
        from analysis.tables.writers.terminal import render

        return render(table, width)
    try:
        return WRITERS.find(form).render(table)
    except ValueError as fault:
        raise UserError(str(fault), where="--format") from fault


def long_table(comparison: Comparison, form: str) -> bytes:
    """Return all measurements as csv, parquet or json, full precision."""
    from analysis.long_table.files import to_csv, to_parquet

    writers: Mapping[str, Callable[[pa.Table], bytes]] = {
        "csv": to_csv,
        "parquet": to_parquet,
        "json": lambda table: (json.dumps(table.to_pylist(), indent=0) + "\n").encode(),
    }
    if form not in writers:
        raise unknown_name("format of the long table", form, writers, where="--format")
    return writers[form](comparison.measurements)

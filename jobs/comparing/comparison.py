"""From what many jobs measured to the long table, the comparison table and the figures.

The kind `compare` and the verb `compare` both go this way; missing cells carry their reason.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError, unknown_name
from jobs.artifact import Artifact
from jobs.comparing.view import View
from jobs.job import Cell

if TYPE_CHECKING:
    from analysis.layout import Layout
    from analysis.measurement import Row
    from analysis.table import Table

MODEL_FACTS = (
    "family", "num_parameters", "num_parameters_non_embedding", "d_model", "num_layers",
)  # fmt: skip
"""Columns that a missing measurement takes from another one of the same model."""


@dataclass(frozen=True, kw_only=True)
class Source:
    """One upstream job of a comparison, done or not."""

    stage: str
    """Its stage."""
    cell: Cell
    """Its cell: becomes the axes' columns."""
    artifact: Artifact | None
    """What it measured, or None when there is nothing."""
    status: str = "ok"
    """Why there is nothing, as a Status of the Measurement schema."""
    reason: str | None = None
    """The same in words."""


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """All measurements of the gathered jobs, as canonical rows, and the order of the axes."""

    rows: "Sequence[Row]"
    """Measurements, missing ones included."""
    order: Mapping[str, Sequence[str]]
    """Axis -> its values, both in the study's order."""

    @property
    def axes(self) -> list[str]:
        """Axes in the study's order."""
        return list(self.order)

    def layout(self, view: View) -> "Layout":
        """How `analysis` is told to lay the table out."""
        from analysis.layout import METRIC_ORDER, Layout

        measured = {row["metric"] for row in self.rows}
        shown = METRIC_ORDER if view.metrics is None else view.metrics
        return Layout(
            rows=tuple(view.rows),
            columns=None if view.columns is None else tuple(view.columns),
            metrics=tuple(name for name in shown if name in measured),
            seeds=view.seeds,
            order=self.order,
        )

    def table(self, view: View) -> "Table":
        """The comparison table. Raises UserError for a view that names what does not exist."""
        from analysis.comparison import compare
        from analysis.selection import Selection

        selection = Selection(
            site=view.site, position=view.position, depths=(view.depth,), where=view.filters()
        )
        try:
            return compare(
                self.rows, layout=self.layout(view), selection=selection, title=view.title
            )
        except ValueError as fault:
            raise UserError(str(fault), where="compare") from fault

    def scaling(self, view: View) -> "Table":
        """The table of power laws over counted parameters."""
        from analysis.scaling import scaling_table
        from analysis.selection import Selection

        selection = Selection(
            site=view.site, position=view.position, depths=(view.depth,), where=view.filters()
        )
        return scaling_table(
            self.rows,
            layout=self.layout(view),
            selection=selection,
            against=("num_parameters",),
        )


def collect(sources: Sequence[Source]) -> Comparison:
    """Read what the sources measured; a source without an artifact gives rows with its reason.

    Nothing depends on the order in which stages were gathered, because the key does not either.
    """
    from analysis.measurement import axis_column, to_rows, to_table

    sources = sorted(sources, key=lambda source: source.stage)
    axes = sorted({axis for source in sources for axis in source.cell})
    order: dict[str, dict[str, None]] = {axis_column(axis): {} for axis in axes}
    for source in sources:
        for axis, value in source.cell.items():
            order[axis_column(axis)][value] = None
    measured = {id(source): list(_measured(source)) for source in sources if source.artifact}
    rows = [row for found in measured.values() for row in found]
    for source in sources:
        if source.artifact is None:
            siblings = [found for found in sources if found.stage == source.stage]
            seen = [row for found in siblings for row in measured.get(id(found), ())]
            rows += _missing(source, seen, rows)
    table = to_table(rows, [axis for axis in order if axis != "model"])
    return Comparison(
        rows=to_rows(table), order={axis: list(values) for axis, values in order.items()}
    )


def terminal_view(table: "Table", width: int) -> Any:
    """The table for a rich console of this width."""
    from analysis.writers.terminal import renderable

    return renderable(table, width)


def rendered(table: "Table", form: str) -> bytes:
    """The table as a file in one of the formats. Raises UserError for a format that is not one."""
    from analysis.writer import writer

    try:
        return writer(form).render(table)
    except ValueError as fault:
        raise UserError(str(fault), where="--format") from fault


def long_table(comparison: Comparison, form: str) -> bytes:
    """All measurements as csv or parquet, full precision."""
    from analysis.measurement import to_table
    from analysis.measurement_formats import to_csv, to_parquet

    writers = {"csv": to_csv, "parquet": to_parquet}
    if form not in writers:
        raise unknown_name("format of the long table", form, writers, where="--format")
    axes = [axis for axis in comparison.axes if axis != "model"]
    return writers[form](to_table(comparison.rows, axes))


def write_views(comparison: Comparison, view: View, folder: Path) -> None:
    """Write the long table, the comparison and scaling tables in every format, and the figures."""
    from analysis.writer import formats, writer

    folder.mkdir(parents=True, exist_ok=True)
    for form in ("csv", "parquet"):
        (folder / f"measurements.{form}").write_bytes(long_table(comparison, form))
    for name, table in (("table", comparison.table(view)), ("scaling", comparison.scaling(view))):
        for form in formats():
            chosen = writer(form)
            (folder / f"{name}{chosen.SUFFIX}").write_bytes(chosen.render(table))
    if view.figures:
        draw_figures(comparison, view, folder / "figures")


def draw_figures(comparison: Comparison, view: View, folder: Path) -> None:
    """One figure of each metric against size, and against depth where it has layers."""
    from analysis.figure import to_bytes

    folder.mkdir(parents=True, exist_ok=True)
    for name, figure in _figures(comparison, view):
        for suffix in ("png", "pdf"):
            (folder / f"{name}.{suffix}").write_bytes(to_bytes(figure, suffix))


def _figures(comparison: Comparison, view: View) -> Iterator[tuple[str, Any]]:
    from analysis.figures import against_depth, against_size, behaviour
    from analysis.layout import metrics_shown
    from analysis.seeds import over_seeds
    from analysis.selection import Selection, resolve, select

    layout = comparison.layout(view)
    for metric in metrics_shown(comparison.rows, layout.metrics):
        own = [row for row in comparison.rows if row["metric"] == metric]
        # A spectrum is drawn centred; the table and the long table hold both.
        own = [row for row in own if row["centred"] is not False]
        chosen = Selection(site=view.site, position=view.position, where=view.filters())
        whole = resolve(chosen, own)
        at_depth = over_seeds(
            select(own, resolve(Selection(**{**vars(chosen), "depths": (view.depth,)}), own)),
            view.seeds,
        )
        if not any(row["value"] is not None for row in own):
            continue
        if all(row["layer"] is None for row in own if row["value"] is not None):
            yield f"{metric}-behaviour", behaviour.draw(at_depth, layout=layout)
        else:
            label = _label(metric, own)
            yield (
                f"{metric}-against-size",
                against_size.draw(at_depth, layout=layout, label=label),
            )
            every = over_seeds(
                select(own, Selection(**{**vars(whole), "depths": None})), view.seeds
            )
            yield (
                f"{metric}-against-depth",
                against_depth.draw(every, layout=layout, label=label),
            )


def _label(metric: str, rows: "Sequence[Row]") -> str:
    """A metric's name on an axis; a spectrum says that it is the centred one."""
    from analysis.figure import readable

    centred = any(row["centred"] for row in rows)
    return f"{readable(metric)} (centred)" if centred else readable(metric)


def _measured(source: Source) -> Iterator[dict[str, Any]]:
    from analysis.measurement_formats import from_parquet

    assert source.artifact is not None
    own = _columns(source.cell) | {"key": source.artifact.key}
    for row in from_parquet(source.artifact.read("measurements.parquet")).to_pylist():
        yield {**row, "model": _model_name(row), **own}


def _missing(
    source: Source, siblings: Sequence[Mapping[str, Any]], rows: Sequence[Mapping[str, Any]]
) -> Iterator[dict[str, Any]]:
    """One row per metric that the stage measures elsewhere, with the reason and no value."""
    own = _columns(source.cell)
    same_model = next((row for row in rows if row.get("model") == own.get("model")), {})
    facts = {name: same_model.get(name) for name in MODEL_FACTS}
    for metric in dict.fromkeys(row["metric"] for row in siblings):
        yield {**facts, **own, "metric": metric, "status": source.status, "reason": source.reason}


def _columns(cell: Cell) -> dict[str, str]:
    from analysis.measurement import axis_column

    return {axis_column(axis): value for axis, value in cell.items()}


def _model_name(row: Mapping[str, Any]) -> str:
    """A model's name where the study has no axis `model`: its family and counted parameters."""
    return f"{row['family']}-{row['num_parameters']}"

"""The measurements of one cell that a user names: `metric,axis=value,…`, as a table shows it."""

import math
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from analysis.measurement import IDENTITY, Role, Row, Scalar, label_of, with_role
from cluster.errors import UserError, unknown_name
from jobs.comparing.comparison import Comparison, selection_of
from jobs.comparing.view import View

if TYPE_CHECKING:
    from analysis.long_table.selection import Selection

WHERE = "--trace"
_HINT = "METRIC,axis=value,axis=value: axes, model, site, layer, depth, position, centred"
_MAX_CANDIDATES = 20
"""Cells that a message lists."""


def rows_of_cell(comparison: Comparison, view: View, text: str) -> list[Row]:
    """Return the rows behind one cell: one, or one per seed.

    What the text leaves open is as the view shows it (site, position, depth).

    Raises:
        UserError: a name does not exist, or several cells match; the message lists candidates.
    """
    import pyarrow.compute as pc

    from analysis.long_table.columns import to_rows

    metric, filters = _parse(text)
    measured = comparison.gathered
    metrics = measured["metric"].unique().to_pylist()
    if metric not in metrics:
        raise unknown_name("metric", metric, metrics, where=f"{WHERE} {text!r}")
    of_metric = to_rows(measured.filter(pc.equal(measured["metric"], metric)))
    depth = filters.pop("depth", None)
    rows = _filter_rows(of_metric, filters, text)
    if not rows:
        raise UserError(
            "no measurement matches",
            where=f"{WHERE} {text!r}",
            allowed=_candidates(of_metric, view.seeds),
            code="unknown-cell",
        )
    if len(_cells(rows, view.seeds)) > 1 or depth is not None:
        at = view if depth is None else view.model_copy(update={"depth": _fraction(depth, text)})
        selection = selection_of(at, every_layer="layer" in filters)
        rows = _at_place(comparison, selection, rows)
    cells = _cells(rows, view.seeds)
    if len(cells) > 1:
        raise UserError(
            f"{text!r} matches {len(cells)} cells",
            where=WHERE,
            allowed=_candidates(rows, view.seeds, filters),
            hint="name one of them: add the axis that tells them apart",
            code="ambiguous-cell",
        )
    return rows


def describe_row(row: Mapping[str, Scalar]) -> Iterator[str]:
    """Write one measurement in full precision, line by line."""
    numbers = with_role(Role.ESTIMATE, Role.CONTROL, Role.COUNT)
    apart = (*numbers, *with_role(Role.LEFT_OUT), "metric", "definition", "reason")
    where = (
        f"{name}={value}" for name, value in row.items() if name not in apart and value is not None
    )
    yield f"{row['metric']}  {' '.join(where)}"
    yield "  " + "  ".join(f"{name} {row[name]!r}" for name in numbers if row[name] is not None)
    for name in ("reason", "definition"):
        if row[name]:
            yield f"  {name}: {row[name]}"


def _parse(text: str) -> "tuple[str, dict[str, list[str]]]":
    """Return the metric, and column -> accepted values; a part without `=` is one more value.

    A value may hold one itself, as the dose `snapshot=kl=0.5` does.
    """
    metric, *parts = [part.strip() for part in text.split(",")]
    filters: dict[str, list[str]] = {}
    column = ""
    for part in parts:
        before, equals, after = part.partition("=")
        column, value = (before, after) if equals else (column, before)
        if not column or not value:
            raise UserError(f"{part!r} is not axis=value", where=f"{WHERE} {text!r}", hint=_HINT)
        filters.setdefault(column, []).append(value)
    return metric, filters


def _filter_rows(rows: list[Row], filters: Mapping[str, Sequence[str]], text: str) -> list[Row]:
    from analysis.long_table.columns import axes_of

    columns = list(dict.fromkeys([*axes_of(rows[0]), *IDENTITY, "layer", "key"]))
    where = f"{WHERE} {text!r}"
    kept = rows
    for column, values in filters.items():
        if column not in columns:
            raise unknown_name("axis", column, columns, where=where)
        entries = {_label_of_value(column, row[column]): row[column] for row in rows}
        for value in values:
            if not any(_is_value(column, entry, [value]) for entry in entries.values()):
                raise unknown_name(f"value of {column}", value, entries, where=where)
        kept = [row for row in kept if _is_value(column, row[column], values)]
    return kept


def _is_value(column: str, entry: Scalar, written: Sequence[str]) -> bool:
    from analysis.long_table.selection import is_named

    is_number = entry is not None and is_named(entry, written)
    return is_number or _label_of_value(column, entry) in written


def _label_of_value(column: str, value: Scalar) -> str:
    """Return a value as a user writes it; the missing one as tables call it."""
    from analysis.long_table.selection import BLANKS

    if value is None:
        return BLANKS.get(column, "none")
    return f"{value:g}" if column == "depth" else label_of(value)


def _fraction(values: Sequence[str], text: str) -> float:
    """Return the depth that a user wrote. Raises UserError where it is no fraction."""
    try:
        (depth,) = map(float, values)
    except ValueError:
        depth = math.nan
    if not 0 <= depth <= 1:
        message = f"depth={','.join(values)} is not one number from 0 to 1"
        raise UserError(message, where=f"{WHERE} {text!r}")
    return depth


def _at_place(comparison: Comparison, selection: "Selection", rows: list[Row]) -> list[Row]:
    """Return rows where tables show them; those that were not measured there, where they were."""
    from dataclasses import replace

    from analysis.long_table.query import LongTable
    from analysis.long_table.selection import resolve, select

    shown = LongTable.of(comparison.gathered).placed(selection)
    kept = select(rows, replace(shown, where={}))
    if any(row["value"] is not None for row in kept):
        return kept
    place: dict[str, str | None] = {"site": selection.site, "position": selection.position}
    for name in place:
        values = {row[name] for row in rows if row[name] is not None}
        if len(values) == 1:
            place[name] = str(values.pop())
    own = replace(selection, site=place["site"], position=place["position"], where={})
    return select(rows, resolve(own, rows)) or kept or rows


def _cells(rows: Sequence[Row], seeds: str | None) -> dict[tuple[Scalar, ...], Row]:
    """Return one row per cell: what differs in more than the seed is another cell."""
    from analysis.long_table.columns import axes_of

    names = [name for name in (*axes_of(rows[0]), *IDENTITY) if name not in (seeds, "depth")]
    return {tuple(row[name] for name in (*names, "layer")): row for row in rows}


def _candidates(rows: Sequence[Row], seeds: str | None, asked: Collection[str] = ()) -> list[str]:
    """Return names of the cells there are: the columns asked for, and those that tell them apart.

    Each can be asked for as it is.
    """
    from analysis.long_table.columns import axes_of

    cells = list(_cells(rows, seeds).values())
    hidden = {seeds, "depth", "definition", "family", "num_parameters"}
    names = dict.fromkeys(
        name for name in (*axes_of(cells[0]), *IDENTITY, "layer") if name not in hidden
    )
    differing = [name for name in names if name in asked or len({cell[name] for cell in cells}) > 1]
    return [
        ",".join(
            [
                str(cell["metric"]),
                *(f"{name}={_label_of_value(name, cell[name])}" for name in differing),
            ]
        )
        for cell in cells[:_MAX_CANDIDATES]
    ]

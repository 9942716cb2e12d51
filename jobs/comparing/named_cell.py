"""The measurements of one cell that a user names: `metric,axis=value,…`, as a table shows it."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from analysis.measurement import IDENTITY, Role, Row, Scalar, label_of, with_role
from cluster.errors import UserError, unknown_name
from jobs.comparing.comparison import Comparison, selection_of
from jobs.comparing.view import View

if TYPE_CHECKING:
    from analysis.long_table.selection import Selection

WHERE = "--trace"
_HINT = "METRIC,axis=value,axis=value: axes, model, site, layer, depth, position, centred"
_MOST_TOLD = 20


def rows_of_cell(comparison: Comparison, view: View, text: str) -> list[Row]:
    """Return the rows behind one cell: one, or one per seed.

    What the text leaves open is as the view shows it (site, position, depth). Raises UserError for
    names that do not exist, and, with the candidates, where several cells are meant.
    """
    import pyarrow.compute as pc

    from analysis.long_table.columns import to_rows
    from analysis.long_table.selection import select

    metric, named = _parsed(text)
    measured = comparison.gathered
    known = measured["metric"].unique().to_pylist()
    if metric not in known:
        raise unknown_name("metric", metric, known, where=f"{WHERE} {text!r}")
    of_metric = to_rows(measured.filter(pc.equal(measured["metric"], metric)))
    depth = named.pop("depth", None)
    rows = _filtered(of_metric, named, text)
    if not rows:
        raise UserError(
            "no measurement is of this cell",
            where=f"{WHERE} {text!r}",
            allowed=_candidates(of_metric, view.seeds),
        )
    if len(_cells(rows, view.seeds)) > 1 or depth is not None:
        shown = view if depth is None else view.model_copy(update={"depth": _fraction(depth, text)})
        selection = selection_of(shown, every_layer="layer" in named)
        rows = select(rows, _narrowed(selection, rows)) or rows
    if len(_cells(rows, view.seeds)) > 1:
        raise UserError(
            f"{text!r} means {len(_cells(rows, view.seeds))} cells",
            where=WHERE,
            allowed=_candidates(rows, view.seeds),
            hint="name one of them: add the axis that tells them apart",
        )
    return rows


def describe_row(row: Mapping[str, Scalar]) -> Iterator[str]:
    """Write one measurement in full precision, line by line."""
    numbers = with_role(Role.ESTIMATE, Role.CONTROL, Role.COUNT)
    apart = (*numbers, "metric", "definition", "reason")
    where = (
        f"{name}={value}" for name, value in row.items() if name not in apart and value is not None
    )
    yield f"{row['metric']}  {' '.join(where)}"
    yield "  " + "  ".join(f"{name} {row[name]!r}" for name in numbers if row[name] is not None)
    for name in ("reason", "definition"):
        if row[name]:
            yield f"  {name}: {row[name]}"


def _parsed(text: str) -> "tuple[str, dict[str, list[str]]]":
    """Return the metric, and column -> accepted values; a part without `=` is one more value."""
    metric, *parts = [part.strip() for part in text.split(",")]
    named: dict[str, list[str]] = {}
    column = ""
    for part in parts:
        before, equals, value = part.rpartition("=")
        column = before if equals else column
        if not column or not value:
            raise UserError(f"{part!r} is not axis=value", where=f"{WHERE} {text!r}", hint=_HINT)
        named.setdefault(column, []).append(value)
    return metric, named


def _filtered(rows: list[Row], named: Mapping[str, Sequence[str]], text: str) -> list[Row]:
    from analysis.long_table.columns import axes_of

    columns = list(dict.fromkeys([*axes_of(rows[0]), *IDENTITY, "layer", "key"]))
    kept = rows
    for column, values in named.items():
        if column not in columns:
            raise unknown_name(
                "axis",
                column,
                columns,
                where=f"{WHERE} {text!r}",
            )
        exist = dict.fromkeys(_written(column, row[column]) for row in rows)
        for value in values:
            if value not in exist:
                what = f"value of {column}"
                raise unknown_name(what, value, exist, where=f"{WHERE} {text!r}")
        kept = [row for row in kept if _written(column, row[column]) in values]
    return kept


def _written(column: str, value: Scalar) -> str:
    """Return a value as a user writes it; the missing one as tables call it."""
    from analysis.tables.layout import BLANKS

    if value is None:
        return BLANKS.get(column, "none")
    return f"{value:g}" if column == "depth" and value is not None else label_of(value)


def _fraction(values: Sequence[str], text: str) -> float:
    try:
        (depth,) = map(float, values)
        assert 0 <= depth <= 1
    except (ValueError, AssertionError) as fault:
        raise UserError(
            f"depth={','.join(values)} is not one number from 0 to 1", where=f"{WHERE} {text!r}"
        ) from fault
    return depth


def _narrowed(selection: "Selection", rows: Sequence[Row]) -> "Selection":
    """Return the view's selection; where the rows are of one site or position only, of that."""
    from dataclasses import replace

    from analysis.long_table.selection import resolve

    only: dict[str, str | None] = {"site": selection.site, "position": selection.position}
    for name in only:
        found = {row[name] for row in rows if row[name] is not None}
        if len(found) == 1:
            only[name] = str(found.pop())
    chosen = replace(selection, site=only["site"], position=only["position"], where={})
    return resolve(chosen, rows)


def _cells(rows: Sequence[Row], seeds: str | None) -> dict[tuple[Scalar, ...], Row]:
    """Return one row per cell: what differs in more than the seed is another cell."""
    from analysis.long_table.columns import axes_of

    names = [name for name in (*axes_of(rows[0]), *IDENTITY) if name not in (seeds, "depth")]
    return {tuple(row[name] for name in (*names, "layer")): row for row in rows}


def _candidates(rows: Sequence[Row], seeds: str | None) -> list[str]:
    """Return the cells there are, told by the columns in which they differ."""
    return list(_told(list(_cells(rows, seeds).values()), seeds))[:_MOST_TOLD]


def _told(rows: Sequence[Row], seeds: str | None) -> Iterator[str]:
    from analysis.long_table.columns import axes_of

    hidden = {seeds, "depth", "definition", "family", "num_parameters"}
    names = [name for name in (*axes_of(rows[0]), *IDENTITY, "layer") if name not in hidden]
    apart = [name for name in names if len({row[name] for row in rows}) > 1]
    for row in rows:
        where = (f"{name}={_written(name, row[name])}" for name in dict.fromkeys(apart))
        yield ",".join([str(row["metric"]), *where])

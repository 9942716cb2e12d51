"""The table of contrasts: differences, p values over a family, and what the design could see."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import pyarrow as pa

from analysis.contrasts.cells import MODEL, blank_label
from analysis.contrasts.contrast import Contrast, resolve_contrast
from analysis.contrasts.contrasted import NO_SCATTER
from analysis.contrasts.families import Asked, Judged, judged
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import axes_of
from analysis.long_table.query import LongTable
from analysis.long_table.selection import VARIANT, Selection, is_named, not_there
from analysis.measurement import Measurement, Row, Scalar, label_at, label_of
from analysis.status import Status
from analysis.tables.layout import TableLayout, axis_values, metrics_shown, variant_labels
from analysis.tables.rounding import format_count, format_number
from analysis.tables.table import Cell, Header, Table, annotate

PARTS = ("difference", "p", "adjusted p", "smallest visible", "in family")
CAPTION = (
    "Differences of the first less the second value with 95 % intervals; where paired, by the "
    "jackknife over the prompt groups that both share, t on G - 1{seeds}. Adjusted p: Holm over "
    "the family, which does not depend on what is shown: these differences of the metric and stage "
    "{place}. Smallest visible: seen with 80 % chance at the family's strictest level, 5 % / size."
)
SEEDS = ", joined in squares with the scatter over seeds (in brackets, of the side with fewer)"
"""What the interval of a difference of means over seeds holds, too."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Line:
    """One difference."""

    metric: str
    contrast: Contrast
    row: Row
    judged: Judged
    at: int


def contrast_table(
    data: pa.Table,
    *,
    contrasts: Sequence[str],
    declared: Sequence[str] = (),
    place: Selection | None = None,
    layout: TableLayout | None = None,
    selection: Selection | None = None,
    stages: Mapping[str, Sequence[str]] | None = None,
    circumstances: Mapping[str, Circumstances] | None = None,
) -> Table:
    """Return the differences of contrasts, one per row, in every cell that both sides have.

    Args:
        data: all measurements of a study: families do not depend on what is shown of them.
        contrasts: `axis=first-second`, each.
        declared: those that the study itself declares.
        place: the study's own place; None: the default one.
        layout: metrics shown, order of values, axis of seeds.
        selection: the place that is shown, and `where`.
        stages: key of a job -> the stages that it is of.
        circumstances: key of a job -> circumstances of its measurements.

    Raises:
        ValueError: a contrast, metric or `where` names what does not exist.
    """
    layout, measured = layout or TableLayout(), LongTable.of(data)
    labels = contrast_labels(measured, layout)
    wanted = [resolve_contrast(text, labels) for text in dict.fromkeys(contrasts)]
    shown, own = selection or Selection(), place or Selection()
    measured.require_where(shown.where)
    metrics = metrics_shown(measured.distinct("metric"), layout.metrics)
    known = [resolve_contrast(text, labels) for text in declared]
    lines: list[_Line] = []
    without: dict[tuple[str, str], list[str]] = {}
    for metric in metrics:
        asked = Asked(
            measured=measured.of_metrics([metric]),
            place=own,
            shown=shown,
            declared=known,
            seeds=layout.seeds,
            stages=stages or {},
            circumstances=circumstances or {},
        )
        for contrast in wanted:
            of = judged(asked, contrast)
            lines += _lines(metric, contrast, of, shown)
            if of.why_none:
                without.setdefault((contrast.text, of.why_none), []).append(metric)
    table = _table(lines, layout, _place_in_words(measured, own, shown))
    for (contrast_text, why), of_metrics in without.items():
        told = f"No cell has both sides of {contrast_text} of {', '.join(of_metrics)}: {why}."
        table = replace(table, caption=f"{table.caption} {told}")
    if (chosen := measured.placed(shown)).elsewhere:
        named = " and ".join(str(at) for at in (shown.site, shown.position) if at)
        table = replace(table, caption=f"{table.caption} Of {named} {not_there(chosen)}.")
    return annotate(table)


def contrast_labels(measured: LongTable, layout: TableLayout) -> dict[str, list[str]]:
    """Return axis -> labels of its values, in the study's order, `base` or `none` last."""
    labels = {}
    for axis in (MODEL, *axes_of(measured.columns.column_names)):
        values = axis_values(measured.distinct(axis), axis, layout)
        labels[axis] = [*(v for v in values if v is not None), blank_label(axis)]
    return labels


def _lines(metric: str, contrast: Contrast, of: Judged, shown: Selection) -> list[_Line]:
    lines = []
    for at in of.shown:
        row = of.of.pairs[at].place
        others = {name: v for name, v in shown.where.items() if name != contrast.axis}
        if all(row.get(n) is None or is_named(row[n], v) for n, v in others.items()):
            lines.append(_Line(metric=metric, contrast=contrast, row=row, judged=of, at=at))
    return lines


def _table(lines: Sequence[_Line], layout: TableLayout, where: str) -> Table:
    rows = [line.row for line in lines]
    apart = {id(line): _apart(line) for line in lines}

    def value_on(axis: str, line: _Line) -> Scalar:
        return None if axis in apart[id(line)] else line.row[axis]

    axes = [axis for axis in axes_of(rows[0] if rows else ()) if axis != layout.seeds]
    axes = [axis for axis in axes if any(value_on(axis, line) is not None for line in lines)]
    has_models = any(MODEL not in apart[id(line)] for line in lines)
    models = ("model", "parameters") if has_models else ()
    orders = {axis: axis_values(rows, axis, layout) for axis in axes}
    words = {
        metric: variant_labels(metric, [line.row for line in lines if line.metric == metric])
        for metric in dict.fromkeys(line.metric for line in lines)
    }
    contrasts = list(dict.fromkeys(line.contrast for line in lines))

    def rank(line: _Line) -> tuple[object, ...]:
        size = line.row["num_parameters"]
        variants = list(words[line.metric])
        return (
            list(words).index(line.metric),
            contrasts.index(line.contrast),
            variants.index(_variant(line.row)),
            *(orders[axis].index(label_at(line.row, axis)) for axis in axes),
            *((str(line.row["family"]), float("inf") if size is None else size) if models else ()),
            str(line.row["model"]),
        )

    def named_on(axis: str, line: _Line) -> Scalar:
        is_blank = line.row[axis] is None and axis not in apart[id(line)]
        return blank_label(axis) if is_blank else value_on(axis, line)

    def header(line: _Line, entry: Callable[[str, _Line], Scalar] = value_on) -> tuple[Scalar, ...]:
        facts: tuple[Scalar, ...] = ()
        if models and MODEL in apart[id(line)]:
            facts = (None, None)
        elif models:
            facts = (line.row["model"], line.row["num_parameters"])
        return (
            words[line.metric][_variant(line.row)],
            line.contrast.text,
            *facts,
            *(entry(axis, line) for axis in axes),
            _place_of(line),
            line.judged.stages[line.at],
            _pairing(line),
        )

    ordered = sorted(lines, key=rank)
    pairs = [line.judged.of.pairs[line.at] for line in lines]
    has_seeds = any(len(side) > 1 for pair in pairs for side in (pair.first, pair.second))
    return Table(
        title="Contrasts",
        row_levels=("metric", "contrast", *models, *axes, "place", "stage", "pairing"),
        rows=tuple(_in_words(header(line, named_on), 3 if models else None) for line in ordered),
        row_values=tuple(header(line) for line in ordered),
        column_levels=("part",),
        columns=tuple((part,) for part in PARTS),
        cells=tuple(tuple(_cells(line)) for line in ordered),
        caption=CAPTION.format(place=where, seeds=SEEDS * has_seeds),
    )


def _apart(line: _Line) -> set[str]:
    """Return the contrast's axis, and others, `model` among them, on which both sides differ."""
    pair = line.judged.of.pairs[line.at]
    first, second = (next(iter(side.values())) for side in (pair.first, pair.second))
    both = (name for name in (MODEL, *axes_of(first)) if None not in (first[name], second[name]))
    return {line.contrast.axis, *(name for name in both if first[name] != second[name])}


def _in_words(side: tuple[Scalar, ...], parameters: int | None) -> Header:
    return tuple(
        format_count(value)
        if at == parameters and isinstance(value, int)
        else ("" if value is None else label_of(value))
        for at, value in enumerate(side)
    )


def _variant(row: Row) -> tuple[Scalar, ...]:
    return tuple(row[name] for name in VARIANT)


def _place_of(line: _Line) -> str:
    row = line.row
    depth = row["depth"]
    at = f"{depth:.3g}" if isinstance(depth, float) else None
    return " ".join(str(part) for part in (row["site"], at, row["position"]) if part is not None)


def _place_in_words(measured: LongTable, own: Selection, shown: Selection) -> str:
    places = [measured.resolved(replace(s, where={})) for s in (own, shown)]
    if any(getattr(places[0], n) != getattr(places[1], n) for n in ("site", "position", "depths")):
        return "at every place, because the study's own is not what is shown"
    site, position, depths = places[0].site, places[0].position, places[0].depths or (0.0,)
    return f"at the study's place ({site or 'no site'}, depth {depths[0]:.3g}, {position})"


def _difference(line: _Line) -> int | None:
    """Return the place of a line's difference; None where it was refused."""
    return line.judged.place_of.get(line.at)


def _pairing(line: _Line) -> str:
    at = _difference(line)
    if at is None:
        return ""
    return "paired" if line.judged.of.is_paired[at] else "independent"


def _cells(line: _Line) -> list[Cell]:
    pair, of = line.judged.of.pairs[line.at], line.judged.of
    keys = {str(row["key"]) for side in (pair.first, pair.second) for row in side.values()}
    blank = Measurement(
        metric=line.metric,
        definition=f"difference of {line.contrast.text}, of {line.row['definition']}",
        key=" ".join(sorted(key for key in keys if key != "None")) or None,
    )
    at = _difference(line)
    if at is None:
        status, reason = of.refusals[line.at]
        missing = replace(blank, status=status, reason=reason)
        return [Cell(number=missing) for _ in PARTS]
    difference = replace(
        blank,
        value=float(of.differences.value[at]),
        low=float(line.judged.low[at]),
        high=float(line.judged.high[at]),
        num_seeds=of.seeds[at],
        reason=of.remarks[at] or None,
    )
    judged_by = (
        float(line.judged.p_values[at]),
        float(line.judged.adjusted[at]),
        float(line.judged.visible[at]),
    )
    size = replace(blank, value=float(line.judged.sizes[at]))
    return [
        Cell(number=difference),
        *(_number(blank, value) for value in judged_by),
        Cell(number=size),
    ]


def _number(blank: Measurement, value: float) -> Cell:
    if value != value:  # no group moves the difference
        return Cell(number=replace(blank, status=Status.UNDEFINED, reason=NO_SCATTER))
    return Cell(number=replace(blank, value=value), shown=format_number(value, 2))

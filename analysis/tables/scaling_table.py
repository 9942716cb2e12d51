"""The table of power laws: how each metric grows with size, per family; refused where thin."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import pandas as pd
import pyarrow as pa

from analysis.long_table.query import LongTable
from analysis.long_table.seeds import over_seeds
from analysis.long_table.selection import VARIANT, Selection, describe
from analysis.measurement import Measurement, Row, label_at
from analysis.status import Status
from analysis.tables.elsewhere import rows_shown
from analysis.tables.exponent_agreement import disagreement
from analysis.tables.layout import TableLayout, axes_of_fits, axis_values, blank_name, metrics_shown
from analysis.tables.layout import variant_labels as labels_of
from analysis.tables.power_laws import REMEDY, SIZES, UNSHARED, PowerLaw, fit_families
from analysis.tables.table import Cell, Header, Table, annotate

PARTS = ("exponent", "leave one out, least", "leave one out, most", "sizes")


def scaling_table(
    data: "pa.Table | pd.DataFrame | Iterable[Mapping[str, object]]",
    *,
    layout: TableLayout | None = None,
    selection: Selection | None = None,
    against: Sequence[str] = tuple(SIZES),
) -> Table:
    """Return exponents of value = prefactor * size ^ exponent per metric, condition and family.

    Whatever tells conditions apart, down the side or across: no fit is over several of them. Fewer
    than four sizes give a dash with the reason; four and five are footnoted descriptive.
    """
    layout, measured = layout or TableLayout(), LongTable.of(data)
    layout = layout.of_each_seed(layout.columns or ())
    selection = selection or Selection()
    measured.require_where(selection.where)
    metrics = metrics_shown(measured.distinct("metric"), layout.metrics)
    measured = measured.of_metrics(metrics)
    chosen = measured.placed(selection)
    rows = over_seeds(rows_shown(measured, chosen, layout.seeds), layout.seeds)
    axes = axes_of_fits(rows, layout)
    sides: list[Header] = []
    cells: list[tuple[Cell, ...]] = []
    for metric in metrics:
        of_metric = [row for row in rows if row["metric"] == metric]
        for header, series in _series(of_metric, axes, layout):
            for laws in zip(*(fit_families(series, size) for size in against), strict=True):
                sides.append((*header, laws[0].family))
                keys = _keys(series, laws[0].family)
                apart = disagreement(laws)
                parts = [_cells(metric, law, keys, apart) for law in laws]
                cells.append(tuple(cell for cells_of_law in parts for cell in cells_of_law))
    caption = (
        f"{describe(chosen)}. A line in logarithms through one point per size; 95 % intervals join "
        "the jackknife over the prompt groups that sizes share with the scatter between sizes "
        "(Knapp and Hartung's t with n - 2); the range over fits that leave one size out. Families "
        "are fitted apart; `mixed` confounds size with architecture."
    )
    remarks = (str(line[0].number.reason) for line in cells)
    caption += f" {REMEDY}" if any(UNSHARED in remark for remark in remarks) else ""
    return annotate(
        Table(
            title="Scaling exponents",
            row_levels=("metric", *axes, "family"),
            rows=tuple(sides),
            column_levels=("against", "part"),
            columns=tuple((size, part) for size in against for part in PARTS),
            cells=tuple(cells),
            caption=caption.lstrip(". "),
        )
    )


def _series(
    rows: Sequence[Row], axes: Sequence[str], layout: TableLayout
) -> Iterable[tuple[Header, list[Row]]]:
    """Yield header and rows of one metric, variant and condition, in the order of the tables."""
    orders = {axis: axis_values(rows, axis, layout) for axis in axes}
    having = {axis: any(value is not None for value in orders[axis]) for axis in axes}
    for variant, label in labels_of(str(rows[0]["metric"]) if rows else "", rows).items():
        groups: dict[tuple[str | None, ...], list[Row]] = {}
        for row in rows:
            if tuple(row[name] for name in VARIANT) == variant:
                key = tuple(label_at(row, axis) for axis in axes)
                groups.setdefault(key, []).append(row)

        def rank(key: tuple[str | None, ...]) -> list[int]:
            return [orders[axis].index(value) for axis, value in zip(axes, key, strict=True)]

        for key in sorted(groups, key=rank):
            names = (
                value if value is not None else blank_name(axis, having[axis], layout)
                for axis, value in zip(axes, key, strict=True)
            )
            yield (label, *names), groups[key]


def _keys(rows: Sequence[Row], family: str) -> tuple[str, ...]:
    """Return jobs that measured the points of a family's fit, or of the mixed one."""
    fitted = [row for row in rows if row["family"] == family] or rows
    return tuple(dict.fromkeys(key for row in fitted for key in str(row["key"] or "").split()))


def _cells(
    metric: str, law: PowerLaw, keys: tuple[str, ...], apart: str | None
) -> tuple[Cell, ...]:
    """Return the PARTS of one fit; what was dropped or is only descriptive becomes a footnote."""
    remarks = []
    if law.descriptive:
        remarks.append("descriptive: 4 or 5 sizes do not make a law")
    if law.exponent is not None and law.dropped:
        remarks.append(f"left out: {law.dropped}")
    if law.exponent is not None:
        remarks += [remark for remark in (law.caution, apart) if remark]
    reason = law.reason or "; ".join(remarks) or None
    about = Measurement(metric=metric, definition="", status=law.status, key=" ".join(keys) or None)
    exponent = replace(about, reason=reason)
    if (slope := law.exponent) is not None:
        exponent = replace(exponent, value=slope.value, low=slope.low, high=slope.high)
    ends = (
        replace(about, value=value, reason=law.reason)
        for value in (law.leave_one_out_low, law.leave_one_out_high)
    )
    sizes = replace(about, value=float(law.num_sizes), status=Status.OK)
    return tuple(Cell(number=number) for number in (exponent, *ends, sizes))

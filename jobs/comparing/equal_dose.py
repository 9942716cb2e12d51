"""A comparison whose numbers are read at doses of training, in place of its snapshots."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from analysis.measurement import Row, Scalar
from jobs.comparing.comparison import Comparison
from jobs.comparing.view import View


def at_doses(comparison: Comparison, view: View) -> Comparison:
    """Return a comparison at the doses of its view; the comparison itself where it has none.

    Numbers of the base stay; those of aligned models that are no snapshots have no known dose and
    are left out. What no snapshot measured keeps its reason.
    """
    if not view.doses:
        return comparison
    from analysis.dose.equal_dose import rows_at
    from analysis.dose.trajectories import SNAPSHOT, snapshot_axes
    from analysis.long_table.columns import to_rows, to_table

    rows = to_rows(comparison.gathered)
    along = snapshot_axes(rows, comparison.circumstances()) or (SNAPSHOT,)
    kept, circumstances = rows_at(rows, view.doses, comparison.circumstances())
    labels = [dose.label for dose in view.doses]
    kept += _never_measured(rows, kept, labels, along)
    return replace(
        comparison,
        gathered=to_table(kept, list(dict.fromkeys([*comparison.axes, *along]))),
        order={**comparison.order, along[0]: labels},
        circumstances=lambda: circumstances,
        doses=tuple(dose.words for dose in view.doses),
        as_measured=comparison,
    )


def _never_measured(
    rows: Sequence[Row], kept: Sequence[Row], labels: Sequence[str], along: Sequence[str]
) -> Iterator[Row]:
    """Yield rows of jobs without any artifact, at each dose, where no snapshot has the number."""
    from analysis.long_table.columns import axes_of

    axes = [axis for axis in axes_of(rows[0] if rows else ()) if axis not in along]

    def cell(row: Row) -> tuple[Scalar, ...]:
        return (*(row.get(axis) for axis in axes), row["model"], row["metric"])

    known = {cell(row) for row in kept}
    for row in rows:
        if row["key"] is None and cell(row) not in known:
            known.add(cell(row))
            is_dosed = row.get(along[0]) is not None
            yield from ({**row, along[0]: label} for label in (labels if is_dosed else [None]))

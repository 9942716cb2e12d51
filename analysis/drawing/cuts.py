"""Cuts: the share of a study that one figure shows, where a study has more axes than a figure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Generic, TypeVar

from analysis.long_table.columns import axes_of
from analysis.measurement import Scalar, label_at
from analysis.tables.layout import TableLayout, axis_values

RowLike = TypeVar("RowLike", bound=Mapping[str, Scalar])


@dataclass(frozen=True, kw_only=True)
class Cut(Generic[RowLike]):
    """What one figure shows."""

    suffix: str
    """End of the figure's name: the values that it is of, each after a hyphen."""
    title: str
    """Values that it is of, in words."""
    note: str
    """Values that stand for others which no figure shows; empty where there are no others."""
    rows: Sequence[RowLike]
    """Its rows."""


def cuts(
    rows: Sequence[RowLike],
    layout: TableLayout,
    *,
    each: Sequence[str] = ("objective",),
    inside: Sequence[str] = (),
) -> Iterator[Cut[RowLike]]:
    """One cut per value of the axes `each`; those `inside` and the model vary within a figure.

    Of any other axis, seeds too, the study's first value stands for all, which the note says.
    """
    if not rows:
        return
    axes = [name for name in axes_of(rows[0]) if name not in inside]
    values = {name: _present(rows, name, layout) for name in axes}
    spread = [name for name in axes if name in each and len(values[name]) > 1]
    pinned = {name: values[name][0] for name in axes if name not in spread and values[name]}
    kept = [row for row in rows if all(_at(row, name, pinned[name]) for name in pinned)]
    several = [f"{name} {value}" for name, value in pinned.items() if len(values[name]) > 1]
    note = f"Shown for {', '.join(several)} only." if several else ""
    for chosen in product(*(values[name] for name in spread)):
        own = [
            row
            for row in kept
            if all(_at(row, name, value) for name, value in zip(spread, chosen, strict=True))
        ]
        if own:
            suffix = "".join(f"-{_in_a_name(value)}" for value in chosen)
            yield Cut(suffix=suffix, title=", ".join(chosen), note=note, rows=own)


def _present(rows: Sequence[RowLike], name: str, layout: TableLayout) -> list[str]:
    """Return values of an axis in the study's order, blanks left out."""
    return [value for value in axis_values(rows, name, layout) if value is not None]


def _at(row: Mapping[str, Scalar], name: str, value: str) -> bool:
    """Return whether a row is of this value, or does not depend on the axis."""
    return label_at(row, name) in (None, value)


def _in_a_name(value: str) -> str:
    """Return a value as part of a file's name."""
    return re.sub(r"[^\w.+-]", "_", value)

"""A metric against relative depth: where in the network is it, at every size?"""

from collections.abc import Sequence
from itertools import product
from typing import TYPE_CHECKING

from analysis.figure import (
    MARKERS,
    drawable,
    finish,
    half_widths,
    label_values,
    number,
    panels,
    readable,
    style,
    value_limits,
)
from analysis.layout import Layout, axis_values
from analysis.measurement import Row, Scalar
from analysis.rounding import format_count

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def draw(
    rows: Sequence[Row],
    *,
    panels_by: Sequence[str] = ("objective", "condition"),
    layout: Layout | None = None,
    label: str | None = None,
) -> "Figure":
    """One panel per combination of `panels_by`; one line per model, darker for larger.

    `rows` are of one metric at one site and position, every layer, combined over seeds.
    """
    layout = layout or Layout()
    known = [row for row in drawable(rows) if row["layer"] is not None]
    used = [axis for axis in panels_by if known and axis in known[0]]
    values = {axis: axis_values(known, axis, layout) for axis in used}
    seen = {_key(row, used) for row in known} or {()}
    keys = [key for key in product(*values.values()) if key in seen]
    titles = [", ".join(part for part in key if part) or " " for key in keys]
    with style():
        figure, axes = panels(titles, across=len(values[used[-1]]) if used else 1)
        shades = _shades(known)
        for axis, key in zip(axes, keys, strict=True):
            _lines(axis, [row for row in known if _key(row, used) == key], shades)
            axis.set_xlim(-0.03, 1.03)
            axis.set_xlabel("relative depth")
            axis.set_ylim(value_limits(known, log=False))
        label_values(axes, label or readable(str(rows[0]["metric"]) if rows else ""))
        finish(figure, axes)
    return figure


def _key(row: Row, names: Sequence[str]) -> tuple[str | None, ...]:
    return tuple(None if row[name] is None else str(row[name]) for name in names)


def _lines(axis: "Axes", rows: Sequence[Row], shades: dict[Scalar, tuple[str, str, str]]) -> None:
    for model, (text, shade, marker) in shades.items():
        own = [row for row in rows if row["model"] == model]
        own.sort(key=lambda row: number(row, "depth"))
        axis.errorbar(
            [number(row, "depth") for row in own],
            [number(row, "value") for row in own],
            yerr=half_widths(own) if own else None,
            color=shade,
            marker=marker,
            markersize=3.5,
            elinewidth=0.6,
            capsize=0,
            label=text,
        )


def _shades(rows: Sequence[Row]) -> dict[Scalar, tuple[str, str, str]]:
    """Model -> legend text, colour by rank of size (viridis but its pale end), family marker."""
    from matplotlib import colormaps
    from matplotlib.colors import to_hex

    facts = {row["model"]: row for row in rows}
    models = sorted(facts, key=lambda model: (number(facts[model], "num_parameters"), str(model)))
    families = sorted({str(row["family"]) for row in rows})
    shades: dict[Scalar, tuple[str, str, str]] = {}
    for rank, model in enumerate(models):
        size, family = facts[model]["num_parameters"], str(facts[model]["family"])
        fraction = 0.88 * (1 - rank / max(len(models) - 1, 1))
        text = f"{model} ({'?' if size is None else format_count(int(size))})"
        marker = MARKERS[families.index(family) % len(MARKERS)]
        shades[model] = (text, to_hex(colormaps["viridis"](fraction)), marker)
    return shades

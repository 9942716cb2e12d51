"""How each model is drawn wherever models are lines: darker for larger, a marker per family."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from analysis.drawing import marks
from analysis.drawing.row_values import half_widths, number
from analysis.measurement import Row, Scalar
from analysis.tables.rounding import format_count

RowLike = TypeVar("RowLike", bound=Mapping[str, Any])


@dataclass(frozen=True, kw_only=True)
class ModelStyle:
    """Of one model."""

    label: str
    """Its name and counted parameters."""
    colour: str
    """By rank of size, dark for large: viridis without its pale end, so that grey tells it too."""
    marker: str
    """By family."""
    dashes: Any
    """By rank of size, as matplotlib's linestyle."""


def model_styles(rows: Sequence[Mapping[str, Scalar]]) -> dict[str, ModelStyle]:
    """Return models by counted parameters, then name."""
    facts = {str(row["model"]): row for row in rows}
    families = sorted({str(row["family"]) for row in facts.values()})
    styles: dict[str, ModelStyle] = {}
    for rank, model in enumerate(ordered_models(rows)):
        family = str(facts[model]["family"])
        fraction = 0.88 * (1 - rank / max(len(facts) - 1, 1))
        styles[model] = ModelStyle(
            label=f"{model} ({_counted(facts[model])})",
            colour=to_hex(colormaps["viridis"](fraction)),
            marker=marks.MARKERS[families.index(family) % len(marks.MARKERS)],
            dashes=marks.DASHES[rank % len(marks.DASHES)],
        )
    return styles


def draw_models(
    axis: "Axes",
    rows: Sequence[Row],
    styles: Mapping[str, ModelStyle],
    at: Callable[[Row], float],
    **bars: float,
) -> None:
    """One line per model with its intervals, from left to right; `at` says where a row stands."""
    for model, look in styles.items():
        own = sorted((row for row in rows if row["model"] == model), key=at)
        axis.errorbar(
            [at(row) for row in own],
            [number(row, "value") for row in own],
            yerr=half_widths(own) if own else None,
            color=look.colour,
            marker=look.marker,
            linestyle=look.dashes,
            label=look.label,
            **{"elinewidth": 0.7, **bars},  # type: ignore[arg-type]  # the stubs want each by name
        )


def ordered_models(rows: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Return models by counted parameters, then name."""
    facts = {str(row["model"]): row for row in rows}
    return sorted(facts, key=lambda model: (_size(facts[model]), model))


def by_family(rows: Sequence[Mapping[str, Scalar]]) -> list[str]:
    """Return models by family, then counted parameters: the order of panels and bars."""
    facts = {str(row["model"]): row for row in rows}
    return sorted(
        facts, key=lambda model: (str(facts[model]["family"]), _size(facts[model]), model)
    )


def ticks_of(rows: Sequence[Mapping[str, Scalar]]) -> dict[str, str]:
    """Return models by family, then counted parameters, each with the text of its tick.

    That is family and size, and the name where others have both, as revisions of one model do.
    """
    facts = {str(row["model"]): row for row in rows}
    sizes = {
        model: f"{facts[model]['family']} {_counted(facts[model])}" for model in by_family(rows)
    }
    shared = {size for size, count in Counter(sizes.values()).items() if count > 1}
    return {model: model if size in shared else size for model, size in sizes.items()}


def _counted(row: Mapping[str, Scalar]) -> str:
    size = row["num_parameters"]
    return "?" if size is None else format_count(int(size))


def rows_by_model(rows: Sequence[RowLike]) -> dict[str, list[RowLike]]:
    """Group rows by model, in the order of `by_family`."""
    return {model: [row for row in rows if row["model"] == model] for model in by_family(rows)}


def draw_per_model(
    lines: Sequence[RowLike],
    draw_panel: "Callable[[Axes, list[RowLike]], None]",
    *,
    title: str,
    places: str,
    values: str,
    note: str,
    height: float = marks.PANEL_HEIGHT,
) -> "Figure":
    """Draw one panel per model, each on its own scale; `title` is filled in from its first line."""
    of_model = rows_by_model(lines)
    with marks.style():
        titles = [title.format_map(own[0]) for own in of_model.values()]
        figure, axes = marks.panels(titles, height=height, share=False)
        for axis, own in zip(axes, of_model.values(), strict=True):
            draw_panel(axis, own)
            axis.set_xlabel(places)
        marks.label_values(axes, values)
        marks.finish(figure, axes, note)
    return figure


def _size(row: Mapping[str, Scalar]) -> float:
    size = row["num_parameters"]
    return float("inf") if size is None else float(size)

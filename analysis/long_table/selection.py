"""Which measurements a table or a figure is about: site, relative depth, position, and `where`."""

import difflib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from analysis.long_table.columns import axes_of
from analysis.long_table.depth import align, layer_at
from analysis.long_table.places import (
    Pair,
    Place,
    chosen_depths,
    chosen_pair,
    in_words,
    layers_at,
    listed,
    options,
    places_of,
)
from analysis.measurement import Row, Scalar, label_of

VARIANT = ("centred", "site", "position", "depth", "compared_by", "definition")
"""Columns in which two numbers of one metric in one cell may differ."""

BLANKS = {"objective": "base"}
"""Axis -> name of numbers that do not have the axis, beside numbers that do; others: `none`."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which of a study's measurements a view shows."""

    site: str | None = None
    """Site of the activations; None takes the first of PREFERRED (places.py) that was measured."""
    position: str | None = None
    """Position policy; None takes the first of PREFERRED (places.py) that was measured."""
    depths: tuple[float, ...] | None = (0.75,)
    """Relative depths, by the rule of depth.py; None keeps every layer."""
    depths_asked: tuple[float, ...] = ()
    """Depths that were asked for, where not all models were measured: `depths` are the nearest."""
    lacking: tuple[str, ...] = ()
    """Models that were not measured at the depths asked for, where others were."""
    elsewhere: tuple[Pair, ...] = ()
    """Sites and positions with measurements, where the ones asked for have none."""
    where: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Column -> values to keep; a number that does not depend on the column is kept."""


def resolve(selection: Selection, rows: Iterable[Mapping[str, Scalar]]) -> Selection:
    """Return the selection with its open choices filled from what rows measured.

    Site and position are of one measurement. Where not every model was measured at one of the
    depths, it takes the nearest at which all were, as far as there is one.
    """
    return resolve_at(selection, places_of(rows))


def resolve_at(selection: Selection, places: Collection[Place]) -> Selection:
    """Return the selection with its open choices filled from the places that were measured."""
    site, position, elsewhere = chosen_pair(selection.site, selection.position, places)
    chosen = replace(selection, site=site, position=position, elsewhere=elsewhere)
    layers = layers_at(places, site, position)
    if not layers or not chosen.depths:
        return chosen
    depths, lacking = chosen_depths(chosen.depths, layers)
    if lacking is None:
        return chosen
    some = () if len(lacking) == len(layers) else lacking
    return replace(chosen, depths=depths, depths_asked=chosen.depths, lacking=some)


def select(rows: Sequence[Row], selection: Selection) -> list[Row]:
    """Return rows of a resolved selection, `depth` set to the selection's fraction.

    Rows without a site, layer or position (behaviour and failed jobs) are kept, and so is behaviour
    that has only positions of its own, such as the perplexity of responses.

    Raises:
        ValueError: `where` names a column or a value that does not exist.
    """
    kept = filter_where(rows, selection.where)
    at_position = {row["metric"] for row in kept if row["position"] == selection.position}
    kept = [
        row
        for row in kept
        if row["site"] in (None, selection.site)
        and (
            row["position"] in (None, selection.position)
            or (row["site"] is None and row["metric"] not in at_position)
        )
    ]
    if selection.depths is not None:
        kept = [row for row in kept if row["layer"] is None] + align(kept, selection.depths)
    return spread_failures(kept)


def filter_where(rows: Sequence[Row], where: Mapping[str, Sequence[str]]) -> list[Row]:
    """Return rows that have one of the listed values, or none at all, in each column of `where`."""
    kept = list(rows)
    for column, values in where.items():
        if rows and column not in rows[0]:
            raise ValueError(
                f"where: there is no column {column!r}{_near_columns(column, rows[0])}"
            )
        entries = {row[column] for row in rows if row[column] is not None}
        for value in values:
            if not any(is_named(entry, [value]) for entry in entries):
                labels = sorted(map(label_of, entries))
                listed = f"there is {', '.join(labels) or 'nothing'}{_did_you_mean(value, labels)}"
                raise ValueError(f"where: no measurement has {column}={value}; {listed}")
        kept = [row for row in kept if row[column] is None or is_named(row[column], values)]
    return kept


def is_named(value: Scalar, names: Sequence[str]) -> bool:
    """Tell whether a value is one that a user wrote: by its label, or as an equal number."""
    if label_of(value) in names or str(value) in names:
        return True
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and any(_number(name) == value for name in names)


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _near_columns(wrong: str, row: Row) -> str:
    """Return the end of an error message: the nearest column, the axes, and where all columns are.

    A study has some axes; the table of measurements has thirty columns more.
    """
    columns = [name for name in row if name != "value"]
    axes = ", ".join(["model", *axes_of(row)])
    return f"{_did_you_mean(wrong, columns)} (axes: {axes}; --long prints all columns)"


def nearest(wrong: str, names: Sequence[str]) -> str:
    """Return the end of an error message: the names that exist, and the nearest match."""
    return f" (there is: {', '.join(names)}){_did_you_mean(wrong, names)}"


def _did_you_mean(wrong: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(wrong, names, 1)
    return f"; did you mean {near[0]!r}?" if near else ""


def describe(selection: Selection) -> str:
    """Return the selection in words, for a caption: where it looks, and what is not there."""
    parts = [f"site {selection.site}"] if selection.site else []
    if selection.site and selection.depths:
        parts.append(
            f"relative depth {_in_words(selection.depths)} (layer floor(depth × (L - 1) + 1/2) of L"
            f"{_about_depth(selection)})"
        )
    parts += [f"position {selection.position}"] if selection.position else []
    parts += [not_there(selection)] if selection.elsewhere else []
    parts += [f"{column} {', '.join(values)}" for column, values in selection.where.items()]
    return "; ".join(parts)


def not_there(selection: Selection) -> str:
    """Say where activations were measured, where none were at the site and position asked for."""
    ways = options(selection.elsewhere[0], selection.site, selection.position)
    where = in_words(selection.elsewhere)
    return f"no activations were measured there, but at {where} ({' '.join(ways)})"


def _about_depth(selection: Selection) -> str:
    """Return what there is not at the depths asked for, as the end of a sentence."""
    if not selection.depths_asked:
        return ""
    asked = _in_words(selection.depths_asked)
    if not selection.lacking:
        return f"; nothing was measured at {asked}"
    return f"; {asked} was not measured in {listed(selection.lacking)}"


def _in_words(depths: Sequence[float]) -> str:
    return ", ".join(f"{depth:.3g}" for depth in depths)


def spread_failures(rows: Sequence[Row]) -> list[Row]:
    """Return rows in which a failure appears at every variant of its metric that others measured.

    A failed job does not record at which site or centring its numbers would have been. Without
    the copies a cell with two seeds measured and one failed would not name the third.
    """
    variants: dict[Scalar, dict[tuple[Scalar, ...], None]] = {}
    for row in rows:
        if row["value"] is not None:
            of_metric = variants.setdefault(row["metric"], {})
            of_metric.setdefault(tuple(row[name] for name in VARIANT))
    spread: list[Row] = []
    for row in rows:
        fitting = [
            variant
            for variant in variants.get(row["metric"], {})
            if all(row[n] in (None, v) for n, v in zip(VARIANT, variant, strict=True))
        ]
        if row["value"] is not None or not fitting:
            spread.append(row)
        else:
            spread += [_at_variant(row, variant) for variant in fitting]
    return spread


def _at_variant(row: Row, variant: tuple[Scalar, ...]) -> Row:
    placed = row | dict(zip(VARIANT, variant, strict=True))
    depth, num_layers = placed["depth"], placed["num_layers"]
    if placed["layer"] is None and isinstance(depth, float) and isinstance(num_layers, int):
        placed["layer"] = layer_at(depth, num_layers)
    return placed

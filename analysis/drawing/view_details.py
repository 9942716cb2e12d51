"""Details where a view looks: the lines of a table at its site, position and relative depth."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from analysis.drawing.cuts import Cut, cuts
from analysis.drawing.figure import Detail, Material
from analysis.long_table.depth import layer_at
from analysis.long_table.selection import Selection, is_named, resolve
from analysis.measurement import Scalar

DEFAULT_DEPTH = 0.75

Line = dict[str, Any]


def cuts_of(material: Material, name: str, inside: Sequence[str] = ()) -> Iterator[Cut[Line]]:
    """Cuts of a detail by its cells, with the lines at the view's place; none that are empty.

    The note says which models have no line.
    """
    details = material.details(name)
    filters = material.selection.where
    cells: list[Line] = [
        {**detail.about, "index": str(index)}
        for index, detail in enumerate(details)
        if all(_among(detail.about.get(axis), values) for axis, values in filters.items())
    ]
    for cut in cuts(cells, material.layout, inside=("index", *inside)):
        lines = lines_at(material, [details[int(cell["index"])] for cell in cut.rows])
        drawn = {line["model"] for line in lines}
        gone = sorted({str(cell["model"]) for cell in cut.rows} - drawn)
        without = f"Nothing to draw of {', '.join(gone)}." if gone else ""
        note = " ".join(part for part in (_place(lines), without, cut.note) if part)
        if lines:
            yield replace(cut, rows=lines, note=note)


def _among(value: Scalar, values: Sequence[str]) -> bool:
    return value is None or is_named(value, values)


def lines_at(material: Material, details: Sequence[Detail]) -> list[Line]:
    """Return lines of each detail at the view's place, with their cell and model's facts.

    Of a model whose layer at that depth was not kept, the nearest layer that was.
    """
    tables = [(detail, table) for detail in details if len(table := detail.read())]
    known: list[Line] = []
    for _, table in tables:
        places = table.select(["site", "position"]).group_by(["site", "position"]).aggregate([])
        known += places.to_pylist()
    # One place for all: another stage may have looked at other sites of the same models.
    chosen = resolve(material.selection, known)
    return [
        {**detail.about, **line}
        for detail, table in tables
        for line in _at_place(detail, table, chosen)
    ]


def _at_place(detail: Detail, table: pa.Table, chosen: Selection) -> list[Line]:
    depth = (chosen.depths or (DEFAULT_DEPTH,))[0]
    wanted = layer_at(depth, int(detail.about["num_layers"] or 1))
    at_place = table.filter(
        pc.and_(pc.equal(table["site"], chosen.site), pc.equal(table["position"], chosen.position))
    )
    layers = sorted(at_place["layer"].unique().to_pylist(), key=lambda layer: abs(layer - wanted))
    if not layers:
        return []
    lines: list[Line] = at_place.filter(pc.equal(at_place["layer"], layers[0])).to_pylist()
    return lines


def _place(lines: Sequence[Line]) -> str:
    """Return where lines are of, in words."""
    places = sorted({(line["site"], line["position"]) for line in lines})
    return "; ".join(f"{site}, position {position}" for site, position in places) + "."

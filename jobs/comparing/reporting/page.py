"""`render`: a study's page as one self-contained HTML file that asks no network for anything."""

import base64
import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files

from pydantic import TypeAdapter

from cluster.checked_json import parse_as
from jobs.comparing.figure_files import CAPTIONS
from jobs.comparing.reporting.blocks import blocks, side_columns
from jobs.comparing.reporting.contents import Contents, FigureFile
from jobs.comparing.reporting.embedding import embedded
from jobs.comparing.reporting.time_use import by_node, by_stage
from jobs.comparing.reporting.timeline import draw

SCRIPTS = ("elements", "filtering", "tables", "trace", "figures", "page")
"""Parts of the script, in the order they stand on the page."""
_MOST_NODES = 100
"""Nodes in the table of hours: those with the most."""
_CAPTIONS = TypeAdapter(dict[str, str])
_MEDIA = {"svg": "image/svg+xml", "png": "image/png"}


def render(contents: Contents) -> bytes:
    """Return the page. Everything written by people is escaped; only our own script may run."""
    from jinja2 import Environment, StrictUndefined
    from markupsafe import Markup

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters["figure_source"] = figure_source
    script = "\n".join(_part(f"{name}.js") for name in SCRIPTS)
    text = environment.from_string(_part("report.html")).render(
        contents=contents,
        data=embedded(contents),
        tables=[
            (table, blocks(table), side_columns(table))
            for section in contents.sections
            for table in section.tables
        ],
        counts=cell_counts(contents),
        timeline=draw(contents.time),
        hours=[("stage", by_stage(contents.time)), ("node", by_node(contents.time)[:_MOST_NODES])],
        style=Markup(_part("report.css")),
        script=Markup(script),
        script_digest=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
    )
    return text.encode()


def cell_counts(contents: Contents) -> Sequence[tuple[str, int]]:
    """Return status -> how many cells have it, the most first."""
    counts: Counter[str] = Counter(
        cell.number.status.value
        for section in contents.sections
        for table in section.tables
        for line in table.cells
        for cell in line
    )
    return counts.most_common()


def figure_source(figure: FigureFile) -> str:
    """Return the `src` of an image that holds the figure; no script of an SVG runs in an image."""
    return f"data:{_MEDIA[figure.suffix]};base64,{base64.b64encode(figure.data).decode()}"


def _part(name: str) -> str:
    return (files("jobs.comparing.reporting") / "template" / name).read_text(encoding="utf-8")


def figure_files(named: Mapping[str, bytes]) -> list[FigureFile]:
    """Of each figure's files the one that a page shows: the SVG, or else the PNG.

    Args:
        named: name in the folder of figures -> bytes; the captions are among them.
    """
    try:
        captions = parse_as(_CAPTIONS, named.get(CAPTIONS, b"{}"))
    except ValueError:  # a view, which the next launch writes again
        captions = {}
    chosen: dict[str, FigureFile] = {}
    for name in sorted(named):
        stem, _, suffix = name.rpartition(".")
        if suffix in _MEDIA:  # sorted: an SVG comes after the PNG and takes its place
            chosen[stem] = FigureFile(
                name=stem, suffix=suffix, data=named[name], caption=captions.get(stem, "")
            )
    return list(chosen.values())

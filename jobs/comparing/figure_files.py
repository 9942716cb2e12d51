"""The figures of a comparison: every drawing of every figure there is, as files."""

import json
from pathlib import Path

from cluster.errors import UserError
from jobs.comparing.comparison import Comparison, selection_of
from jobs.comparing.view import View

SUFFIXES = ("png", "pdf", "svg")
CAPTIONS = "captions.json"
"""Beside the figures: name -> what it shows and what its marks mean."""


def draw_figures(comparison: Comparison, view: View, folder: Path) -> None:
    """Write every figure that has something to draw, in every format, and their captions."""
    from analysis.drawing.figure import FIGURES, Material, to_bytes
    from analysis.long_table.query import LongTable

    material = Material(
        measured=LongTable.of(comparison.measurements),
        layout=comparison.layout(view),
        selection=selection_of(view),
        details=comparison.details,
    )
    folder.mkdir(parents=True, exist_ok=True)
    captions: dict[str, str] = {}
    for figure in FIGURES.entries():
        for drawing in figure.drawings(material):
            if drawing.name in captions:
                raise UserError(f"two drawings are called {drawing.name!r}", where="figures")
            captions[drawing.name] = drawing.caption
            for suffix in SUFFIXES:
                file = folder / f"{drawing.name}.{suffix}"
                file.write_bytes(to_bytes(drawing.canvas, suffix))
    text = json.dumps(captions, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / CAPTIONS).write_text(f"{text}\n", encoding="utf-8")

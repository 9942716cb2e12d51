"""The figures of a comparison: every drawing of every figure there is, as files."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import UserError
from jobs.comparing.comparison import Comparison, selection_of
from jobs.comparing.figure_rendering import FigureRendering, render_here
from jobs.comparing.view import View

if TYPE_CHECKING:
    from analysis.answering.answer import StudyAnswer

SUFFIXES = ("png", "pdf", "svg")
CAPTIONS = "captions.json"
"""Beside the figures: name -> what it shows and what its marks mean."""


def draw_figures(
    comparison: Comparison,
    view: View,
    folder: Path,
    *,
    studied: "Sequence[StudyAnswer]" = (),
) -> None:
    """Write every figure that has something to draw, in every format, and their captions.

    Args:
        comparison: what was measured.
        view: what of it is shown.
        folder: where the files go.
        studied: the answers, with those at every place.
    """
    from analysis.drawing.figure import FIGURES, Material
    from analysis.long_table.query import LongTable

    curves = {each.name: (each.question, each.places) for each in studied if each.places}
    folder.mkdir(parents=True, exist_ok=True)
    captions: dict[str, str] = {}
    with FigureRendering() as rendering:
        origin = comparison.as_measured or comparison
        snapshots, material = (
            Material(
                measured=LongTable.of(measurements),
                layout=shown.layout(view),
                selection=selection_of(view),
                details=shown.details,
                circumstances=shown.circumstances,
            )
            for shown, measurements in (
                (origin, origin.measurements),
                (comparison, comparison.ends_of_trainings()),
            )
        )
        material = replace(material, as_measured=snapshots, specifications=lambda: curves)
        for figure in FIGURES.entries():
            for drawing in figure.drawings(material):
                if drawing.name in captions:
                    raise UserError(f"two drawings are called {drawing.name!r}", where="figures")
                captions[drawing.name] = drawing.caption
                files = [folder / f"{drawing.name}.{suffix}" for suffix in SUFFIXES]
                render_here(drawing.canvas, files[:1])
                rendering.render(drawing.canvas, files[1:])
    text = json.dumps(captions, indent=1, sort_keys=True, ensure_ascii=False)
    (folder / CAPTIONS).write_text(f"{text}\n", encoding="utf-8")

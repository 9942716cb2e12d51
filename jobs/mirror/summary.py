"""One run that holds a study's outcome: tables, answers, figures, geometry as lines."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jobs.mirror.client import client, close_run, open_run
from jobs.mirror.outage import within
from jobs.mirror.run_name import RunName
from jobs.mirror.table import tracked_table

_logger = logging.getLogger(__name__)

_SUMMARY_WITHIN_S = 300.0

TableRows = tuple[Sequence[str], Sequence[Sequence[object]]]
"""Columns, and cells row by row."""
Line = tuple[str, str, Sequence[tuple[float, float]]]
"""Name, what it is drawn against, and its points."""


@dataclass(frozen=True, kw_only=True)
class Summary:
    """What a study's summary run holds."""

    tables: Mapping[str, TableRows]
    """Title -> table, as shown."""
    figures: Mapping[str, Path]
    """Name -> picture."""
    lines: Sequence[Line]
    """Geometry against layer and against size."""
    verdicts: Mapping[str, str]
    """Question -> verdict."""
    reused: Sequence[str]
    """Labels of the jobs that were not run again."""


def mirror_summary(name: RunName, summary: Summary) -> None:
    """One run that holds a study's outcome."""
    try:
        within(_SUMMARY_WITHIN_S, lambda: _mirror_summary(name, summary))
    except Exception as fault:  # whatever W&B and its network may raise
        _logger.warning("W&B broke; the study's own files have everything: %s", fault)


def _mirror_summary(name: RunName, summary: Summary) -> None:
    run = open_run(name)
    if run is None:
        return
    wandb = client()
    for title, (columns, rows) in summary.tables.items():
        run.log({title: tracked_table(columns, rows)})
    figures = {
        f"figures/{title}": wandb.Image(str(path)) for title, path in summary.figures.items()
    }
    if figures:
        run.log(figures)
    _log_lines(run, summary.lines)
    run.log({"reused jobs": tracked_table(["job"], [[it] for it in summary.reused])})
    run.summary["num_reused"] = len(summary.reused)
    for question, verdict in summary.verdicts.items():
        run.summary[f"answers/{question}"] = verdict
    close_run(name, run, 0)


def _log_lines(run: Any, lines: Sequence[Line]) -> None:
    """One row per place on an axis, with the value of every line there; the axis is their step."""
    for axis in dict.fromkeys(against for _, against, _ in lines):
        rows: dict[float, dict[str, float]] = {}
        for name, against, points in lines:
            if against == axis:
                run.define_metric(f"by {axis}/{name}", step_metric=axis)
                for place, value in points:
                    rows.setdefault(place, {})[f"by {axis}/{name}"] = value
        for place, values in sorted(rows.items()):
            run.log({axis: place, **values})

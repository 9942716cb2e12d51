"""The only file that knows W&B, which is a mirror: the metrics of record are our own files.

A job's run has id from (root id, key), group = study, job_type = kind, `resume="allow"`, and its
own step metric (W&B drops rows whose own step goes back after a resume). It is opened at the first
`log`, so a job without curves costs nothing. Offline unless the user is logged in;
`WANDB_MODE=disabled` switches it off.
"""

import hashlib
import logging
import netrc
import os
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

_logger = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class RunName:
    """Where a job's run stands in W&B."""

    root_id: str
    """Identity of the output root, so that two roots never share a run."""
    key: str
    """Key of the job."""
    study: str
    """Study that asked: the run's group."""
    kind: str
    """Kind of the job: the run's job type."""
    label: str
    """How people read it: the run's name."""
    folder: str
    """Local folder for W&B's own files."""
    config: Mapping[str, Any]
    """Params of the job; never environment or addresses."""

    @property
    def id(self) -> str:
        """Stable over attempts."""
        return hashlib.sha256(f"{self.root_id}/{self.key}".encode()).hexdigest()[:16]


class Tracker:
    """Mirrors the curves of a job to one W&B run, which is opened at the first row."""

    def __init__(self, name: RunName | None) -> None:
        """Mirror nothing without a name, or where the user disabled W&B."""
        self._name = None if name is None or tracking_mode() == "disabled" else name
        self._run: Any = None
        self._axes: set[str] = set()

    def log(self, values: Mapping[str, float], *, axis: str, step: float) -> None:
        """Log numbers at `step` of `axis` (`train/step`, `layer`, …), their step metric."""
        if self._name is None:
            return
        try:
            self._log(self._name, values, axis, step)
        except Exception as fault:  # whatever W&B and its network may raise
            self._give_up(fault)

    def finish(self, exit_code: int) -> None:
        """Close the run and forget it."""
        run, self._run = self._run, None
        if run is None:
            return
        try:
            run.finish(exit_code=exit_code)
        except Exception as fault:  # as above
            self._give_up(fault)

    def _log(self, name: RunName, values: Mapping[str, float], axis: str, step: float) -> None:
        if self._run is None:
            self._run = open_run(name)
        for value in values:
            if f"{axis} {value}" not in self._axes:
                self._run.define_metric(value, step_metric=axis)
                self._axes.add(f"{axis} {value}")
        self._run.log({axis: step, **values})

    def _give_up(self, fault: Exception) -> None:
        """Warn once and mirror nothing more: a broken mirror costs the job nothing."""
        self._name = None
        _logger.warning("W&B broke and is left alone from here on: %s", fault)


def tracking_mode() -> str:
    """`WANDB_MODE` when set; else `online` when the user is logged in, else `offline`."""
    chosen = os.environ.get("WANDB_MODE")
    if chosen:
        return chosen
    return "online" if os.environ.get("WANDB_API_KEY") or _has_login() else "offline"


_QUIET = (
    *("silent", "x_disable_stats", "x_disable_meta"),
    *("disable_git", "disable_code", "disable_job_creation"),
)
"""Settings of W&B that keep it from printing and from reading more than it is given."""


def open_run(name: RunName) -> Any:
    """Start or resume the W&B run of this name."""
    import wandb

    folder = Path(name.folder)
    folder.mkdir(parents=True, exist_ok=True)
    return wandb.init(
        project="deltascale",
        id=name.id,
        group=name.study,
        job_type=name.kind,
        name=name.label,
        config=dict(name.config),
        resume="allow",
        mode=tracking_mode(),  # type: ignore[arg-type]
        dir=str(folder),
        settings=wandb.Settings(console="off", **dict.fromkeys(_QUIET, True)),
    )


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
        _mirror_summary(name, summary)
    except Exception as fault:  # whatever W&B and its network may raise
        _logger.warning("W&B broke; the study's own files have everything: %s", fault)


def _mirror_summary(name: RunName, summary: Summary) -> None:
    import wandb

    run = open_run(name)
    for title, (columns, rows) in summary.tables.items():
        # W&B wants one type a column: a dash beside numbers makes the column text.
        texts = [["" if cell is None else str(cell) for cell in row] for row in rows]
        run.log({title: wandb.Table(columns=list(columns), data=texts)})
    figures = {
        f"figures/{title}": wandb.Image(str(path)) for title, path in summary.figures.items()
    }
    if figures:
        run.log(figures)
    _log_lines(run, summary.lines)
    run.log({"reused jobs": wandb.Table(columns=["job"], data=[[it] for it in summary.reused])})
    run.summary["num_reused"] = len(summary.reused)
    for question, verdict in summary.verdicts.items():
        run.summary[f"answers/{question}"] = verdict
    run.finish(exit_code=0)


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


def _has_login() -> bool:
    host = os.environ.get("WANDB_BASE_URL", "https://api.wandb.ai").split("://")[-1].rstrip("/")
    with suppress(FileNotFoundError, netrc.NetrcParseError, OSError):
        return netrc.netrc().authenticators(host) is not None
    return False

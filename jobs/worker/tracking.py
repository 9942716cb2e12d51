"""`Tracker` mirrors the curves of a job to its run in W&B; the metrics of record are our own files.

A job's run has id from (root id, key), group = study, job_type = kind, `resume="allow"`, and its
own step metric (W&B drops rows whose own step goes back after a resume). It is opened at the first
`log`, so a job without curves costs nothing.
"""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from typing import Any

from jobs.mirror.client import GRACE_S, close_run, is_disabled, open_run
from jobs.mirror.outage import within
from jobs.mirror.run_name import RunName

_logger = logging.getLogger(__name__)

_MODEL_FACTS = ("family", "num_parameters", "num_parameters_non_embedding")


class Tracker:
    """Mirrors the curves of a job to one W&B run, which is opened at the first row."""

    def __init__(self, name: RunName | None) -> None:
        """Mirror nothing without a name, or where the user disabled W&B."""
        self._name = None if name is None or is_disabled() else name
        self._run: Any = None
        self._is_broken = False
        self._axes: set[str] = set()
        self._about: dict[str, Any] = {}

    @property
    def is_open(self) -> bool:
        """True while a run of the mirror is open, which `finish` closes."""
        return self._run is not None

    def describe(self, *facts: Mapping[str, Any]) -> None:
        """Show a model's family and size in the run's config, where all facts agree on them."""
        # A checkpoint's facts of its model stand one level down, those of measurements do not.
        models = [about for fact in facts for about in (fact, fact.get("model"))]
        for fact in _MODEL_FACTS:
            found = [about.get(fact) for about in models if isinstance(about, dict)]
            values = {value for value in found if isinstance(value, str | int)}
            if len(values) == 1:
                self._about[fact] = values.pop()
        if self._run is not None:
            with suppress(Exception):  # whatever W&B and its network may raise
                self._run.config.update(self._about, allow_val_change=True)

    def log(self, values: Mapping[str, float], *, axis: str, step: float) -> None:
        """Log numbers at `step` of `axis` (`train/step`, `layer`, …), their step metric."""
        if self._name is None or self._is_broken:
            return
        try:
            self._log(self._name, values, axis, step)
        except Exception as fault:  # whatever W&B and its network may raise
            self._give_up(fault)

    def finish(self, exit_code: int) -> None:
        """Close the run and forget it; what is not sent in time stays in W&B's folder."""
        run, self._run = self._run, None
        if run is None or self._name is None:
            return
        try:
            close_run(self._name, run, exit_code)
        except Exception as fault:  # as above
            self._give_up(fault)

    def _log(self, name: RunName, values: Mapping[str, float], axis: str, step: float) -> None:
        if self._run is None:
            self._run = open_run(replace(name, config={**name.config, **self._about}))
            if self._run is None:
                self._name = None
                return
        run, new = self._run, [value for value in values if f"{axis} {value}" not in self._axes]
        self._axes |= {f"{axis} {value}" for value in new}

        def send() -> None:
            for value in new:
                run.define_metric(value, step_metric=axis)
            run.log({axis: step, **values})

        within(GRACE_S, send)

    def _give_up(self, fault: Exception) -> None:
        """Warn once and mirror nothing more: a broken mirror costs the job nothing."""
        if not self._is_broken:
            _logger.warning("W&B broke and is left alone from here on: %s", fault)
        self._is_broken = True

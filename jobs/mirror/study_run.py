"""`StudyRun` follows a study in W&B while it runs: its jobs by state, GPU-hours, tables that fill.

One run per study, whatever number of launches: its rows are drawn against the hours since the study
was first launched, which never go back.
"""

from collections.abc import Callable, Mapping
from typing import Any

from jobs.mirror.client import GRACE_S, close_run, open_run
from jobs.mirror.outage import within
from jobs.mirror.run_name import RunName
from jobs.mirror.summary import TableRows
from jobs.mirror.table import tracked_table

AXIS = "study/hours"
"""Hours since the study was first launched, against which every row is drawn."""

_MOST_HUNG = 3
"""Calls that did not return, each with a thread that stays: then W&B is asked no more."""


class StudyRun:
    """The live run of a study, open."""

    def __init__(self, name: RunName, run: Any) -> None:
        self._name, self._run = name, run
        self._metrics: set[str] = set()
        self._num_hung = 0

    @classmethod
    def open(cls, name: RunName) -> "StudyRun | None":
        """Open or resume the run; None where the user switched W&B off.

        Raises whatever W&B raises when not even an offline run can be opened.
        """
        run = open_run(name)
        return None if run is None else cls(name, run)

    def log(self, hours: float, values: Mapping[str, float]) -> None:
        """Log one row.

        Args:
            hours: since the study was first launched.
            values: name -> number.
        """

        def send() -> None:
            for value in values.keys() - self._metrics:
                self._run.define_metric(value, step_metric=AXIS)
            self._run.log({AXIS: hours, **values})

        self._within(send)
        self._metrics |= values.keys()

    def show(self, hours: float, words: Mapping[str, str], tables: Mapping[str, TableRows]) -> None:
        """Show what has no curve: words in the run's summary, tables as they stand now.

        Args:
            hours: since the study was first launched.
            words: name -> text.
            tables: title -> table.
        """

        def send() -> None:
            for title, (columns, rows) in tables.items():
                self._run.log({AXIS: hours, f"table/{title}": tracked_table(columns, rows)})
            for word, text in words.items():
                self._run.summary[word] = text

        self._within(send)

    def close(self, exit_code: int) -> None:
        """End the run: finished with 0, else failed."""
        close_run(self._name, self._run, exit_code)

    def _within(self, call: Callable[[], None]) -> None:
        """Make a call that may hang. Raises TimeoutError where it does, or several have before."""
        if self._num_hung >= _MOST_HUNG:
            raise TimeoutError("W&B hangs")
        try:
            within(GRACE_S, call)
        except TimeoutError:
            self._num_hung += 1
            raise

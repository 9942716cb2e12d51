"""Tells people of one launch from its beginning to its end, also when it ends by a fault."""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from cluster.errors import DeltascaleError, SurroundingsError
from cluster.storage import Storage
from orchestrator.dispatch.interruption import handle_signals
from orchestrator.dispatch.watcher import BothWatchers, Watcher
from orchestrator.notices.chosen_ways import ChosenWay
from orchestrator.notices.digest import GpuHours, digest, gpu_hours
from orchestrator.notices.launch_notices import LaunchNotices
from orchestrator.notices.sender import Pace, Sender
from orchestrator.notices.way import Notice, Occasion
from orchestrator.notices.wording import sentence
from orchestrator.records.history import read_history
from orchestrator.records.ledger import read_events
from orchestrator.text import duration

if TYPE_CHECKING:
    from orchestrator.dispatch.execution import LaunchReport
    from orchestrator.plan.decided_plan import DecidedPlan

Summarise = Callable[[], str]
"""Writes the head of the study's table."""


class Telling:
    """People are told of one launch.

    Args:
        root: the output root.
        study: name of the study.
        ways: how they are told; nothing is done where there are none.
        warn: takes what could not be sent.
        is_alone: whether nobody watches this launch: then its failure to begin is told, too.
        pace: how tries follow each other.
    """

    def __init__(
        self,
        root: Storage,
        study: str,
        ways: Sequence[ChosenWay],
        warn: Callable[[str], None],
        *,
        is_alone: bool = False,
        pace: Pace | None = None,
    ) -> None:
        self._root, self._study, self._has_ways = root, study, bool(ways)
        self._sender = Sender(ways, warn, pace)
        self._notices = LaunchNotices(study, self._sender)
        self._has_begun = is_alone
        self._has_ended = self._is_watching = False

    def beside(self, shown: Watcher) -> Watcher:
        """Follow the launch beside the watcher that shows it; called once it begins to run."""
        if not self._has_ways:
            return shown
        self._has_begun = True
        if not self._is_watching:
            self._is_watching = True
            self._tell_of_killed()
        return BothWatchers(shown, self._notices)

    @contextlib.contextmanager
    def until_end(self) -> Iterator[None]:
        """Tell how the block ended where `end` was not called, and send all that is left."""
        if not self._has_ways:
            yield
            return
        try:
            yield
        except KeyboardInterrupt:
            self._end_by("interrupted; the same command goes on")
            raise
        except DeltascaleError as fault:
            self._end_by("ended by a fault", fault.error, fault.hint)
            raise
        except Exception as fault:  # told, and raised again
            self._end_by("ended by a fault of the program", f"{type(fault).__name__}: {fault}")
            raise
        finally:
            with handle_signals():  # what is told last is not cut off by a second signal
                self._sender.close()

    def _tell_of_killed(self) -> None:
        """Tell of the launch before, where it was killed and could not tell itself."""
        with contextlib.suppress(SurroundingsError):
            past = read_history(self._root, self._study)
            if past.launch is not None and past.ended is None:
                self._sender.send(
                    Notice(
                        occasion=Occasion.END,
                        study=self._study,
                        title=f"{self._study}: the launch before was killed; this one goes on",
                        text=f"it ran as process {past.launch.pid} on {past.launch.host}",
                    )
                )

    def end(self, report: "LaunchReport | None", decided: "DecidedPlan", table: Summarise) -> None:
        """Tell how the launch ended; nothing where there was nothing to do."""
        if not self._has_ways or report is None:
            return
        self._has_ended = True
        labels = {key: job.label for key, job in decided.plan.by_key.items()}
        hours, head = GpuHours(), ""
        launch = decided.history.launch
        with contextlib.suppress(SurroundingsError):
            if launch is not None:
                events = read_events(self._root, self._study)
                hours = gpu_hours(events, launch.launch, set(report.reused))
        with contextlib.suppress(Exception):  # a message costs a launch that has ended nothing
            head = table()
        self._sender.send(
            digest(
                self._study,
                report,
                labels=labels,
                waited=self._notices.finish(),
                hours=hours,
                table=head,
            )
        )

    def _end_by(self, title: str, why: str = "", hint: str | None = None) -> None:
        if self._has_ended or not self._has_begun:
            return
        self._has_ended = True
        lines = [sentence(why) if why else "", sentence(hint) if hint else ""]
        waited = self._notices.finish()
        lines += [f"waited for {what}: {duration(seconds)}" for what, seconds in waited.items()]
        self._sender.send(
            Notice(
                occasion=Occasion.END,
                study=self._study,
                title=f"{self._study}: {title}",
                text="\n".join(filter(None, lines)),
            )
        )


@contextlib.contextmanager
def watched(
    telling: Telling, shown: contextlib.AbstractContextManager[Watcher]
) -> Iterator[Watcher]:
    """Show a launch while the block runs, and tell people of it beside."""
    with shown as watcher:
        yield telling.beside(watcher)

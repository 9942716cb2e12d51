"""`AskedPrompts`: every prompt asked once, a few at a time; what is read off answers is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

from cluster.errors import SurroundingsError
from jobs.behaviour.conversation import Conversation
from jobs.service.answer_log import AnswerLog
from jobs.service.endpoint import Completion
from jobs.service.faults import NoAnswer
from jobs.worker.work import Stopped, Work

Reading = Mapping[str, Any]
"""What was read off one answer: numbers, no text."""

_LOOK_EVERY_S = 0.1
_LAST_ANSWERS_S = 5.0
"""How long what is under way is waited for once a stop was asked for: it is paid for."""


@dataclass(kw_only=True)
class AskedPrompts:
    """Asks, reads and keeps."""

    work: Work
    """The job: its progress, and whether it is to stop."""
    ask: Callable[[Conversation], Completion]
    """Called from several threads. Raises NoAnswer, Stopped, or what ends the job."""
    read: Callable[[Conversation, Completion], Reading]
    """Called from one thread, for one answer after the other."""
    kept: AnswerLog
    """What was read, in this attempt and in earlier ones, by the prompt's id."""
    most_missing: int
    """The job fails as soon as more prompts have no answer."""
    missing: Counter[str] = field(default_factory=Counter)
    """Why prompts have no answer, and how many."""

    def readings(self, asked: Sequence[Conversation], at_once: int) -> dict[int, Reading]:
        """What was read off the answers, by the prompt's id; without those that have none.

        Raises:
            SurroundingsError: too many prompts have no answer.
            Stopped: it was asked to stop; what was answered is kept.
        """
        found = {each.prompt: self.kept.get(str(each.prompt)) for each in asked}
        open_ones = iter([each for each in asked if found[each.prompt] is None])
        pool = ThreadPoolExecutor(at_once, thread_name_prefix="ask")
        under_way: dict[Future[Completion], Conversation] = {}
        try:
            while under_way := self._topped_up(pool, under_way, open_ones, at_once):
                for future in wait(under_way, _LOOK_EVERY_S, FIRST_COMPLETED).done:
                    self._settle(future, under_way.pop(future), found, len(asked))
                if self.work.stop_requested:
                    raise Stopped
        except Stopped:
            for future in wait(under_way, _LAST_ANSWERS_S).done:
                if future.exception() is None:
                    self._settle(future, under_way[future], found, len(asked))
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self.kept.publish()
        return {prompt: reading for prompt, reading in found.items() if reading is not None}

    def _topped_up(
        self,
        pool: ThreadPoolExecutor,
        under_way: dict[Future[Completion], Conversation],
        open_ones: Iterator[Conversation],
        at_once: int,
    ) -> dict[Future[Completion], Conversation]:
        """Never more than `at_once` asked and not yet kept: a kill loses no more answers."""
        while len(under_way) < at_once and (following := next(open_ones, None)) is not None:
            under_way[pool.submit(self.ask, following)] = following
        return under_way

    def _settle(
        self,
        future: Future[Completion],
        asked: Conversation,
        found: dict[int, Reading | None],
        num_asked: int,
    ) -> None:
        """Read one answer and keep what was read, or count why there is none."""
        try:
            reading = self.read(asked, future.result())
        except NoAnswer as fault:
            self._miss(fault.reason, num_asked)
            return
        self.kept.keep(str(asked.prompt), reading)
        found[asked.prompt] = reading
        done = sum(each is not None for each in found.values())
        self.work.progress(done / len(found), "asking the endpoint")

    def _miss(self, reason: str, num_asked: int) -> None:
        self.missing[reason] += 1
        if self.missing.total() > self.most_missing:
            said = ", ".join(f"{count} {why}" for why, count in self.missing.most_common())
            raise SurroundingsError(
                f"{self.missing.total()} of {num_asked} prompts have no answer: {said}",
                hint="launch again: what was answered is kept; or raise max_missing or max_retries",
            )

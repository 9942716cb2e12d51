"""`EndpointRequests`: every prompt sent once, a few at a time; what is read off answers is kept."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from cluster.errors import SurroundingsError
from jobs.service.answer_log import AnswerLog, Reading
from jobs.service.faults import NoAnswer
from jobs.text.prompt_lines import ANSWERERS, CHAT_ROLES, PromptLine, without_marks
from jobs.worker.work import Stopped, Work

_LOOK_EVERY_S = 0.1
_LAST_ANSWERS_S = 5.0
"""Wait for requests under way once a stop was asked for: they are paid for."""


class Prompt(Protocol):
    """Something that is sent."""

    @property
    def prompt(self) -> int:
        """Id of the prompt."""


Sent = TypeVar("Sent", bound=Prompt)
Answer = TypeVar("Answer")


@dataclass(kw_only=True)
class EndpointRequests(Generic[Sent, Answer]):
    """Sends prompts, reads the answers and keeps the readings."""

    work: Work
    """The job: its progress, and whether it is to stop."""
    send: Callable[[Sent], Answer]
    """Called from several threads. Raises NoAnswer, Stopped, or what ends the job."""
    read: Callable[[Sent, Answer], Reading]
    """Called from one thread, for one answer after the other."""
    log: AnswerLog
    """Readings of this attempt and of earlier ones, by the prompt's id."""
    most_missing: int
    """The job fails as soon as more prompts have no answer."""
    remedy: str = "or raise max_missing or max_retries"
    """What else to do about that than to launch again."""
    missing: Counter[str] = field(default_factory=Counter)
    """Reason why prompts have no answer -> how many."""

    def readings(self, prompts: Sequence[Sent], at_once: int) -> dict[int, Reading]:
        """Return the readings of all answers by the prompt's id, without prompts that have none.

        Raises:
            SurroundingsError: too many prompts have no answer.
            Stopped: the job was asked to stop; what was answered is kept.
        """
        readings = {item.prompt: self.log.get(str(item.prompt)) for item in prompts}
        unsent = iter([item for item in prompts if readings[item.prompt] is None])
        pool = ThreadPoolExecutor(at_once, thread_name_prefix="ask")
        under_way: dict[Future[Answer], Sent] = {}
        try:
            while under_way := self._top_up(pool, under_way, unsent, at_once):
                for future in wait(under_way, _LOOK_EVERY_S, FIRST_COMPLETED).done:
                    self._settle(future, under_way.pop(future), readings)
                if self.work.stop_requested:
                    raise Stopped
        except Stopped:
            for future in wait(under_way, _LAST_ANSWERS_S).done:
                if future.exception() is None:
                    self._settle(future, under_way[future], readings)
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
            self.log.publish()
        return {prompt: reading for prompt, reading in readings.items() if reading is not None}

    def _top_up(
        self,
        pool: ThreadPoolExecutor,
        under_way: dict[Future[Answer], Sent],
        unsent: Iterator[Sent],
        at_once: int,
    ) -> dict[Future[Answer], Sent]:
        """Send until `at_once` are under way: a kill loses no more answers than that."""
        while len(under_way) < at_once and (following := next(unsent, None)) is not None:
            under_way[pool.submit(self.send, following)] = following
        return under_way

    def _settle(
        self,
        future: Future[Answer],
        item: Sent,
        readings: dict[int, Reading | None],
    ) -> None:
        """Read one answer and keep the reading, or count why there is none."""
        try:
            reading = self.read(item, future.result())
        except NoAnswer as fault:
            self._count_missing(fault, len(readings))
            return
        self.log.keep(str(item.prompt), reading)
        readings[item.prompt] = reading
        done = sum(item is not None for item in readings.values())
        self.work.progress(done / len(readings), "asking the endpoint")

    def _count_missing(self, fault: NoAnswer, num_prompts: int) -> None:
        self.missing[str(fault)] += 1
        if self.missing.total() > self.most_missing:
            reasons = ", ".join(f"{count} {why}" for why, count in self.missing.most_common())
            raise SurroundingsError(
                f"{self.missing.total()} of {num_prompts} prompts have no answer: {reasons}",
                hint=f"launch again: what was answered is kept; {self.remedy}",
                fault_class=fault.fault_class,
            )


@dataclass(frozen=True, kw_only=True)
class Conversation:
    """The messages that a chat model is sent."""

    prompt: int
    """Id of the prompt."""
    group: int
    """Its group, 0 to 19."""
    messages: tuple[Mapping[str, str], ...]
    """`{"role", "content"}` each; none where the prompt is nothing but an answer."""
    reference: str | None
    """The answer that the prompt comes with, which the model does not see."""


def conversation_of(line: PromptLine) -> Conversation:
    """Read a line of a prompts file; a transcript's marks around each turn are left out."""
    segments = line["segments"]
    answered = bool(segments) and segments[-1]["role"] in ANSWERERS
    requests = segments[:-1] if answered else segments
    return Conversation(
        prompt=int(line["prompt"]),
        group=int(line["group"]),
        messages=tuple(
            {
                "role": CHAT_ROLES.get(segment["role"], segment["role"]),
                "content": without_marks(segment),
            }
            for segment in requests
        ),
        reference=without_marks(segments[-1]) if answered else None,
    )

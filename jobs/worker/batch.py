"""A batch: short jobs that one call does in turn. Its payload and its answers, as JSON.

What a job leaves is published while the next ones run: to publish is to wait for the disk, or for
the object storage, and a file system syncs several files at once for little more than one.
"""

import json
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from cluster.executor import Surroundings
from jobs.worker.answer import Answer

_BEGINS_WITHIN_S = 0.5
"""After so long no further job is begun: another worker may be idle."""
_MOST_PUBLISHED_AT_ONCE = 8


def turn_of(worked_s: float, seconds: float) -> float:
    """Return how long a job put off those behind it: its work, and its part of the publishing."""
    return round(worked_s + (seconds - worked_s) / _MOST_PUBLISHED_AT_ONCE, 4)


Publish = Callable[[], str]
"""Publishes the work of one attempt and returns its answer; from any thread."""


def batch_payload(assignments: Sequence[str]) -> str:
    """Write what a call is given, from the payloads of its jobs."""
    return json.dumps(assignments)


def read_answers(answer: str) -> list[str]:
    """Return the answers of the jobs that a call has begun, in turn."""
    answers: list[str] = json.loads(answer)
    return answers


def do_in_turn(
    payload: str, surroundings: Surroundings, work: Callable[[str, Surroundings], str | Publish]
) -> str:
    """Make one attempt at each job of a batch; begin none after a stop, or once it took long.

    Args:
        payload: from `batch_payload`.
        surroundings: of this process.
        work: makes one attempt, and returns its answer, or what publishes its work and answers.

    Returns:
        The answers, in turn, once all is published; those of the jobs that were not begun are
        missing at the end.
    """
    answers: list[str | Future[str]] = []
    until = time.monotonic() + _BEGINS_WITHIN_S
    with ThreadPoolExecutor(_MOST_PUBLISHED_AT_ONCE, "publish") as publishers:
        for assignment in json.loads(payload):
            if answers and (time.monotonic() > until or surroundings.stop_requested()):
                break
            done = work(assignment, surroundings)
            answers.append(done if isinstance(done, str) else publishers.submit(done))
            if isinstance(done, str) and Answer.from_json(done).has_stopped:
                break
    return json.dumps([one if isinstance(one, str) else one.result() for one in answers])

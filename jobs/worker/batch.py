"""A batch: short jobs that one call does in turn. Its payload and its answers, as JSON."""

import json
import time
from collections.abc import Callable, Sequence

from cluster.executor import Surroundings
from jobs.worker.answer import Answer, State

_BEGINS_WITHIN_S = 0.5
"""After so long no further job is begun: another worker may be idle."""


def batch_payload(assignments: Sequence[str]) -> str:
    """Write what a call is given, from the payloads of its jobs."""
    return json.dumps(assignments)


def read_answers(answer: str) -> list[str]:
    """Return the answers of the jobs that a call has begun, in turn."""
    answers: list[str] = json.loads(answer)
    return answers


def do_in_turn(
    payload: str, surroundings: Surroundings, run: Callable[[str, Surroundings], str]
) -> str:
    """Make one attempt at each job of a batch; begin none after a stop, or once it took long.

    Args:
        payload: from `batch_payload`.
        surroundings: of this process.
        run: makes one attempt, and returns its answer.

    Returns:
        The answers, in turn; those of the jobs that were not begun are missing at the end.
    """
    answers: list[str] = []
    until = time.monotonic() + _BEGINS_WITHIN_S
    for assignment in json.loads(payload):
        if answers and (time.monotonic() > until or surroundings.stop_requested()):
            break
        answers.append(run(assignment, surroundings))
        if Answer.from_json(answers[-1]).state is State.STOPPED:
            break
    return json.dumps(answers)

"""`Patience`: how long a launch waits for its surroundings, and when it looks at them again."""

import os
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from cluster.errors import UserError
from orchestrator.quantities import read_seconds

VARIABLE = "DELTASCALE_PATIENCE"
"""Environment variable that says how long a launch waits where `--patience` does not."""
VISIBLE_VARIABLE = "DELTASCALE_VISIBLE_WITHIN"
"""Environment variable: how long a record may stay invisible after a worker said it is there."""
SAVE_VARIABLE = "DELTASCALE_SAVE_WITHIN"
"""Environment variable of a batch job: how long jobs may take to save once its scheduler says, by
SIGUSR1, SIGUSR2 or SIGXCPU, that its time is nearly over. With it such a signal, and SIGTERM, is an
end for now, not an interruption: the code is 75, and whoever started the launch starts it again."""


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a launch waits for its surroundings, and how its looks at them are spaced.

    Pauses double from try to try and are drawn at random around that, so that the jobs and launches
    which one fault met do not all come back in one moment.
    """

    gives_up_after_s: float = 12 * 3600.0
    """How long something is waited for before jobs are asked to save and the launch ends."""
    visible_within_s: float = 65.0
    """How long a record is looked for after a worker said that it is there: a client of NFS may
    answer from what it remembers of a file or folder for 60 s (`acregmax`, `acdirmax`)."""
    first_pause_s: float = 2.0
    """Pause before the first new try, on average."""
    longest_pause_s: float = 300.0
    """Longest pause before a job is tried again, on average."""
    longest_look_s: float = 60.0
    """Longest pause before a look at a storage or cluster that the launch itself needs."""
    saves_within_s: float | None = None
    """How long jobs may take to save when a scheduler's signal says that its time is nearly over;
    None: no scheduler starts the launch again, and a signal is an interruption like any other."""
    clock: Callable[[], float] = time.monotonic
    """Gives seconds, from any beginning."""
    sleep: Callable[[float], None] = time.sleep
    """Waits so many seconds."""
    draw: Callable[[], float] = random.random
    """Draws a number from 0 to 1."""

    def pause_s(self, num_tries: int, longest_s: float | None = None) -> float:
        """Return how long to wait after so many tries in a row have failed, from 1."""
        longest_s = self.longest_pause_s if longest_s is None else longest_s
        doublings = min(num_tries - 1, 60)
        return min(longest_s, self.first_pause_s * 2.0**doublings) * (0.5 + self.draw())

    @classmethod
    def of_environment(
        cls, written: str | None = None, environment: Mapping[str, str] = os.environ
    ) -> "Patience":
        """Make the patience that a command line or else the environment asks for.

        Raises:
            UserError: one of them is no length of time.
        """
        patience = cls()
        if written is not None:
            patience = replace(patience, gives_up_after_s=seconds_of(written, where="--patience"))
        elif VARIABLE in environment:
            seconds = seconds_of(environment[VARIABLE], where=VARIABLE)
            patience = replace(patience, gives_up_after_s=seconds)
        if SAVE_VARIABLE in environment:
            seconds = seconds_of(environment[SAVE_VARIABLE], where=SAVE_VARIABLE)
            patience = replace(patience, saves_within_s=seconds)
        if VISIBLE_VARIABLE in environment:
            seconds = seconds_of(environment[VISIBLE_VARIABLE], where=VISIBLE_VARIABLE)
            patience = replace(patience, visible_within_s=seconds)
        return patience


def seconds_of(written: str, *, where: str) -> float:
    """Read a length of time such as `90s`, `30min`, `12h` or `2d`.

    Raises:
        UserError: it is none.
    """
    try:
        return read_seconds(written)
    except ValueError:
        raise UserError(
            f"{written!r} is no length of time",
            where=where,
            allowed=["90s", "30min", "12h", "2d"],
            hint="a number and one of the units s, min, h, d",
        ) from None

"""`Limits`: how long a running job may show no progress before it counts as hung.

A step has a limit that grows with the longest step seen, because it alone knows how long its steps
are. What counts no steps has limits of its own, generous ones: a model may be read from a slow
file system for an hour, and a first step compiles. A process that a signal stopped waits for
neither: it does not go on by itself, and has shorter ones.
"""

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from cluster.errors import UserError
from jobs.liveness.heartbeat import Phase
from orchestrator.quantities import read_seconds

VARIABLE = "DELTASCALE_HANG_AFTER"
"""Environment variable with what `--hang-after` says, where that does not; commas between words."""
NEVER = "never"
STOPPED = "stopped"
"""The word for processes that a signal stopped."""


def _phases() -> dict[Phase, float]:
    return {
        Phase.PLACING: 3600.0,
        Phase.LOADING: 2 * 3600.0,
        Phase.COMPILING: 2 * 3600.0,
        Phase.VALIDATING: 2 * 3600.0,
        Phase.SAVING: 2 * 3600.0,
        Phase.WORKING: math.inf,
    }


@dataclass(frozen=True, kw_only=True)
class Limits:
    """When a job counts as slow, and when as hung."""

    step_factor: float = 3.0
    """A step may take so many times the longest one that was seen, and `step_slack_s`."""
    step_slack_s: float = 20.0
    """What it may take beyond that, in seconds; infinite: no step is ever too long."""
    part_factor: float = 10.0
    """The same for parts of jobs that count none, which are less alike than steps."""
    part_slack_s: float = 1800.0
    """What such a part may take beyond that, in seconds."""
    stopped_slack_s: float = 5.0
    """What the step of a process may take beyond that where a signal stopped the process; never
    more than `step_slack_s`."""
    stopped_s: float = 30.0
    """Seconds that a process may be seen stopped by a signal where no step was timed."""
    phases_s: Mapping[Phase, float] = field(default_factory=_phases)
    """Seconds that each phase may last in which no step ends."""
    silent_s: float = 120.0
    """Seconds without a beat after which a process is looked after: it is stopped, dead, or holds
    the interpreter. The look decides, not the silence."""
    slow_factor: float = 5.0
    """A step of more than so many times the median is told of as slow, beyond `slow_slack_s`."""
    slow_slack_s: float = 10.0
    """Seconds beyond that."""

    def step_limit_s(self, longest_s: float | None, unit: str | None) -> float:
        """Return how long the step at hand may take; before any was timed, as a first one."""
        if longest_s is None:
            return self.phases_s[Phase.COMPILING]
        if unit == "part":
            return self.part_factor * longest_s + self.part_slack_s
        return self.step_factor * longest_s + self.step_slack_s

    def stopped_step_limit_s(self, longest_s: float) -> float:
        """Return how long the step at hand may take in a process that a signal stopped."""
        return self.step_factor * longest_s + min(self.stopped_slack_s, self.step_slack_s)

    @classmethod
    def of_words(
        cls, words: Sequence[str], environment: Mapping[str, str] = os.environ
    ) -> "Limits":
        """Make the limits that a command line or else the environment asks for.

        Args:
            words: each `never`, a length of time such as `5min` (what a step may take beyond three
                times the longest), or one for a phase, such as `loading=3h` or `saving=never`, or
                for a process that a signal stopped, `stopped=5min`.
            environment: read where there are no words.

        Raises:
            UserError: a word is none of these.
        """
        where = "--hang-after"
        if not words and (text := environment.get(VARIABLE, "").strip()):
            words, where = [word.strip() for word in text.split(",")], VARIABLE
        limits = cls()
        for word in words:
            limits = limits._with(word, where)
        return limits

    def _with(self, word: str, where: str) -> "Limits":
        name, is_of_phase, time = word.rpartition("=")
        if word == NEVER:
            endless = dict.fromkeys(self.phases_s, math.inf)
            return replace(
                self,
                step_slack_s=math.inf,
                part_slack_s=math.inf,
                silent_s=math.inf,
                stopped_slack_s=math.inf,
                stopped_s=math.inf,
                phases_s=endless,
            )
        seconds = _seconds(time, word, where)
        if not is_of_phase or name == Phase.STEPPING.value:
            return replace(self, step_slack_s=seconds)
        if name == STOPPED:
            return replace(self, stopped_slack_s=seconds, stopped_s=seconds)
        phase = next((phase for phase in self.phases_s if phase.value == name), None)
        if phase is None:
            raise _refusal(word, where)
        return replace(self, phases_s={**self.phases_s, phase: seconds})


def _seconds(time: str, word: str, where: str) -> float:
    if time == NEVER:
        return math.inf
    try:
        return read_seconds(time)
    except ValueError:
        raise _refusal(word, where) from None


def _refusal(word: str, where: str) -> UserError:
    phases = [*(phase.value for phase in (Phase.STEPPING, *_phases())), STOPPED]
    return UserError(
        f"{word!r} is neither a length of time nor PHASE=TIME",
        where=where,
        allowed=["never", "90s", "5min", *(f"{phase}=3h" for phase in phases)],
        hint="a number and one of the units s, min, h, d; or `never`",
    )

"""The rules: from what the ranks of an attempt show, whether it is well, slow, silent or hung.

Pure: what is known of each rank comes in, a judgement with its numbers goes out. A gang is as far
as its slowest rank, so it is hung only when every rank is beyond its own limit: one that saves
for an hour may let all others wait. A process that a signal stopped goes on by nothing that a
storage or network does: it is certain sooner.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum

from jobs.liveness.heartbeat import Heartbeat, Phase
from orchestrator.text import duration
from orchestrator.watchdog.limits import Limits


class Verdict(IntEnum):
    """How an attempt is, the worse the higher."""

    WELL = 0
    """It gets on, or may take as long as it does."""
    SLOW = 1
    """Its step takes many times what its steps took. Told, never ended."""
    DOUBTFUL = 2
    """Half of what its step may take has passed. It is looked at, so that it can be seen whether it
    has moved by the time its limit is reached."""
    SILENT = 3
    """A process of it gives no sign of life. It is looked after."""
    HUNG = 4
    """Nothing has moved for longer than its limit. It is looked after, then ended."""


CERTAIN_S = 3.0
"""A process is known as stopped once every look for so long has found it so. A batch system that
suspends a launch with its jobs may stop these up to 2 s before it."""


@dataclass(frozen=True, kw_only=True)
class RankSigns:
    """What is known of one rank, by the clock of whoever watches."""

    heartbeat: Heartbeat
    """Its latest heartbeat."""
    idle_s: float
    """Seconds since it last got on: a step ended, or another phase began."""
    silent_s: float
    """Seconds since it last beat."""
    stopped_s: float | None = None
    """For how long every look has found it stopped by a signal; None: the last one did not."""


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How an attempt is, and why."""

    verdict: Verdict
    """The verdict."""
    why: str = ""
    """The numbers behind it, as part of a sentence; empty where all is well."""
    ranks: tuple[int, ...] = ()
    """The ranks that it is about: those that are furthest behind."""
    is_of_stop: bool = False
    """Whether it is hung because of processes that a signal stopped."""


WELL = Judgement(verdict=Verdict.WELL)


def judge(signs: Sequence[RankSigns], limits: Limits) -> Judgement:
    """Judge one attempt by the signs of its ranks; one that has none yet is well."""
    if not signs:
        return WELL
    beyond = [one for one in signs if one.idle_s > limit_s(one.heartbeat, limits)]
    if len(beyond) == len(signs):
        behind = furthest_behind(signs)
        return Judgement(
            verdict=Verdict.HUNG,
            why=_why_hung(behind[0], limits),
            ranks=tuple(one.heartbeat.rank for one in behind),
        )
    if _stopped_left_s(signs, limits) < 0:
        stopped = [one for one in signs if one.stopped_s is not None]
        return Judgement(
            verdict=Verdict.HUNG,
            why=_why_stopped(stopped[0], limits),
            ranks=tuple(one.heartbeat.rank for one in stopped),
            is_of_stop=True,
        )
    silent = [one for one in signs if one.silent_s > limits.silent_s]
    if silent:
        return Judgement(
            verdict=Verdict.SILENT,
            why=f"no heartbeat for {duration(max(one.silent_s for one in silent))}",
            ranks=tuple(one.heartbeat.rank for one in silent),
        )
    if not all(_is_slow(one, limits) for one in signs):
        return WELL
    is_doubtful = all(one.idle_s > limit_s(one.heartbeat, limits) / 2 for one in signs)
    return Judgement(
        verdict=Verdict.DOUBTFUL if is_doubtful else Verdict.SLOW,
        why=_why_slow(signs[0]),
        ranks=tuple(one.heartbeat.rank for one in furthest_behind(signs)),
    )


def limit_s(heartbeat: Heartbeat, limits: Limits) -> float:
    """Return how long a rank may go without progress where it is now."""
    if heartbeat.phase is Phase.STEPPING:
        return limits.step_limit_s(heartbeat.longest_s, heartbeat.unit)
    return limits.phases_s.get(heartbeat.phase, float("inf"))


def left_s(signs: Sequence[RankSigns], limits: Limits) -> float:
    """Return the seconds until an attempt is hung, if none of its ranks gets on; at most 0: it is.

    Infinite where it shows nothing yet.
    """
    left = max((limit_s(one.heartbeat, limits) - one.idle_s for one in signs), default=math.inf)
    return min(left, _stopped_left_s(signs, limits))


def _stopped_left_s(signs: Sequence[RankSigns], limits: Limits) -> float:
    """Return the same for what a signal stopped; infinite where it stopped none of them.

    The others may step as long as they do, too, or be in a phase as long as it may be stopped.
    """
    seen_s = max((one.stopped_s for one in signs if one.stopped_s is not None), default=None)
    if seen_s is None:
        return math.inf
    return max(
        CERTAIN_S - seen_s,
        *(
            limits.stopped_s - seen_s
            if (longest_s := _longest_step_s(one.heartbeat)) is None
            else limits.stopped_step_limit_s(longest_s) - one.idle_s
            for one in signs
        ),
    )


def _longest_step_s(beat: Heartbeat) -> float | None:
    """Return its longest step where it is between two; None: its pace says nothing of now."""
    return beat.longest_s if beat.phase is Phase.STEPPING and beat.unit != "part" else None


def furthest_behind(signs: Sequence[RankSigns]) -> list[RankSigns]:
    """Return the ranks that keep the others: of the lowest step, and of these the silent ones."""
    lowest = min(one.heartbeat.step or 0 for one in signs)
    behind = [one for one in signs if (one.heartbeat.step or 0) == lowest]
    return [one for one in behind if _is_quiet(one)] or behind


def _is_quiet(one: RankSigns) -> bool:
    """Tell whether its beats ended about when its steps did: it is stopped, or cannot beat."""
    return one.silent_s > 0.75 * one.idle_s + 5.0


def _is_slow(one: RankSigns, limits: Limits) -> bool:
    beat = one.heartbeat
    if beat.phase is not Phase.STEPPING or beat.median_s is None or beat.unit == "part":
        return False
    return one.idle_s > limits.slow_factor * beat.median_s + limits.slow_slack_s


def _why_hung(one: RankSigns, limits: Limits) -> str:
    beat = one.heartbeat
    allowed_s = limit_s(beat, limits)
    silence = f", no heartbeat for {duration(one.silent_s)}" if _is_quiet(one) else ""
    if beat.phase is not Phase.STEPPING or beat.longest_s is None:
        return (
            f"{beat.phase.value} for {duration(one.idle_s)}, more than {duration(allowed_s)}"
            f"{silence}"
        )
    is_part = beat.unit == "part"
    factor = limits.part_factor if is_part else limits.step_factor
    slack_s = limits.part_slack_s if is_part else limits.step_slack_s
    return f"{_why_beyond(one, factor, slack_s)}{silence}"


def _why_stopped(one: RankSigns, limits: Limits) -> str:
    stopped_s = duration(one.stopped_s or 0.0)
    if _longest_step_s(one.heartbeat) is None:
        allowed_s = duration(limits.stopped_s)
        doing = one.heartbeat.phase.value
        return f"{doing}, and stopped by a signal for {stopped_s}, more than {allowed_s}"
    slack_s = min(limits.stopped_slack_s, limits.step_slack_s)
    why = _why_beyond(one, limits.step_factor, slack_s)
    return f"{why}, and stopped by a signal in every look for {stopped_s}"


def _why_beyond(one: RankSigns, factor: float, slack_s: float) -> str:
    beat = one.heartbeat
    at = f"{beat.step} of {beat.steps}" if beat.steps else f"{beat.step}"
    return (
        f"no {beat.unit} for {one.idle_s:.0f} s after {beat.unit} {at}, more than {factor:g} × "
        f"{beat.longest_s:.3g} s (the longest so far) + {slack_s:g} s"
    )


def _why_slow(one: RankSigns) -> str:
    beat = one.heartbeat
    at = f"{(beat.step or 0) + 1} of {beat.steps}" if beat.steps else f"{(beat.step or 0) + 1}"
    return (
        f"{beat.unit} {at} has taken {duration(one.idle_s)} so far, where the median is "
        f"{beat.median_s:.3g} s and the longest was {beat.longest_s:.3g} s"
    )

"""The rules of the watchdog over simulated jobs, and over what ranks of a gang show."""

import math
from dataclasses import replace

import numpy as np
import pytest

from jobs.liveness.heartbeat import Heartbeat, Phase
from jobs.liveness.inspection import Finding
from orchestrator.watchdog.limits import Limits
from orchestrator.watchdog.rules import RankSigns, Verdict, furthest_behind, judge, left_s
from orchestrator.watchdog.signs import AttemptSigns, AttentiveClock

LOOK_S, BEAT_S = 1.0, 2.0


def signs(rank=0, idle_s=0.0, silent_s=0.0, stopped_s=None, **beat):
    known = {"phase": Phase.STEPPING, "step": 5, "unit": "step", "longest_s": 2.0, "median_s": 1.0}
    heartbeat = Heartbeat(rank=rank, beat=1, **{**known, **beat})
    return RankSigns(heartbeat=heartbeat, idle_s=idle_s, silent_s=silent_s, stopped_s=stopped_s)


def worst_idle(times, limits):
    """The steps of a job that would have been ended: pure arithmetic of one job's step times."""
    longest = np.maximum.accumulate(times)[:-1]
    allowed = limits.step_factor * longest + limits.step_slack_s
    return int((times[1:] > allowed).sum())


def test_no_false_alarm_in_a_thousand_jobs_of_500_lognormal_steps():
    generator = np.random.default_rng(20260715)
    times = 2.0 * np.exp(0.6 * generator.standard_normal((1000, 500)))
    assert sum(worst_idle(row, Limits()) for row in times) == 0


def watched(times, limits, *, stalls=(), phases=()):
    """Every verdict over a job of these step times, as looks at its heartbeats would have them.

    Args:
        times: of its steps, in seconds; an infinite one hangs.
        stalls: (at, seconds): the watching process stands still, the job does not.
        phases: step -> (phase, seconds) that comes after it.
    """
    clock, seen = AttentiveClock(LOOK_S + 3.0), AttemptSigns(late_s=LOOK_S + BEAT_S)
    ends = np.cumsum([*times])
    verdicts, now, beat = [], 0.0, 0
    latest = []
    while now < 4000 and not (np.isfinite(ends[-1]) and now > ends[-1]):
        number = int(np.searchsorted(ends, now, side="right"))
        latest = [float(one) for one in times[1:number]]
        written = now - now % BEAT_S
        done = int(np.searchsorted(ends, written, side="right"))
        moved_at = float(ends[done - 1]) if done else 0.0
        beat = int(written / BEAT_S)
        seen.take(
            [
                Heartbeat(
                    rank=0,
                    beat=beat,
                    phase=Phase.STEPPING if done else Phase.COMPILING,
                    step=done,
                    unit="step",
                    longest_s=max(map(float, times[1:done]), default=None),
                    median_s=float(np.median(times[1:done])) if done > 1 else None,
                    idle_s=written - moved_at,
                )
            ],
            clock.look(now),
        )
        verdicts.append(judge(seen.read(clock.now), limits).verdict)
        if verdicts[-1] is Verdict.HUNG:
            return verdicts, now
        now += LOOK_S
        for at, seconds in stalls:
            if now - LOOK_S < at <= now:
                now += seconds
    assert latest or not len(times)
    return verdicts, now


def test_a_hang_is_decided_within_its_limit_and_two_beats():
    times = [40.0, *[2.0] * 20, math.inf]
    _, at = watched(times, Limits())
    hung_at = 40.0 + 20 * 2.0
    limit = 3 * 2.0 + 20.0
    assert limit <= at - hung_at <= limit + LOOK_S + BEAT_S


def test_a_watcher_that_stood_still_does_not_take_what_it_missed_for_a_hang():
    verdicts, _ = watched([10.0, *[2.0] * 400], Limits(), stalls=[(100.0, 500.0), (650.0, 90.0)])
    assert max(verdicts) < Verdict.HUNG
    _, at = watched([10.0, *[2.0] * 20, math.inf], Limits(), stalls=[(55.0, 500.0)])
    assert at > 555 + 15  # what passed while nobody looked is no time without a step


def test_a_slow_step_is_told_and_the_first_step_has_a_limit_of_its_own():
    times = [600.0, *[2.0] * 10, 24.0, *[2.0] * 5]
    verdicts, _ = watched(times, Limits())
    assert max(verdicts) is Verdict.DOUBTFUL  # half of the 26 s have passed
    verdicts, _ = watched([*times, 40.0, *[2.0] * 5], Limits())
    assert Verdict.SLOW in verdicts and max(verdicts) is Verdict.DOUBTFUL  # of 92 s, not half


@pytest.mark.parametrize("phase", [Phase.LOADING, Phase.SAVING, Phase.COMPILING, Phase.VALIDATING])
def test_what_counts_no_steps_has_limits_of_its_own(phase):
    limits = Limits.of_words([f"{phase.value}=3h"], {})
    assert judge([signs(idle_s=3 * 3600 - 1, phase=phase)], limits).verdict is Verdict.WELL
    judgement = judge([signs(idle_s=3 * 3600 + 1, phase=phase)], limits)
    assert judgement.verdict is Verdict.HUNG and phase.value in judgement.why


def test_a_job_without_steps_is_judged_by_its_beats_alone():
    quiet = signs(idle_s=1e6, phase=Phase.WORKING, step=None)
    assert judge([quiet], Limits()).verdict is Verdict.WELL
    silent = signs(idle_s=1e6, silent_s=121, phase=Phase.WORKING, step=None)
    assert judge([silent], Limits()).verdict is Verdict.SILENT


def test_a_gang_is_hung_only_when_every_rank_is_beyond_its_own_limit():
    others = [signs(rank=rank, idle_s=500.0, step=8) for rank in (0, 2, 3)]
    saving = signs(rank=1, idle_s=500.0, phase=Phase.SAVING, step=8)
    assert judge([*others, saving], Limits()).verdict is Verdict.WELL
    judgement = judge([*others, signs(rank=1, idle_s=500.0, step=7)], Limits())
    assert (judgement.verdict, judgement.ranks) == (Verdict.HUNG, (1,))


def test_of_ranks_at_one_step_the_silent_one_keeps_the_others():
    ranks = [signs(rank=0, idle_s=90), signs(rank=1, idle_s=90, silent_s=90)]
    assert [one.heartbeat.rank for one in furthest_behind(ranks)] == [1]


def test_never_ends_nothing_and_a_wrong_word_is_refused():
    limits = Limits.of_words(["never"], {})
    beyond = [signs(idle_s=1e9, silent_s=1e9), signs(idle_s=1e9, phase=Phase.LOADING)]
    assert all(judge([one], limits).verdict < Verdict.SILENT for one in beyond)
    assert Limits.of_words([], {"DELTASCALE_HANG_AFTER": "5min, saving=1h"}).step_slack_s == 300
    assert Limits.of_words(["stopped=1min"], {}) == Limits(stopped_slack_s=60, stopped_s=60)
    for word in ("5", "soon", "sleeping=3h", "loading=", "loading=soon"):
        with pytest.raises(Exception, match="neither a length of time") as refused:
            Limits.of_words([word], {})
        assert "loading=3h" in str(refused.value)


WAITS = {"idle_s": 20.0, "silent_s": 0.0}
"""Signs of a rank that waits for another one, beating."""
LOADS = {"phase": Phase.LOADING, "longest_s": None}


@pytest.mark.parametrize(
    ("ranks", "is_hung"),
    [
        # 3 × 2 s + 5 s for a step, seen for 3 s
        ([{"idle_s": 10.9, "stopped_s": 10.0}], False),
        ([{"idle_s": 11.1, "stopped_s": 10.0}], True),
        ([{"idle_s": 11.1, "stopped_s": 2.9}], False),
        ([{"idle_s": 11.1, "silent_s": 11.1}], False),
        # 30 s of being seen stopped where no pace says how long
        ([{"idle_s": 7000.0, "stopped_s": 29.9, **LOADS}], False),
        ([{"idle_s": 40.0, "stopped_s": 30.1, **LOADS}], True),
        ([{"idle_s": 7000.0, "stopped_s": None, **LOADS}], False),
        ([{"idle_s": 40.0, "stopped_s": 29.9, "unit": "part"}], False),
        ([{"idle_s": 40.0, "stopped_s": 30.1, "unit": "part"}], True),
        ([{"idle_s": 40.0, "stopped_s": 30.1, "phase": Phase.WORKING}], True),
        ([{"idle_s": 40.0, "stopped_s": 30.1, "longest_s": None, "median_s": None}], True),
        # of a gang: the others wait, go on, or save
        ([WAITS, {"idle_s": 20.0, "stopped_s": 19.0}, WAITS], True),
        ([{**WAITS, "idle_s": 1.0}, {"idle_s": 20.0, "stopped_s": 19.0}], False),
        ([{**WAITS, "phase": Phase.SAVING}, {"idle_s": 29.0, "stopped_s": 28.0}], False),
        ([{**WAITS, "phase": Phase.SAVING}, {"idle_s": 31.0, "stopped_s": 31.0}], True),
        ([{"idle_s": 20.0, "stopped_s": 3.1}, {"idle_s": 20.0, "stopped_s": 1.0}], True),
    ],
)
def test_what_a_signal_stopped_is_certain_sooner(ranks, is_hung):
    shown = [signs(rank=rank, **one) for rank, one in enumerate(ranks)]
    judgement = judge(shown, Limits())
    assert (judgement.verdict is Verdict.HUNG) == judgement.is_of_stop == is_hung
    assert (left_s(shown, Limits()) < 0) == is_hung
    stopped = [rank for rank, one in enumerate(ranks) if one.get("stopped_s") is not None]
    assert list(judgement.ranks) == stopped or not is_hung
    assert ("stopped by a signal" in judgement.why) == is_hung
    assert judge(shown, Limits.of_words(["never"], {})).verdict < Verdict.SILENT


def test_states_count_while_every_look_finds_the_same_process_stopped_and_unused():
    def found(state="T", cpu_s=1.0, pid=7):
        return Finding(rank=0, node="n1", pid=pid, state=state, cpu_s=cpu_s)

    def stopped_s(now):
        return seen.read(now)[0].stopped_s

    seen, beat = AttemptSigns(late_s=3.0), signs(pid=7).heartbeat
    seen.take([beat], 0.0)
    for now in (1.0, 2.0):
        seen.note_states([found()], now)
    assert stopped_s(4.0) == 3.0
    seen.note_states([found(cpu_s=1.01)], 5.0)  # it ran for a moment, as under cpulimit
    assert stopped_s(6.0) == 1.0
    seen.note_states([found(pid=8, state="S")], 6.0)  # of another process
    assert stopped_s(6.0) == 1.0
    for other in ("S", "t", "D", "R", None):
        seen.note_states([found()], 7.0)
        seen.note_states([found(other)], 8.0)
        assert stopped_s(8.0) is None
    seen.note_states([found()], 9.0)
    seen.take([beat], 10.0)
    assert stopped_s(10.0) == 1.0
    seen.take([replace(beat, beat=2)], 11.0)
    assert stopped_s(11.0) is None
    for forget in (seen.forget_states, lambda: seen.restart(12.0)):
        seen.note_states([found()], 12.0)
        forget()
        assert stopped_s(13.0) is None


def test_a_clock_says_that_nobody_looked_for_longer_than_counts():
    clock = AttentiveClock(4.0)
    for at, has_stood in [(100.0, False), (104.0, False), (108.1, True), (109.0, False)]:
        clock.look(at)
        assert clock.has_stood is has_stood
    assert clock.now == pytest.approx(8.9)


def test_an_attempt_is_hung_just_where_no_time_is_left_for_any_rank():
    generator, limits = np.random.default_rng(20260715), Limits()
    for _ in range(500):
        ranks = [
            signs(
                rank=rank,
                idle_s=float(generator.uniform(0, 80)),
                longest_s=float(longest),
                stopped_s=[None, None, float(generator.uniform(0, 8))][generator.integers(3)],
            )
            for rank, longest in enumerate(generator.uniform(0.1, 12, size=3))
        ]
        is_hung = judge(ranks, limits).verdict is Verdict.HUNG
        assert is_hung == (left_s(ranks, limits) < 0)
    assert left_s([], limits) == math.inf
    assert left_s([signs(idle_s=1e9, phase=Phase.WORKING)], limits) == math.inf

"""Simulated studies: how well their end is foreseen while they run."""

import heapq
import math
import random
from itertools import product
from statistics import fmean

import pytest

from orchestrator.plan.durations import Durations, Task
from orchestrator.plan.time_left import Left, shares, time_left
from orchestrator.records.pace import Pace

RUNGS = {"70m": 60.0, "160m": 150.0, "410m": 420.0, "1b": 900.0}
SEEDS = [str(seed) for seed in range(6)]


def a_study(rng, *, planned=None):
    """Jobs in order: key -> task, needs, true seconds. Two stages below one another, one table."""
    jobs = {}
    for stage, factor in (("align", 1.0), ("extract", 0.3)):
        for rung, seed in product(RUNGS, SEEDS):
            task = Task(
                stage=stage,
                kind=stage,
                cell={"rung": rung, "seed": seed},
                planned_s=planned and planned * RUNGS[rung] * factor,
            )
            needs = frozenset() if stage == "align" else frozenset({f"align {rung} {seed}"})
            truth = RUNGS[rung] * factor * rng.lognormvariate(0, 0.2)
            jobs[f"{stage} {rung} {seed}"] = (task, needs, truth)
    needs = frozenset(key for key in jobs if key.startswith("extract"))
    table = Task(stage="table", kind="compare", cell={}, planned_s=planned and planned * 30)
    return {**jobs, "table": (table, needs, 30.0)}


def watched(jobs, slots):
    """Run a study on so many slots; yield at every end: now, done, running, pace."""
    pace, done, running, ends, now = Pace(), {}, {}, [], 0.0
    while len(done) < len(jobs):
        for key, (_, needs, truth) in jobs.items():
            is_free = len(running) < slots and key not in done and key not in running
            if is_free and needs <= done.keys():
                running[key] = now
                pace.note_start(now, 0)
                heapq.heappush(ends, (now + truth, key))
        now, key = heapq.heappop(ends)
        began = running.pop(key)
        done[key] = now - began
        pace.note_end(now, 0, worked_s=now - began, held_s=now - began)
        yield now, dict(done), dict(running), pace


def foreseen(jobs, now, done, running, pace):
    keys = [key for key in jobs if key not in done]
    (share,) = shares([0.0], width=pace.width, gpus_at_once=None)
    left = {
        key: Left(
            task=jobs[key][0],
            needs=jobs[key][1],
            share=share,
            spent_s=now - running[key] if key in running else None,
        )
        for key in keys
    }
    return time_left(left, Durations((jobs[key][0], took) for key, took in done.items()))


@pytest.mark.parametrize("planned", [0.2, 1.0, 5.0], ids=["too short", "right", "too long"])
def test_the_error_of_what_is_foreseen_shrinks_as_a_study_goes_on(planned):
    errors = {"early": [], "middle": [], "late": []}
    inside = []
    for seed in range(12):
        jobs = a_study(random.Random(seed), planned=planned)
        moments = [(now, foreseen(jobs, now, *rest)) for now, *rest in watched(jobs, 4)]
        end = moments[-1][0]
        for now, left in moments[:-1]:
            assert left.seconds is not None and math.isfinite(left.seconds)
            assert 0 <= left.low <= left.seconds <= left.high
            error = abs(left.seconds - (end - now)) / end
            when = "early" if now < end / 4 else "middle" if now < end * 3 / 4 else "late"
            errors[when].append(error)
            inside.append(left.low * 0.9 <= end - now <= left.high * 1.1)
    early, middle, late = (fmean(errors[when]) for when in ("early", "middle", "late"))
    assert late < middle < max(early, 0.06)
    assert late < 0.05 and middle < 0.12
    assert fmean(inside) > 0.6


def test_without_a_plan_it_is_said_that_nothing_is_known_until_each_stage_was_seen():
    jobs = a_study(random.Random(0))
    moments = [(now, foreseen(jobs, now, *rest)) for now, *rest in watched(jobs, 4)]
    nothing = foreseen(jobs, 0.0, {}, {}, Pace())
    assert (nothing.seconds, nothing.low, nothing.high) == (None, 0.0, None)
    assert nothing.line == "time left: not known, nothing like it has run yet"
    first = moments[0][1]
    assert first.seconds is None and first.low > 0
    assert set(first.unknown) == {"extract", "table"}
    assert first.line.startswith("at least ") and "25 jobs of 2 stages" in first.line
    lows = [left.low for _, left in moments[:-1]]
    assert all(low >= 0 and math.isfinite(low) for low in lows)
    assert moments[-1][1] is None  # nothing is left


def test_a_larger_rung_takes_longer_whatever_its_seed():
    done = [
        (Task(stage="a", kind="a", cell={"rung": rung, "seed": seed}), seconds)
        for rung, seconds in RUNGS.items()
        for seed in SEEDS[:2]
    ]
    durations = Durations(done)
    for rung, seconds in RUNGS.items():
        cell = {"rung": rung, "seed": "5"}
        expected = durations.of(Task(stage="a", kind="a", cell=cell))
        assert expected.seconds == pytest.approx(seconds, rel=0.25)
    new = durations.of(Task(stage="a", kind="a", cell={"rung": "7b", "seed": "0"}))
    assert new.spread > 2 * expected.spread
    assert durations.of(Task(stage="b", kind="b", cell={})) is None


@pytest.mark.parametrize("seconds", [0.0, -3.0, math.nan, math.inf, 1e-9, 1e300])
def test_times_that_cannot_be_spoil_nothing(seconds):
    task = Task(stage="a", kind="a", cell={}, planned_s=1e-300)
    left = {"k": Left(task=task, share=0.5, spent_s=1e9)}
    found = time_left(left, Durations([(task, seconds), (task, 10.0)]))
    assert found.low >= 0 and math.isfinite(found.low)
    assert found.seconds is None or 0 <= found.seconds < math.inf


def test_what_a_running_job_says_of_its_steps_goes_before_what_others_took():
    task = Task(stage="a", kind="a", cell={})
    left = {"k": Left(task=task, spent_s=1000.0, remaining_s=7.0)}
    assert time_left(left, Durations([(task, 10.0)])).seconds == 7.0
    overdue = {"k": Left(task=task, spent_s=1000.0)}
    assert 0 < time_left(overdue, Durations([(task, 10.0)])).seconds < 100


def test_gangs_wait_for_all_machines_and_others_share_them():
    task = Task(stage="a", kind="a", cell={})
    durations = Durations([(task, 10.0)] * 50)
    assert shares([8, 4, 0], width=4, gpus_at_once=8) == [1.0, 0.5, 0.25]
    assert shares([16, 0], width=None, gpus_at_once=None) == [1.0, 1.0]
    alone = {str(at): Left(task=task, share=1.0) for at in range(4)}
    together = {str(at): Left(task=task, share=0.25) for at in range(4)}
    one = time_left({"0": alone["0"]}, durations).seconds
    assert time_left(alone, durations).seconds == pytest.approx(4 * one)
    assert time_left(together, durations).seconds == pytest.approx(one)

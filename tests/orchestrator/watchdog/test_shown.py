"""What a job that runs elsewhere is doing, as one look at its files shows it."""

import json
import os
import time

from jobs.liveness.heartbeat import Heartbeat, Phase, heartbeat_name
from orchestrator.watchdog.shown import show_signs

AT = 1_700_000_000.0


def beats(root, job, launch, *heartbeats, age_s=0.0, attempt="one"):
    folder = launch.artifact(job).attempt_folder(attempt)
    root.make_folder(f"{folder}/alive")
    for beat in heartbeats:
        name = heartbeat_name(folder, beat.rank)
        root.path(name).write_text(beat.to_json())
        written = time.time() - age_s
        os.utime(root.path(name), (written, written))


def test_a_job_is_queued_until_a_process_begins_it(root, launch, make_probe):
    job = make_probe(0)
    assert show_signs(root, job, {"one": AT}) == {"phase": "queued", "since": AT}
    root.make_folder(launch.artifact(job).attempt_folder("one"))
    assert show_signs(root, job, {"one": AT}) == {"phase": "placing", "since": AT}


def test_the_rank_that_is_furthest_behind_is_shown(root, launch, make_probe):
    job = make_probe(0, num_ranks=2)
    common = {"beat": 4, "phase": Phase.STEPPING, "unit": "step", "steps": 30, "rate": 0.5}
    common |= {"gpu_memory_gb": 41.2, "gpu_use": 0.93}
    timed = {"longest_s": 3.0, "median_s": 2.0, "idle_s": 1.0, "since": AT}
    ahead = Heartbeat(rank=0, step=11, node="a", **common, **timed)
    behind = Heartbeat(rank=1, step=10, node="b", **common, **timed)
    beats(root, job, launch, ahead, behind)
    shown = show_signs(root, job, {"one": AT})
    assert (shown["node"], shown["step"], shown["eta_seconds"]) == ("b", 10, 40.0)
    assert (shown["phase"], shown["since"], shown["health"]) == ("stepping", AT, "well")
    assert [rank["step"] for rank in shown["ranks"]] == [11, 10]
    assert (shown["gpu_memory_gb"], shown["gpu_use"]) == (41.2, 0.93)
    json.dumps(shown)


def test_a_job_that_fell_silent_is_shown_so_whatever_it_last_said(root, launch, make_probe):
    job = make_probe(0)
    beat = Heartbeat(
        rank=0,
        beat=4,
        phase=Phase.STEPPING,
        unit="step",
        step=3,
        longest_s=2.0,
        median_s=1.0,
        idle_s=1.0,
    )
    for age_s, health in ((0, "well"), (20, "slow"), (60, "hung")):
        beats(root, job, launch, beat, age_s=age_s)
        shown = show_signs(root, job, {"one": AT})
        assert shown["health"] == health, shown["why"]
        assert abs(shown["silent_seconds"] - age_s) < 5


def test_of_several_workers_the_foremost_is_shown(root, launch, make_probe):
    job = make_probe(0)
    for attempt, step in (("one", 3), ("two", 8)):
        one = Heartbeat(rank=0, beat=1, step=step, unit="part", phase=Phase.STEPPING)
        beats(root, job, launch, one, attempt=attempt)
    assert show_signs(root, job, {"one": AT, "two": AT, "three": AT})["step"] == 8

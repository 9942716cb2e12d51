"""Telemetry of a launch: sampled while attempts run, a line each at their end, on a thread."""

import time

import pyarrow as pa
import pytest

from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.liveness.heartbeat import Heartbeat, Phase, heartbeat_name
from jobs.telemetry.columns import schema
from jobs.telemetry.reading import read_telemetry
from orchestrator.dispatch import telemetry
from orchestrator.dispatch.telemetry import Telemetry
from orchestrator.notebook import LaunchedStudy
from orchestrator.plan.plan import make_plan
from orchestrator.records.events import Ended, Submitted
from orchestrator.records.failure import Result
from orchestrator.study.study import load_study, parse_study
from tests.chain import CHAIN


@pytest.fixture
def jobs(tmp_path):
    file = tmp_path / "chain.yaml"
    file.write_text(CHAIN)
    return {job.key: job for job in make_plan(load_study(file)).jobs}


def write_beat(root, job, number):
    folder = Artifact(root, job.kind, job.key).attempt_folder("one")
    beat = Heartbeat(rank=0, beat=number, node="n1", phase=Phase.STEPPING, step=number, rate=1.5)
    root.write(heartbeat_name(folder, 0), beat.to_json().encode())


def wait_until(holds):
    until = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < until, "it never came"
        time.sleep(0.02)


def test_what_runs_is_sampled_and_what_ended_has_a_line(tmp_path, jobs, monkeypatch):
    monkeypatch.setattr(telemetry, "SAMPLES_EVERY_S", {True: 0.02, False: 0.02})
    monkeypatch.setattr(telemetry, "FLUSHES_EVERY_S", 0.02)
    root, job = Storage(tmp_path / "root"), next(iter(jobs.values()))
    kept = Telemetry(root, "chain", "launch", jobs)
    now = time.time()
    write_beat(root, job, 1)
    kept.note(Submitted(at=now - 30, key=job.key, attempt="one", num_gpus=2))
    kept.note(Submitted(at=now, key=job.key, attempt="short"))
    # It is on disk while the attempt runs: a launch that is killed loses a minute at most.
    wait_until(lambda: read_telemetry(root, "chain", "samples").num_rows == 1)
    write_beat(root, job, 2)
    wait_until(lambda: read_telemetry(root, "chain", "samples").num_rows == 2)
    done = {"key": job.key, "at": now, "result": Result.DONE}
    kept.note(Ended(attempt="one", seconds=18.0, held=30.0, node="n2", peak_gb=1.5, **done))
    kept.note(Ended(attempt="short", seconds=0.01, held=0.02, **done))
    kept.close()
    study = LaunchedStudy(name="chain", storage=root)
    samples, attempts = study.telemetry("samples"), study.telemetry()
    assert list(samples.step) == [1, 2] and set(samples.cell) == {"model=m1"}
    (line,) = attempts.to_dict("records")
    assert (line["attempt"], line["stage"], line["result"]) == ("one", "base", "done")
    assert (line["node"], line["memory_gb"], line["num_samples"]) == ("n2", 1.5, 2)
    assert (line["queued_s"], line["held_s"]) == (12.0, 30.0)
    assert line["gpu_hours"] == pytest.approx(60 / 3600, abs=1e-6)
    assert line["steps_per_s"] == 1.5


def test_a_launch_of_short_jobs_writes_nothing(tmp_path, jobs):
    root = Storage(tmp_path / "root")
    kept = Telemetry(root, "chain", "launch", jobs)
    for number, key in enumerate(jobs):
        about = {"key": key, "attempt": str(number), "at": time.time()}
        kept.note(Submitted(**about))
        kept.note(Ended(**about, result=Result.DONE, seconds=0.01))
    kept.close()
    assert not (tmp_path / "root").exists()
    assert not kept._thread.is_alive()


def test_in_a_notebook_axes_are_columns_of_their_values(tmp_path, monkeypatch):
    axes = "model: [{name: m1}, {name: m2}], seed: [0, 1], rank: [8, full], node: [a]"
    study = parse_study(f"study: s\naxes: {{{axes}}}\nstages: {{one: {{kind: probe}}}}\n")
    monkeypatch.setattr(LaunchedStudy, "_axes", study.axes)
    cells = ["model=m1,seed=1,rank=8,node=a", "model=m2,rank=full", "", "model=old,seed=0"]
    rows = [{"cell": cell, "node": "n1"} for cell in cells]
    kept = pa.Table.from_pylist(rows, schema=schema("attempts"))
    monkeypatch.setattr("jobs.telemetry.reading.read_telemetry", lambda *_: kept)
    frame = LaunchedStudy(name="s", storage=Storage(tmp_path)).telemetry()
    assert list(frame.columns) == [*kept.column_names, "model", "seed", "rank"]
    assert list(frame.index[frame.seed == 1]) == [0] and list(frame.index[frame.seed == 0]) == [3]
    assert [value if isinstance(value, str) else None for value in frame.model] == [
        "m1",
        "m2",
        None,
        None,
    ]
    assert list(frame["rank"].dropna()) == ["8", "full"] and set(frame.node) == {"n1"}

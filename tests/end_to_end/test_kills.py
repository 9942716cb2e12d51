"""Real SIGKILLs at any moment: the same command completes, and the csv is the same."""

import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MINIATURE = str(Path(__file__).parent / "miniature.yaml")
_LONGEST_S = 240


def _reached(condition: Callable[[], bool], process: Any) -> bool:
    """Watch until the condition holds (True) or the launch ended before (False)."""
    ends = time.monotonic() + _LONGEST_S
    while time.monotonic() < ends:
        if condition():
            return True
        if process.poll() is not None:
            return False
        time.sleep(0.01)
    raise AssertionError("neither the moment nor the end came")


def _moments(command: Any) -> list[Callable[[], bool]]:
    """Moments to kill at: in pretraining, in alignment twice, among short jobs, near the end.

    A job as short as these may end between the look and the kill.
    """

    def is_training(kind: str) -> bool:
        found = command.root.glob(f"artifacts/{kind}/*/attempts/*/checkpoints/*/COMPLETE.json")
        return any(not (file.parents[4] / "record.json").exists() for file in found)

    return [
        lambda: is_training("pretrain"),
        lambda: is_training("align"),
        lambda: is_training("align"),
        lambda: len(command.records()) >= 25,
        lambda: len(command.records()) >= 50,
    ]


@pytest.mark.parametrize("executor", ["local", "ray"])
@pytest.mark.parametrize(
    "moments",
    [
        pytest.param(slice(1, 4), id="in alignment and after"),
        pytest.param(slice(None), id="from pretraining to the end", marks=pytest.mark.slow),
    ],
)
def test_a_launch_killed_again_and_again_completes_with_the_same_bytes(
    undisturbed: Any, command: Any, executor: str, moments: slice
) -> None:
    for moment in _moments(command)[moments]:
        process = command.start("launch", MINIATURE, "--executor", executor)
        if _reached(moment, process):
            os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=_LONGEST_S)
    done = command.run("launch", MINIATURE, "--executor", executor)
    assert done.returncode == 0, done.stderr
    assert command.measurements() == undisturbed.measurements()
    resumed = _resumed_steps(command.root)
    # On Ray a worker outlives its driver by a moment, enough to end so small a job.
    assert resumed or executor == "ray", "no training job went on from a checkpoint"


def _resumed_steps(root: Path) -> list[int]:
    """Checkpoints that training jobs went on from, each followed by the very next step."""
    steps = []
    for record in root.glob("artifacts/[ap]*/*/record.json"):
        found = json.loads(record.read_text())
        resumed = found["facts"].get("training", {}).get("resume", {}).get("resumed_from")
        if resumed:
            log = record.parent / "attempts" / found["attempt"] / "training_log.jsonl"
            logged = [json.loads(line) for line in log.read_text().splitlines()]
            numbers = [row["step"] for row in logged if "loss" in row]
            assert numbers == sorted(set(numbers)), "a step was done twice"
            assert resumed + 1 in numbers
            steps.append(resumed)
    return steps


def test_two_launches_at_once_are_refused_by_name(command: Any, tmp_path: Path) -> None:
    study = tmp_path / "long.yaml"
    study.write_text("study: long\nstages: {one: {kind: probe, params: {seconds: 100}}}\n")
    first = command.start("launch", str(study), "--executor", "local")
    try:
        assert _reached(
            lambda: any(command.root.glob("artifacts/probe/*/attempts/*/progress.json")), first
        )
        second = command.run("launch", str(study), "--executor", "local")
        assert second.returncode == 3
        assert str(first.pid) in second.stderr
    finally:
        first.kill()
        first.communicate(timeout=60)

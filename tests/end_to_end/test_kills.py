"""Real SIGKILLs at any moment: the same command completes, and the csv is the same."""

import dataclasses
import json
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

MINIATURE = str(Path(__file__).parent / "miniature.yaml")
SMALLER = str(Path(__file__).parent / "killed.yaml")
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


def _in_training(command: Any, kind: str, times: int = 1) -> Callable[[], bool]:
    """So many attempts have saved a checkpoint, and one of them has no record yet.

    A job as short as these may end between the look and the kill.
    """

    def is_reached() -> bool:
        found = command.root.glob(f"artifacts/{kind}/*/attempts/*/checkpoints/*/COMPLETE.json")
        attempts = {file.parents[2] for file in found}
        is_open = any(not (attempt.parents[1] / "record.json").exists() for attempt in attempts)
        return is_open and len(attempts) >= times

    return is_reached


def _after(command: Any, records: int) -> Callable[[], bool]:
    """So many jobs are done."""
    return lambda: len(command.records()) >= records


def _kill_at(moments: list[Callable[[], bool]], command: Any, *words: str) -> None:
    """Launch and kill at one moment after the other, then launch to the end."""
    for moment in moments:
        process = command.fork("launch", *words)
        if _reached(moment, process):
            os.kill(process.pid, signal.SIGKILL)
        process.communicate(timeout=_LONGEST_S)
    done = command.run("launch", *words)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def calm(command_at: Any, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The long table of the smaller study, launched once without disturbance."""
    command = command_at(root=tmp_path_factory.mktemp("calm"), wandb_mode="disabled")
    done = command.run("launch", SMALLER, "--executor", "local")
    assert done.returncode == 0, done.stderr
    return command.measurements("killed")


def test_a_launch_killed_again_and_again_completes_with_the_same_bytes(
    calm: bytes, command: Any
) -> None:
    moments = [
        _in_training(command, "align"),
        _in_training(command, "align", times=2),
        _after(command, records=12),
    ]
    _kill_at(moments, command, SMALLER, "--executor", "local")
    assert command.measurements("killed") == calm
    assert _resumed_steps(command.root), "no training job went on from a checkpoint"


def test_a_launch_on_ray_killed_twice_completes_with_the_same_bytes(
    calm: bytes, command: Any
) -> None:
    moments = [_in_training(command, "align"), _after(command, records=12)]
    _kill_at(moments, command, SMALLER, "--executor", "ray")
    assert command.measurements("killed") == calm
    # Whether a job went on is left open: a worker outlives its driver by a moment, enough to end
    # so small a job.
    _resumed_steps(command.root)


def test_a_training_in_the_process_of_its_launch_saves_the_step_that_a_signal_finds_it_at(
    command: Any,
) -> None:
    process = command.fork("launch", SMALLER, "--executor", "local")
    if _reached(_in_training(command, "align"), process):
        os.kill(process.pid, signal.SIGTERM)
    _, told = process.communicate(timeout=_LONGEST_S)
    assert process.returncode == 130, told
    (log,) = (
        file
        for file in command.root.glob("artifacts/align/*/attempts/*/training_log.jsonl")
        if not (file.parents[2] / "record.json").exists()
    )
    done = [json.loads(line)["step"] for line in log.read_text().splitlines()]
    saved = [int(file.parent.name.partition("-")[2]) for file in log.parent.rglob("COMPLETE.json")]
    assert max(saved) == max(done), told


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["local", "ray"])
def test_a_launch_killed_from_pretraining_to_the_end_completes_with_the_same_bytes(
    undisturbed: Any, command: Any, executor: str
) -> None:
    command = dataclasses.replace(command, wandb_mode="offline")
    moments = [
        _in_training(command, "pretrain"),
        _in_training(command, "align"),
        _in_training(command, "align", times=2),
        _after(command, records=25),
        _after(command, records=50),
    ]
    _kill_at(moments, command, MINIATURE, "--executor", executor)
    assert command.measurements() == undisturbed.measurements()
    resumed = _resumed_steps(command.root)
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
    first = command.fork("launch", str(study), "--executor", "local")
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

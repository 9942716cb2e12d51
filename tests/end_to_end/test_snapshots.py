"""A study whose columns are models on the way of a training, killed once while it trains."""

import csv
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest

STUDY = Path(__file__).parent / "snapshots.yaml"
_LONGEST_S = 400


def _records(command: Any, kind: str) -> list[dict[str, Any]]:
    return [json.loads(p.read_text()) for p in command.root.glob(f"artifacts/{kind}/*/record.json")]


def _rows(command: Any) -> list[dict[str, str]]:
    return list(csv.DictReader(command.measurements("on-the-way").decode().splitlines()))


def _kill_in_training(command: Any) -> None:
    """Kill a launch once a training has a checkpoint behind its first snapshot."""
    process = command.start("launch", str(STUDY), "--executor", "local")
    ends = time.monotonic() + _LONGEST_S
    while not any(command.root.glob("artifacts/align/*/attempts/*/checkpoints/*/COMPLETE.json")):
        assert process.poll() is None and time.monotonic() < ends, process.communicate()
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate(timeout=_LONGEST_S)


@pytest.mark.slow
def test_a_study_of_models_on_the_way_completes_after_a_kill_with_the_same_bytes(
    command: Any, command_at: Any, tmp_path: Path
) -> None:
    whole = command_at(root=tmp_path / "whole")
    assert whole.run("launch", str(STUDY), "--executor", "local").returncode == 0
    _kill_in_training(command)
    done = command.run("launch", str(STUDY), "--executor", "local")
    assert done.returncode == 0, done.stderr
    assert command.measurements("on-the-way") == whole.measurements("on-the-way")
    assert any(r["facts"]["training"]["resume"]["resumed_from"] for r in _records(command, "align"))
    snapshots = [
        {name: entry["xxh3"] for name, entry in record["files"].items() if "snapshots/" in name}
        for one in (command, whole)
        for record in sorted(_records(one, "align"), key=lambda record: record["key"])
    ]
    assert snapshots[:2] == snapshots[2:] and all(snapshots)

    rows = _rows(command)
    for lora in ("full", "adapter"):
        norms = {
            row["axis:snapshot"] if "axis:snapshot" in row else row["snapshot"]: row
            for row in rows
            if row["metric"] == "relative_norm" and lora in row.values()
        }
        assert norms["kl-50"]["value"] == ""
        assert "never reached it: the most was" in norms["kl-50"]["reason"]
        values = [float(norms[label]["value"]) for label in ("step-2", "step-7", "end")]
        assert values == sorted(values) and values[0] > 0
    assert {record["facts"].get("step") for record in _records(command, "snapshot")} >= {2, 7, 40}
    largest = max(
        entry["bytes"]
        for record in _records(command, "snapshot")
        for name, entry in record["files"].items()
        if "tokenizer" not in name
    )
    assert largest < 10_000
    verified = command.run("verify", str(STUDY))
    assert verified.returncode == 0, verified.stdout + verified.stderr
    for verb in (("gc",), ("plan", str(STUDY))):
        assert command.run(*verb).returncode == 0


def test_a_label_that_training_does_not_keep_is_refused_before_anything_runs(
    command: Any, tmp_path: Path
) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.read_text().replace("[step-2, step-7,", "[step-2, step-70,"))
    refused = command.run("plan", str(study))
    assert refused.returncode != 0
    for said in ("step-70", "step-7", "did you mean", "kl-50", "end"):
        assert said in refused.stderr, refused.stderr


def test_the_plan_says_what_models_on_the_way_cost(command: Any) -> None:
    plan = command.run("plan", str(STUDY))
    assert plan.returncode == 0, plan.stderr
    said = plan.stdout + plan.stderr
    assert "it keeps 3 models on the way, an adapter each" in said
    assert "it keeps 3 models on the way; looks cost about 0.8% of its steps" in said

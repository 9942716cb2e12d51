"""The embedded study with every control, whole: it completes, and its controls say what they must.

Reads no figure that a machine could change: only verdicts, and what holds of a control by design.
"""

import json
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

ROOT = Path(__file__).parents[2]
_LONGEST_S = 3600


def deltascale(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *words],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=_LONGEST_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.mark.slow
def test_the_full_nursery_completes_and_its_controls_hold(tmp_path: Path) -> None:
    root = str(tmp_path / "root")
    short = deltascale("launch", str(ROOT / "studies/nursery.yaml"), "--root", root)
    assert len(short.splitlines()) <= 50, "a launch ends with one screen"
    ended = deltascale("launch", str(ROOT / "studies/nursery-full.yaml"), "--root", root, "--json")
    report = json.loads(ended)
    assert (report["state"], report["failed"]) == ("complete", {})
    assert report["reused"] >= 216, "the short study's jobs are used again"
    verdicts = {
        answer["name"]: answer["verdict"]
        for answer in json.loads(
            deltascale("compare", "nursery-full", "--answers", "--json", "--root", root)
        )
    }
    assert verdicts["holds_as_models_grow"] == "yes"
    assert verdicts["bypassed_by_transforms"] == "yes"
    tables = tmp_path / "root/studies/nursery-full/tables/table"
    rows = pq.read_table(tables / "measurements.parquet").to_pylist()
    unaligned = [
        row for row in rows if row["objective"] == "unaligned" and row["metric"] == "consistency"
    ]
    assert unaligned and all(row["status"] == "below_noise_floor" for row in unaligned)
    seeds = [row for row in rows if row["metric"] == "mean_cosine" and row["seed"] == 1]
    assert seeds, "two seeds of one rung are compared"

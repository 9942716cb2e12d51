"""Every shipped study rehearses, with neither its data nor its models; so does every objective."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jobs.training.objective import OBJECTIVES

STUDIES = sorted((Path(__file__).parents[2] / "studies").glob("*.yaml"))
_LONGEST_S = 3600


def rehearsed(study: Path, folder: Path, tmp_path: Path) -> dict[str, Any]:
    """Rehearse a study in a process of its own, with no hub; return the report."""
    settings = {"HF_HUB_CACHE": str(tmp_path / "hub"), "PYTHONPATH": str(STUDIES[0].parents[1])}
    environment = {name: text for name, text in os.environ.items() if name != "DELTASCALE_DATA"}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", "rehearse", str(study)]
        + ["--into", str(folder), "--root", str(tmp_path / "results"), "--json"],
        env={**environment, **settings}, capture_output=True, text=True, timeout=_LONGEST_S,
    )  # fmt: skip
    assert done.returncode in (0, 1), done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


@pytest.mark.slow
@pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.stem)
def test_a_shipped_study_rehearses_whole(study: Path, tmp_path: Path) -> None:
    report = rehearsed(study, tmp_path / "rehearsal", tmp_path)
    assert report["faults"] == [] and report["held"]
    assert {stage["state"] for stage in report["stages"]} == {"held"}
    assert not (tmp_path / "results").exists() and not (tmp_path / "rehearsal").exists()


@pytest.mark.slow
def test_no_objective_of_the_package_is_said_not_to_learn(tmp_path: Path) -> None:
    names = ", ".join(OBJECTIVES.package_names()).replace("_", "-")
    (tmp_path / "study.yaml").write_text(
        f"""study: objectives
axes:
  objective: [{names}]
stages:
  base:
    kind: pretrain
    params:
      config: {{family: gpt2, num_layers: 2, d_model: 32, num_heads: 4, max_positions: 128}}
      format: nursery
      steps: 200
  pairs: {{kind: pairs, params: {{format: nursery}}}}
  reference: {{kind: reference, inputs: {{model: base, pairs: pairs}}, params: {{max_length: 64}}}}
  aligned:
    kind: align
    over: [objective]
    inputs: {{model: base, pairs: pairs, reference: reference}}
    params: {{objective: "${{objective}}", steps: 200, global_batch: 16, max_length: 64}}
"""
    )
    report = rehearsed(tmp_path / "study.yaml", tmp_path / "rehearsal", tmp_path)
    assert report["faults"] == []
    (aligned,) = [stage for stage in report["stages"] if stage["stage"] == "aligned"]
    assert aligned["num_jobs"] == len(OBJECTIVES.package_names())

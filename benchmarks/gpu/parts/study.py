"""Whether a whole study runs on the GPU through the command line, without Ray."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import JOBS, Aim, Part, Row

_DONE = "every job of a small study is done"
_SAME = "… mean relative norm of δx against the processor's, relative difference"
_CONFIG = {"family": "llama", "num_layers": 3, "num_heads": 4, "d_model": 64}
_LIMIT_S = 140


def small_study(num_gpus: int) -> Mapping[str, Any]:
    """Return a study of one tiny model: pretrained, aligned, extracted, measured, compared."""
    on = {"num_gpus": num_gpus}
    data = {"format": "nursery", "options": {"num_documents": 200}}
    return {
        "study": f"on-{num_gpus}-gpus",
        "stages": {
            "base": {"kind": "pretrain",
                     "params": {**data, **on, "steps": 40, "config": _CONFIG}},
            "pairs": {"kind": "pairs", "params": {"format": "nursery"}},
            "texts": {"kind": "prompts", "params": {"format": "nursery"}},
            "reference": {"kind": "reference", "inputs": {"model": "base", "pairs": "pairs"},
                          "params": on},
            "aligned": {
                "kind": "align", "params": {**on, "steps": 10, "learning_rate": 1e-4},
                "inputs": {"model": "base", "pairs": "pairs", "reference": "reference"},
            },
            "delta": {"kind": "extract", "params": on,
                      "inputs": {"base": "base", "aligned": "aligned", "prompts": "texts"}},
            "geometry": {"kind": "measure", "inputs": {"delta": "delta"},
                         "params": {"metrics": ["relative_norm"]}},
            "table": {"kind": "compare", "gather": ["geometry"]},
        },
    }  # fmt: skip


class Study(Part):
    """Eight jobs, one after another in one process."""

    ORDER = 56
    QUESTION = "Does a study run on it from end to end?"
    NEEDS = (*JOBS, "scipy", "matplotlib", "rich", "pandas", "jinja2", "pymare", "sklearn")
    AIMS = {_DONE: Aim(), _SAME: Aim(most=0.05)}

    def why_not(self, machine: Machine) -> str | None:
        """Leave it out of rehearsals: it takes a minute of a processor."""
        return "no rehearsal: it is slow" if machine.rehearses else super().why_not(machine)

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield whether it came to its end, and how near its number is to the processor's."""
        norms = {}
        for num_gpus in (1, 0) if machine.on_gpu else (0,):
            with tempfile.TemporaryDirectory() as folder:
                fault, norms[num_gpus] = launch(Path(folder), small_study(num_gpus))
            where = "GPU" if num_gpus else "processor"
            yield self.row(_DONE, not fault, of=where, note=fault)
        here, there = norms.get(1), norms.get(0)
        apart = abs(here / there - 1) if here and there else None
        yield self.row(_SAME, apart, note="the models are trained on each: equal to rounding only")


def launch(
    folder: Path, study: Mapping[str, Any], *, executor: str = "local"
) -> tuple[str, float | None]:
    """Launch a study; return (what went wrong, the mean of `relative_norm` in its table)."""
    path, root = folder / "study.yaml", folder / "root"
    path.write_text(json.dumps(study), encoding="utf-8")  # JSON is YAML
    words = ["launch", str(path), "--root", str(root), "--executor", executor]
    environment = {**os.environ, "WANDB_MODE": "disabled"}
    done = subprocess.run(
        [sys.executable, "-m", "orchestrator.cli", *words], capture_output=True, text=True,
        timeout=_LIMIT_S, env=environment, check=False,
    )  # fmt: skip
    if done.returncode:
        lines = (done.stderr or done.stdout).strip().splitlines()
        return f"exit code {done.returncode}: {lines[-1][:300] if lines else ''}", None
    tables = sorted(root.glob("studies/*/tables/*/measurements.csv"))
    return "", _mean_norm(tables[0]) if tables else None


def _mean_norm(path: Path) -> float | None:
    with path.open(encoding="utf-8", newline="") as file:
        values = [
            float(row["value"]) for row in csv.DictReader(file)
            if row["metric"] == "relative_norm" and row["value"]
        ]  # fmt: skip
    return sum(values) / len(values) if values else None

"""`make` on a machine with a driver and a CUDA build of torch, and without the CUDA toolkit."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
needs_make = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
SET_UP_OF_DEEPSPEED = """
import torch
torch.version.cuda = "13.0"
torch.cuda.is_available = lambda: True
torch.cuda.device_count = lambda: 1
torch.cuda.get_device_capability = lambda *a: (9, 0)
gpu = type("Properties", (), {"major": 9, "minor": 0, "name": "pretended"})()
torch.cuda.get_device_properties = lambda *a: gpu
import torch.utils.cpp_extension
torch.utils.cpp_extension.CUDA_HOME = None
from deepspeed.ops.op_builder.all_ops import ALL_OPS
for builder in ALL_OPS.values():
    builder.is_compatible()
"""
"""What DeepSpeed's setup.py asks of every operator before it builds, beside a pretended GPU."""


def variables_of_building() -> dict[str, str]:
    """The variables under which `make` installs the locked packages."""
    shown = subprocess.run(
        ["make", "--dry-run", "--always-make", ".venv/.ready", f"PYTHON={sys.executable}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    (line,) = [line for line in shown.stdout.splitlines() if "locks/runtime.txt" in line]
    words = line.split(" ")
    return dict(word.split("=", 1) for word in words[: words.index(".venv/bin/python")])


def set_up(variables: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", SET_UP_OF_DEEPSPEED],
        env={**os.environ, **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@needs_make
def test_no_operator_for_gpus_is_looked_for_while_deepspeed_is_built() -> None:
    assert "deepspeed" in (ROOT / "locks/runtime.txt").read_text()
    assert variables_of_building() == {"DS_ACCELERATOR": "cpu"}


@needs_make
@pytest.mark.slow
def test_its_set_up_passes_beside_a_gpu_without_a_toolkit_and_would_not_otherwise() -> None:
    done = set_up(variables_of_building())
    assert done.returncode == 0, done.stderr
    assert "CUDA_HOME does not exist" in set_up({"DS_ACCELERATOR": "cuda"}).stderr

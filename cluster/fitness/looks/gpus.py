"""Asks the driver about the GPUs of a machine: which, how healthy, in which modes, held by whom."""

import os
import shutil
from collections.abc import Mapping
from typing import Any

from cluster.machine.gpu_processes import gpu_processes
from cluster.machine.visible_gpus import driver_answer, visible_gpus

_FIELDS = {
    "index": ("index",),
    "uuid": ("uuid",),
    "name": ("name",),
    "driver": ("driver_version",),
    "total_mib": ("memory.total",),
    "used_mib": ("memory.used",),
    "temperature": ("temperature.gpu",),
    "persistence": ("persistence_mode",),
    "compute_mode": ("compute_mode",),
    "mig": ("mig.mode.current",),
    "ecc": ("ecc.mode.current",),
    "ecc_errors": ("ecc.errors.uncorrected.volatile.total",),
    "retired_pending": ("retired_pages.pending",),
    "remap_pending": ("remapped_rows.pending", "remapped_rows_pending"),
    "remap_failure": ("remapped_rows.failure", "remapped_rows_failure"),
    "hot_slowdown": ("clocks_event_reasons.hw_thermal_slowdown",
                     "clocks_throttle_reasons.hw_thermal_slowdown"),
    "power_slowdown": ("clocks_event_reasons.hw_power_brake_slowdown",
                       "clocks_throttle_reasons.hw_power_brake_slowdown"),
}  # fmt: skip
"""What is known here by a name -> what drivers call it, the newest first."""


def look(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the driver says of every GPU, those that jobs see, and who holds memory.

    Args:
        asked: nothing.
    """
    del asked
    program = shutil.which("nvidia-smi")
    if program is None:
        return {"driver": None, "gpus": [], "visible": [], "processes": [], "fault": None}
    listed = driver_answer(program, "--list-gpus")
    if listed is None:
        fault = "nvidia-smi fails or does not answer: is the driver loaded, and of one version?"
        return {"driver": True, "gpus": [], "visible": [], "processes": [], "fault": fault}
    return {
        "driver": True,
        "gpus": _gpus(program),
        "visible": [gpu.name for gpu in visible_gpus()],
        "processes": [[p.gpu, p.describe(), p.memory_gb] for p in gpu_processes()],
        "user": os.getuid(),
        "fault": None,
    }


def _gpus(program: str) -> list[dict[str, str]]:
    """Ask for each field by itself: a driver refuses a question with a name that it does not know.

    One process per field, a tenth of a second each.
    """
    columns = {name: _column(program, spellings) for name, spellings in _FIELDS.items()}
    number = len(columns["index"])
    whole = {name: cells for name, cells in columns.items() if len(cells) == number}
    return [{name: cells[row] for name, cells in whole.items()} for row in range(number)]


def _column(program: str, spellings: tuple[str, ...]) -> list[str]:
    for field in spellings:
        cells = driver_answer(program, f"--query-gpu={field}", "--format=csv,noheader,nounits")
        if cells is not None:
            return [cell.strip() for cell in cells if cell.strip()]
    return []


def look_torch(asked: Mapping[str, Any]) -> dict[str, Any]:
    """Multiply two matrices on every GPU that torch sees.

    Args:
        asked: nothing.
    """
    del asked
    import torch

    build = torch.version.cuda
    if build is None:
        return {"cuda": None, "num_gpus": 0, "faults": {}}
    faults = {}
    torch.cuda.init()  # type: ignore[no-untyped-call]
    for number in range(torch.cuda.device_count()):
        try:
            ones = torch.ones((256, 256), device=f"cuda:{number}")
            assert float((ones @ ones).max()) == 256.0, "the product is wrong"
        except Exception as error:  # torch raises many kinds; each names what is wrong
            faults[str(number)] = f"{type(error).__name__}: {error}".splitlines()[0]
    return {"cuda": build, "num_gpus": torch.cuda.device_count(), "faults": faults}

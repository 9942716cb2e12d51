"""What is installed, and what compiles kernels where a job runs."""

from __future__ import annotations

import os
import shutil
import sysconfig
from collections.abc import Iterator
from pathlib import Path

from benchmarks.gpu.machine import Machine, describe
from benchmarks.gpu.part import Aim, Part, Row

_LIBRARIES = "libraries that training needs are importable"
_COMPILER = "a C compiler and Python.h, which Triton builds its launcher with"


class Versions(Part):
    """Driver, packages, compiler."""

    ORDER = 0
    QUESTION = "What is installed?"
    LEAST_GB = 0.0
    AIMS = {_LIBRARIES: Aim(), _COMPILER: Aim()}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield a row for each package, then what must be there."""
        facts = describe(machine)
        yield Row(what="GPUs", value=machine.num_gpus)
        yield Row(what="memory", value=round(machine.memory_gb, 1), unit="GB",
                  note=f"{machine.free_gb:.1f} GB free")  # fmt: skip
        yield Row(what="driver", value=facts["driver"] or "none")
        yield Row(what="CUDA that torch was built for", value=facts["cuda"] or "none")
        for name, found in facts["versions"].items():
            yield Row(what=name, value=found or "not installed")
        fault = _import_fault()
        yield self.row(_LIBRARIES, fault is None, note=fault or "")
        lacking = compiler_lacks()
        yield self.row(_COMPILER, not lacking, note=f"lacking: {lacking}" if lacking else "")


def compiler_lacks() -> str:
    """Return what is missing to compile a kernel's launcher; empty where nothing is."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    header = Path(sysconfig.get_paths()["include"], "Python.h")
    lacking = [] if compiler else ["gcc or clang"]
    return ", ".join(lacking if header.exists() else [*lacking, str(header)])


def _import_fault() -> str | None:
    """Import the trainer as a job does; return the first line of what went wrong."""
    try:
        import trl
        from trl import DPOTrainer  # noqa: F401
    except Exception as fault:
        return f"{type(fault).__name__}: {str(fault).strip().partition(chr(10))[0]}"
    return None if trl.__version__ else "trl has no version"

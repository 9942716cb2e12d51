"""What is installed, and what compiles kernels where a job runs."""

from __future__ import annotations

from collections.abc import Iterator

from benchmarks.gpu.machine import Machine, describe
from benchmarks.gpu.part import Aim, Part, Row
from cluster.errors import SurroundingsError
from jobs.training.kernel_compiler import require_compiler

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
        lacking = _compiler_fault()
        yield self.row(_COMPILER, not lacking, note=lacking)


def _compiler_fault() -> str:
    """Return why kernels cannot be compiled here, as a job would say it; empty where they can."""
    try:
        require_compiler()
    except SurroundingsError as fault:
        return str(fault).partition("\n")[0]
    return ""


def _import_fault() -> str | None:
    """Import the trainer as a job does; return the first line of what went wrong."""
    try:
        import trl
        from trl import DPOTrainer  # noqa: F401
    except Exception as fault:
        return f"{type(fault).__name__}: {str(fault).strip().partition(chr(10))[0]}"
    return None if trl.__version__ else "trl has no version"

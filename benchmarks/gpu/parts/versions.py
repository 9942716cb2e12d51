"""What is installed, and what compiles kernels where a job runs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from benchmarks.gpu.machine import Machine, describe
from benchmarks.gpu.part import Aim, Part, Row
from cluster.errors import SurroundingsError
from jobs.training.kernel_compiler import require_compiler

_ROOT = Path(__file__).parents[3]
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
        older = older_than_asked(facts["versions"])
        yield Row(what="older than this package asks for", value="; ".join(older) or "nothing")
        fault = _import_fault()
        yield self.row(_LIBRARIES, fault is None, note=fault or "")
        lacking = _compiler_fault()
        yield self.row(_COMPILER, not lacking, note=lacking)


def older_than_asked(versions: Mapping[str, str | None]) -> list[str]:
    """Say which packages are older than `pyproject.toml` allows: parts may fail by that alone."""
    asked = tomllib.loads((_ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [line for lines in asked["optional-dependencies"].values() for line in lines]
    wanted = {}
    for line in [*asked["dependencies"], *extras]:
        if found := re.match(r"([\w-]+)[^>]*>=\s*([\d.]+)", line):
            wanted.setdefault(found[1].lower(), found[2])
    return [
        f"{name} {has} (asked for: {wanted[name]})"
        for name, has in versions.items()
        if has and name in wanted and _numbers(has) < _numbers(wanted[name])
    ]


def _numbers(version: str) -> list[int]:
    """Return the leading numbers of a version."""
    return [int(number) for number in re.findall(r"\d+", re.split(r"[^\d.]", version)[0])]


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

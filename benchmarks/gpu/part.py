"""Contract: one part of `make gpu-check`. Parts live in `parts/`, each alone, each in 5 minutes.

A part yields rows as it measures them, so that one which is ended at its limit leaves what it had.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from typing import ClassVar

from benchmarks.gpu.machine import Machine
from jobs.door import Door

TRAINER = ("trl", "datasets", "accelerate", "peft", "pyarrow")
"""Modules that training needs beyond torch, transformers and numpy."""
JOBS = (*TRAINER, "threadpoolctl")
"""Modules that whole jobs need."""
LIMIT_S = 300
"""Seconds after which a part is ended."""


@dataclass(frozen=True, kw_only=True)
class Aim:
    """What a measured value is held to; without numbers, a yes."""

    least: float | None = None
    """Smallest value that holds."""
    most: float | None = None
    """Largest value that holds."""

    def holds(self, value: float | bool) -> bool:
        """Return whether a value is within; NaN never is."""
        if self.least is None and self.most is None:
            return value is True
        return (self.least is None or value >= self.least) and (
            self.most is None or value <= self.most
        )

    def __str__(self) -> str:
        ends = [f"≥ {self.least:g}"] if self.least is not None else []
        ends += [f"≤ {self.most:g}"] if self.most is not None else []
        return ", ".join(ends) or "yes"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of the table."""

    what: str
    """What was measured."""
    value: float | bool | str | None
    """What came out; None where the note says why there is nothing."""
    unit: str = ""
    """Unit of a number."""
    aim: str = ""
    """What it is held to; empty where it is held to nothing."""
    holds: bool | None = None
    """Whether it is held; None where there is no aim, or no value."""
    note: str = ""
    """What belongs to it."""
    facts: Mapping[str, object] | None = None
    """What a plan can be calibrated with."""

    def to_json(self) -> dict[str, object]:
        """Return the row as it stands in the JSON."""
        return asdict(self)


class Part(ABC):
    """One question to a GPU: the class of a file in `parts/`, named after it."""

    ORDER: ClassVar[int]
    """Place among all parts: what must hold before what is worth knowing."""
    QUESTION: ClassVar[str]
    """As the table's heading."""
    AIMS: ClassVar[Mapping[str, Aim]] = {}
    """What is held to something -> what to."""
    LEAST_GPUS: ClassVar[int] = 1
    """GPUs that it needs."""
    LEAST_GB: ClassVar[float] = 4.0
    """Free memory of the GPU that its smallest row needs, in 10^9 bytes."""
    NEEDS: ClassVar[tuple[str, ...]] = ()
    """Modules beyond torch, transformers and numpy, that a bare machine may lack."""

    @abstractmethod
    def rows(self, machine: Machine) -> Iterator[Row]:
        """Measure; yield each row as soon as it is known."""

    def row(
        self, name: str, value: float | bool | None, unit: str = "", *, of: str = "", note: str = ""
    ) -> Row:
        """Return the row of an aim; `of` says of what where one aim holds for several things."""
        aim = self.AIMS[name]
        holds = None if value is None else aim.holds(value)
        what = f"{name}: {of}" if of else name
        return Row(what=what, value=value, unit=unit, aim=str(aim), holds=holds, note=note)

    def why_not(self, machine: Machine) -> str | None:
        """Say why this machine cannot run the part; None where it can."""
        lacking = [name for name in self.NEEDS if find_spec(name) is None]
        if lacking:
            return f"not installed: {', '.join(lacking)}"
        if machine.rehearses:
            return None
        if machine.num_gpus < self.LEAST_GPUS:
            return f"needs {self.LEAST_GPUS} GPUs, this machine has {machine.num_gpus}"
        if machine.free_gb < self.LEAST_GB:
            return (
                f"needs {self.LEAST_GB:g} GB of the GPU, {machine.free_gb:.1f} of "
                f"{machine.memory_gb:.1f} GB are free"
            )
        return None


PARTS: Door[Part] = Door("part of the GPU check", "benchmarks.gpu.parts", contract=Part)
"""The parts that there are."""


def find_part(name: str) -> Part:
    """Return a part, or what stands for one that cannot be imported on this machine.

    Raises:
        UserError: there is none of this name.
    """
    try:
        return PARTS.find(name)
    except ImportError as fault:
        return _stand_in(name, fault)


def in_order() -> list[str]:
    """List the names of all parts in the order in which they run."""
    return sorted(PARTS.names(), key=lambda name: find_part(name).ORDER)


def _stand_in(name: str, fault: ImportError) -> Part:
    lacking = (fault.name or "").partition(".")[0]
    is_absent = isinstance(fault, ModuleNotFoundError) and find_spec(lacking) is None

    class NotHere(Part):
        ORDER = 1000
        QUESTION = f"What does `{name}` show?"

        def rows(self, machine: Machine) -> Iterator[Row]:
            raise fault

        def why_not(self, machine: Machine) -> str | None:
            return f"not installed: {lacking}" if is_absent else None

    return NotHere()

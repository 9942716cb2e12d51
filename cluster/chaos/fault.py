"""Contract: a kind of fault that can be injected. Kinds live in `faults/`, one per file.

The file's name is the kind's name, with hyphens where the file has underscores.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Protocol, cast

from cluster.errors import unknown_name
from cluster.fault_points import POINTS


@dataclass(frozen=True, kw_only=True)
class Moment:
    """Where and when a fault strikes."""

    point: str
    """The fault point, one of `POINTS`."""
    amount: float
    """How much of it: seconds or 10^9 bytes, as the kind says."""
    words: str
    """The fault as its user wrote it, for messages."""
    number: int
    """A number drawn from the seed, for whatever the kind chooses at random."""
    undo: Callable[[Callable[[], None]], object]
    """Takes what is to be done once the process is disarmed."""
    where: Mapping[str, object] = field(default_factory=dict)
    """What the fault point says of the place."""

    def says(self, text: str) -> str:
        """Return a message that nobody takes for one of a real fault."""
        return f"{text} (injected by --chaos: {self.words})"


class Fault(Protocol):
    """The names that a module in `faults/` defines."""

    HELP: str
    """What happens, in one line."""
    POINTS: tuple[str, ...]
    """Fault points where it may strike; the first is where it does unless somebody says where."""
    WHO: tuple[str, ...]
    """Whose process it strikes: `job`, `launch`, or either that comes there first."""
    AMOUNT: float | None
    """How much of it, where nobody says; None where it has no amount."""
    UNIT: str
    """Unit of the amount, `s` or `GB`; empty without one."""
    LASTS: bool
    """Whether the amount is how long it goes on at all of its points, once it has begun."""
    IS_DRAWN: bool
    """Whether `random:N` draws it: a study ends complete after it, with the same numbers."""

    def strike(self, moment: Moment) -> None:
        """Do what happens: raise an error, end or stop a process, or damage something."""


def fault_names() -> list[str]:
    """Return the names of all kinds, sorted."""
    return sorted(_stems())


def find_fault(name: str) -> Fault:
    """Return the kind of this name. Raises UserError where there is none."""
    if name not in _stems():
        raise unknown_name("fault", name, _stems(), where="--chaos")
    return _load(_stems()[name])


@cache
def _stems() -> dict[str, str]:
    folder = Path(__file__).parent / "faults"
    return {file.stem.replace("_", "-"): file.stem for file in folder.glob("[a-z]*.py")}


@cache
def _load(stem: str) -> Fault:
    module = import_module(f"cluster.chaos.faults.{stem}")
    lacking = [name for name in Fault.__annotations__ if not hasattr(module, name)]
    assert not lacking, (
        f"cluster/chaos/faults/{stem}.py lacks {lacking}: see cluster/chaos/fault.py"
    )
    strange = set(module.POINTS) - POINTS.keys()
    assert not strange, f"cluster/chaos/faults/{stem}.py: no fault points {strange}"
    return cast(Fault, module)

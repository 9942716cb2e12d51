"""`AbsentEntry`: an own entry of a launched study whose code is not here: its name, and no more.

Of a kind the launch recorded what it declares, so that its jobs can still be listed, followed and
checked. Nothing here is code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from pydantic import ConfigDict
from typing_extensions import TypedDict

from analysis.long_table.circumstances import Origin
from cluster.errors import UserError
from jobs.entries.rooms import door_of, package_of
from jobs.kind import Input, Kind, Params
from jobs.provenance import Data, Leaves, Model, Results


class DeclaredInput(TypedDict):
    """One input of a kind; fields as in `Input`."""

    kinds: list[str]
    used_if_named: bool
    dispensable: bool


class DeclaredKind(TypedDict):
    """What a kind declares of its jobs; fields as in `Kind`."""

    version: int
    inputs: dict[str, DeclaredInput]
    leaves: str
    gathers: bool
    gathered_kinds: list[str]
    measures: list[str]
    headlines: dict[str, int]
    sweeps: list[str]


class EntryNotHere(UserError, LookupError):
    """The code of an own entry is needed, and is not here."""


@dataclass(frozen=True, kw_only=True, eq=False)
class AbsentEntry:
    """An own entry without its code."""

    room: str
    """Folder of its door."""
    stem: str
    """Name of its file, without suffix."""
    why: str
    """Why its code is not here."""
    kind: DeclaredKind | None = None
    """What it declared, where it is a kind."""

    @property
    def package(self) -> str:
        """The door's folder as a package."""
        return package_of(self.room)

    @property
    def place(self) -> str:
        """Its file in messages."""
        return f"entries/{self.room}/{self.stem}.py"

    def load(self) -> ModuleType | object:
        """Return what a kind declared, as a kind that cannot run.

        Raises:
            EntryNotHere: it is of another door.
        """
        if self.kind is not None:
            return _Declared(self.kind, self)
        raise self.fault()

    def fault(self) -> EntryNotHere:
        """Make the fault for whoever needs its code."""
        door = door_of(self.room)
        return EntryNotHere(
            f"this needs the code of the study's own {door.what} "
            f"{self.stem.replace('_', door.separator)!r}, which is not here: {self.why}",
            where=self.place,
            hint="name the study's own file, beside its folder of entries",
        )


def declaration_of(kind: Kind[Any]) -> DeclaredKind:
    """Write down what a kind declares of its jobs."""
    return {
        "version": kind.VERSION,
        "inputs": {
            name: {
                "kinds": sorted(wanted.kinds),
                "used_if_named": wanted.used_if_named,
                "dispensable": wanted.dispensable,
            }
            for name, wanted in kind.INPUTS.items()
        },
        "leaves": _written(kind.LEAVES),
        "gathers": kind.GATHERS,
        "gathered_kinds": sorted(kind.gathered_kinds()),
        "measures": list(kind.MEASURES),
        "headlines": dict(kind.HEADLINES),
        "sweeps": list(kind.SWEEPS),
    }


class _AnyParams(Params):
    """Params as they were recorded."""

    model_config = ConfigDict(extra="allow")


class _Declared(Kind[_AnyParams]):
    """A kind as it was declared."""

    Params = _AnyParams
    USES_TORCH = False

    def __init__(self, declared: DeclaredKind, entry: AbsentEntry) -> None:
        self.VERSION = declared["version"]
        self.INPUTS = {
            name: Input(
                kinds=frozenset(wanted["kinds"]),
                used_if_named=wanted["used_if_named"],
                dispensable=wanted["dispensable"],
            )
            for name, wanted in declared["inputs"].items()
        }
        self.LEAVES = _read(declared["leaves"])
        self.GATHERS = declared["gathers"]
        self.MEASURES = tuple(declared["measures"])
        self.HEADLINES = declared["headlines"]
        self.SWEEPS = tuple(declared["sweeps"])
        self._gathered_kinds = frozenset(declared["gathered_kinds"])
        self._entry = entry

    def gathered_kinds(self) -> frozenset[str]:
        """Return the kinds that it gathered."""
        return self._gathered_kinds

    def pins(self, params: _AnyParams, known: Mapping[str, str]) -> Mapping[str, str]:
        """Refuse: what it pins, its code alone knows."""
        raise self._entry.fault()

    def entries(self, params: _AnyParams) -> Iterator[tuple[str, str]]:
        """Yield none."""
        return iter(())

    def run(self, work: object) -> dict[str, object]:
        """Refuse."""
        raise self._entry.fault()


def _written(leaves: Leaves) -> str:
    if isinstance(leaves, Data):
        return "data" if leaves.origin is None else f"data:{leaves.origin.value}"
    return f"{type(leaves).__name__.lower()}:{leaves.value}"


def _read(written: str) -> Leaves:
    """Read what `_written` wrote; numbers, of which nothing follows, where it is damaged."""
    what, _, value = written.partition(":")
    try:
        if what == "data":
            return Data(origin=Origin(value) if value else None)
        return Model(value) if what == "model" else Results(value)
    except ValueError:
        return Results.NUMBERS

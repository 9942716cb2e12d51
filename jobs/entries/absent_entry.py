"""`AbsentEntry`: an own entry of a launched study whose code is not here: its name, and no more.

Of kinds, metrics and formats the launch recorded what they declare, so that their jobs can still be
listed and checked, and their numbers shown. Nothing here is code.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import ModuleType, SimpleNamespace
from typing import Any, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict

from analysis.long_table.circumstances import Origin
from analysis.metric import Metric
from cluster.errors import UserError
from jobs.entries.rooms import door_of, package_of
from jobs.kind import Input, Kind, Params
from jobs.provenance import Data, Leaves, Model, Results
from jobs.text.format import Format, Options


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


class DeclaredMetric(TypedDict):
    """What a metric of activations or weights declares; fields as in `Metric`."""

    definition: str
    reports: list[str]
    axis_label: str
    headlines: dict[str, int]
    ranges: NotRequired[dict[str, list[float | None]]]
    needs: list[str]


class DeclaredFormat(TypedDict):
    """What a format declares; fields as in `Format`."""

    origin: str


Declared = DeclaredKind | DeclaredMetric | DeclaredFormat


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
    declared: Declared | None = None
    """What it declared, where that is recorded of entries of its door."""

    @property
    def package(self) -> str:
        """The door's folder as a package."""
        return package_of(self.room)

    @property
    def place(self) -> str:
        """Return the path of the entry's file, as messages name it."""
        return f"entries/{self.room}/{self.stem}.py"

    def load(self) -> ModuleType | object:
        """Return an entry that declares what this one did, and can do nothing.

        Raises:
            EntryNotHere: nothing is known of it but its name.
        """
        make = _STANDING_IN.get(self.room)
        if make is None or self.declared is None:
            raise self.fault()
        try:
            entry: object = make(self.declared, self)
        except (LookupError, ValueError):  # of another door, or damaged
            raise self.fault() from None
        return entry

    def fault(self) -> EntryNotHere:
        """Make the fault for whoever needs its code."""
        door = door_of(self.room)
        return EntryNotHere(
            f"this needs the code of the study's own {door.what} "
            f"{self.stem.replace('_', door.separator)!r}, which is not here: {self.why}",
            where=self.place,
            hint="name the study's own file, beside its folder of entries",
        )


_NEEDS = (
    *("NEEDS_AGAINST", "NEEDS_TOXIC", "NEEDS_OFFSETS", "NEEDS_FIRST_TOKEN"),
    "IS_SPECTRAL",
)


def declaration_of(room: str, entry: Any) -> Declared | None:
    """Write down what an entry declares; None for a door of which nothing is recorded."""
    if room == "kinds":
        return _declaration_of_kind(entry)
    if room in ("metrics", "weight_metrics"):
        return {
            "definition": entry.DEFINITION,
            "reports": list(entry.REPORTS),
            "axis_label": entry.AXIS_LABEL,
            "headlines": dict(entry.HEADLINES),
            "ranges": {value: list(ends) for value, ends in getattr(entry, "RANGES", {}).items()},
            "needs": [name for name in _NEEDS if getattr(entry, name, False)],
        }
    return {"origin": entry.ORIGIN.value} if room == "formats" else None


def _declaration_of_kind(kind: Kind[Any]) -> DeclaredKind:
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


class _AbsentKind(Kind[_AnyParams]):
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


class _AbsentMetric(Metric):
    """A metric as it was declared."""

    def __init__(self, declared: DeclaredMetric, entry: AbsentEntry) -> None:
        for name, value in _values_of(declared).items():
            setattr(self, name, value)
        self._entry = entry

    def prepare(self, sample: object, against: object, centred: bool) -> Any:
        """Refuse."""
        raise self._entry.fault()


def _absent_weight_metric(declared: DeclaredMetric, entry: AbsentEntry) -> object:
    return SimpleNamespace(**{"NEEDS_OFFSETS": False} | _values_of(declared))


def _values_of(declared: DeclaredMetric) -> dict[str, Any]:
    return {
        "DEFINITION": declared["definition"],
        "REPORTS": tuple(declared["reports"]),
        "AXIS_LABEL": declared["axis_label"],
        "HEADLINES": declared["headlines"],
        "RANGES": {value: tuple(ends) for value, ends in declared.get("ranges", {}).items()},
        **{name: True for name in declared["needs"] if name in _NEEDS},
    }


class _AnyOptions(Options):
    """Options as they were recorded."""

    model_config = ConfigDict(extra="allow")


class _AbsentFormat(Format[_AnyOptions]):
    """A format as it was declared."""

    Options = _AnyOptions

    def __init__(self, declared: DeclaredFormat, entry: AbsentEntry) -> None:
        self.ORIGIN = Origin(declared["origin"])


_STANDING_IN: Mapping[str, Any] = {
    "kinds": _AbsentKind,
    "metrics": _AbsentMetric,
    "weight_metrics": _absent_weight_metric,
    "formats": _AbsentFormat,
}
"""Folder of a door -> what stands in for its entries."""


def _written(leaves: Leaves) -> str:
    if isinstance(leaves, Data):
        return "data" if leaves.origin is None else f"data:{leaves.origin.value}"
    return f"{type(leaves).__name__.lower()}:{leaves.value}"


def _read(written: str) -> Leaves:
    """Read what `_written` wrote. Raises ValueError where it is damaged."""
    what, _, value = written.partition(":")
    if what == "data":
        return Data(origin=Origin(value) if value else None)
    return Model(value) if what == "model" else Results(value)

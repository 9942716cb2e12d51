"""The entries that a study brings along, as planning needs them: from its folder, or as recorded.

To run a study its code must be here. To ask about one that was launched it need not: a launch
records what its entries declared, and doors then know their names, and no more.
"""

from collections.abc import Sequence
from typing import Annotated

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import read_as
from cluster.errors import UserError
from cluster.storage import Storage
from jobs.entries.absent_entry import AbsentEntry, Declared, declaration_of
from jobs.entries.own_entries import OwnEntries, OwnEntry, read_entries
from jobs.entries.rooms import door_of, room_names
from jobs.kind import KINDS, Kind, Params
from orchestrator.permission.own_code import require_permitted
from orchestrator.study.study import Study


class _Recorded(TypedDict):
    """One entry, as a launch recorded it; nothing of it is code."""

    room: Annotated[str, Field(pattern=r"^[a-z_]+$")]
    """Folder of its door."""
    stem: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]
    """Name of its file, without suffix."""
    declared: Declared | None
    """What it declares, of doors whose entries are asked for it."""


_RECORDED = TypeAdapter(list[_Recorded])


def own_entries_of(
    study: Study, root: Storage | None = None, *, is_asked: bool = False
) -> OwnEntries:
    """Return the entries that a study brings along.

    Args:
        study: the study.
        root: the output root; None where there is none.
        is_asked: True where the study is only asked about: what cannot be read is then known by
            its names, as the last launch recorded them.

    Raises:
        UserError: the folder is not there, may not be read, or an entry in it is wrong.
    """
    if study.entries is None:
        return OwnEntries()
    try:
        is_trusted = require_permitted(study, root)
        return read_entries(study.entries, study.where("entries"), is_trusted=is_trusted)
    except UserError as fault:
        recorded = _read(root, study) if is_asked and root is not None else None
        if recorded is None:
            raise
        return OwnEntries(_absent(recorded, fault), why_absent=fault.error)


def paths_used(own: OwnEntries, name: str, kind: Kind[Params], params: Params) -> frozenset[str]:
    """Return the paths of the own entries that a job of these params uses itself.

    Args:
        own: what the study brings along.
        name: name of the kind.
        kind: the kind.
        params: of the job.
    """
    if not own.codes:
        return frozenset()
    used = own.named([(KINDS.package, name), *kind.entries(params)])
    return used.union(*(own.behind(package) for package in kind.packages(params)))


def write_entries(root: Storage, study: Study, own: OwnEntries) -> None:
    """Record what the entries of a launched study declare; never their code."""
    name = _name(study.name)
    if not own.entries:
        root.remove(name)
        return
    with own.bringing():
        recorded = [_record(entry) for entry in own.entries if isinstance(entry, OwnEntry)]
    if recorded:
        root.write(name, _RECORDED.dump_json(recorded, indent=1) + b"\n")


def recorded_entries(root: Storage, study: str) -> OwnEntries:
    """Return the entries of a launched study by name, without their code."""
    try:
        recorded = read_as(root, _name(study), _RECORDED) or []
    except ValueError:  # damaged: as if it had brought none
        recorded = []
    why = "nothing is run of what a root says"
    return OwnEntries(_absent(recorded, UserError(why)), why_absent=why)


def _absent(recorded: Sequence[_Recorded], fault: UserError) -> list[AbsentEntry]:
    rooms = room_names()
    return [
        AbsentEntry(
            room=entry["room"], stem=entry["stem"], why=fault.error, declared=entry["declared"]
        )
        for entry in recorded
        if entry["room"] in rooms
    ]


def _record(entry: OwnEntry) -> _Recorded:
    declared = declaration_of(entry.code.room, door_of(entry.code.room).find(entry.name))
    return {"room": entry.code.room, "stem": entry.stem, "declared": declared}


def _read(root: Storage, study: Study) -> list[_Recorded] | None:
    try:
        return read_as(root, _name(study.name), _RECORDED)
    except ValueError:
        return None


def _name(study: str) -> str:
    return f"studies/{study}/entries.json"

"""Writes an entry to start from, with its test: whole as written, for every door."""

import inspect
from pathlib import Path

from analysis.door import class_name
from cluster.disk.new_file import write_new_file
from cluster.errors import SurroundingsError, UserError, unknown_name
from jobs.entries.own_names import require_own_names
from jobs.entries.rooms import contract_of, door_of, room_names

_TEMPLATES = Path(__file__).parent / "templates"


def door_words() -> dict[str, str]:
    """Map how a door is named on the command line (`weight-metric`) -> its folder."""
    return {_singular(room).replace("_", "-"): room for room in room_names()}


def room_of(word: str, where: str) -> str:
    """Return the folder of a door, named as `metric` or as `metrics`. Raises UserError."""
    words, written = door_words(), word.lower().replace("_", "-")
    room = words.get(written, written.replace("-", "_"))
    if room not in words.values():
        raise unknown_name("door", word, words, where=where)
    return room


def write_entry(room: str, name: str, folder: Path) -> list[Path]:
    """Write an entry and its test into a folder of entries; what exists is not overwritten.

    Args:
        room: folder of its door.
        name: of the entry, as a study will write it.
        folder: the folder of entries.

    Returns:
        The files written: the entry's, then its test's.

    Raises:
        UserError: the name cannot be one, is the package's, or the file exists.
        SurroundingsError: the files cannot be written.
    """
    stem = name.replace("-", "_")
    if not (stem.isascii() and stem.isidentifier() and stem.islower() and stem[0].isalpha()):
        raise UserError(
            f"{name!r} cannot be the name of an entry",
            where="NAME",
            allowed=["lower-case letters, digits and - or _, a letter first"],
        )
    if stem.startswith("test_") or stem == "conftest":
        raise UserError(
            f"{name!r} would be read as a test: such files of a folder of entries are no entries",
            where="NAME",
            hint=f"my-{stem.replace('_', '-')}",
        )
    require_own_names([f"{room}/{stem}.py"], str(folder))
    files = {
        folder / room / f"{stem}.py": _TEMPLATES / f"{room}.py",
        folder / "tests" / f"test_{_singular(room)}_{stem}.py": _TEMPLATES / f"{room}_test.py",
    }
    for file in files:
        if file.exists():
            raise UserError("the file exists and is not overwritten", where=str(file))
    separator = door_of(room).separator
    written = list[Path]()
    try:
        for file, template in files.items():
            text = template.read_text(encoding="utf-8")
            text = text.replace("my_entry", stem).replace("my-entry", stem.replace("_", separator))
            text = text.replace("MyEntry", class_name(stem))
            write_new_file(file, text, folder_mode=0o777)
            written.append(file)
    except SurroundingsError:
        for file in written:  # without its test, it would be in the way of the next try
            file.unlink()
        raise
    return written


def describe_contract(room: str) -> list[str]:
    """Say in a few lines what an entry of a door must define, and where that is written."""
    contract = contract_of(room)
    head = (contract.__doc__ or "").strip().splitlines()[0]
    return [
        f"contract: {contract.__name__} in {contract.__module__.replace('.', '/')}.py",
        f"  {head}",
        *(f"  {name:<40} {about}" for name, about in _parts(contract)),
    ]


def _parts(contract: type) -> list[tuple[str, str]]:
    """List what must be defined, or may be: name, and how it is written in the contract."""
    abstract: frozenset[str] = getattr(contract, "__abstractmethods__", frozenset())
    parts: dict[str, str] = {}
    for base in reversed(contract.__mro__):
        for name in (*vars(base).get("__annotations__", {}), *vars(base)):
            if name.startswith("_") or base is object:
                continue
            has_default = hasattr(contract, name) and name not in abstract
            is_protocol = getattr(contract, "_is_protocol", False)
            must = "may be left out" if has_default and not is_protocol else "must be there"
            parts[_signed(name, vars(base).get(name))] = must
    return sorted(parts.items(), key=lambda part: (part[1] != "must be there", part[0]))


def _signed(name: str, member: object) -> str:
    """Write a function with the names of its arguments, anything else as its name."""
    if not inspect.isfunction(member):
        return name
    return f"{name}({', '.join(list(inspect.signature(member).parameters)[1:])})"


def _singular(room: str) -> str:
    return f"{room[:-3]}y" if room.endswith("ies") else room.removesuffix("s")

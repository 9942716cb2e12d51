"""Reads a source in the same way while a study is planned and in its job.

So faults in data are known before jobs run, and a plan says what a job will leave out.
"""

import json
import re
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, overload

from cluster.errors import DeltascaleError, UserError
from jobs.hub.repository import DATA_SETS
from jobs.params import added
from jobs.text.beside_prompts import (
    note_on_held_prompts,
    notes_on_some_repeats,
    notes_on_unread_columns,
)
from jobs.text.format import MAX_DROPPED, Role, read
from jobs.text.pair_artifact import without_duplicates
from jobs.text.reading import Labelled, Pair, Prompt, Reading, by_reason
from jobs.text.rows.fault import listed
from jobs.text.shard_names import files_in
from jobs.text.spoiled_texts import note_on_both_orders, notes_on_texts

_ON_HUB = re.compile(
    r"(?:https?://(?:huggingface\.co|hf\.co)/datasets|hf:/)/(?!datasets/)([\w.-]+/[\w.-]+)/?$"
)
"""An address of a data set on the hub, and its name."""


def max_dropped() -> Any:
    """Declare the param that limits the share of a source's rows that may be broken."""
    return added(
        MAX_DROPPED,
        "Largest share of a source's rows that may be broken; they are left out and listed.",
        ge=0,
        le=1,
    )


def local_path(source: str | None) -> Path | None:
    """Return where a source lies; None for none. Raises UserError for one that is elsewhere."""
    if source is None:
        return None
    if "://" not in source:
        _refuse_kernel(Path(source))
        return Path(source)
    raise UserError(
        "data are read from a file, a folder or a data set of the hub, not from an address",
        where=source,
        allowed=["a path", *DATA_SETS],
        hint=f"write hf://datasets/{on_hub[1]}"
        if (on_hub := _ON_HUB.match(source))
        else "download it and name that as source",
    )


def _refuse_kernel(path: Path) -> None:
    """Refuse what only looks like a file: environments of processes, devices."""
    with suppress(OSError, RuntimeError, ValueError):  # told when it is opened
        top = path.resolve().parts[1:2]
        is_memory_disk = path.resolve().is_relative_to("/dev/shm")
        if top in (("proc",), ("sys",), ("dev",)) and not is_memory_disk:
            raise UserError("this is of the system, and holds no data", where=str(path))


@overload
def read_source(
    role: Literal["pairs"], name: str, source: str | None, options: Mapping[str, Any], most: float
) -> Reading[Pair]: ...
@overload
def read_source(
    role: Literal["prompts"], name: str, source: str | None, options: Mapping[str, Any], most: float
) -> Reading[Prompt]: ...
@overload
def read_source(
    role: Literal["texts"], name: str, source: str | None, options: Mapping[str, Any], most: float
) -> Reading[str]: ...
@overload
def read_source(
    role: Literal["labelled"],
    name: str,
    source: str | None,
    options: Mapping[str, Any],
    most: float,
) -> Reading[Labelled]: ...
@overload
def read_source(
    role: Role, name: str, source: str | None, options: Mapping[str, Any], most: float
) -> Reading[Any]: ...
def read_source(
    role: Role, name: str, source: str | None, options: Mapping[str, Any], most: float
) -> Reading[Any]:
    """Read a source in a format.

    Args:
        role: what it is read as.
        name: of the format.
        source: file or folder, where the format reads one.
        options: of the format.
        most: share of its rows that may be broken.

    Raises:
        UserError: it cannot be read, too much of it is broken, or nothing in it can be used.
    """
    reading = read(role, name, local_path(source), options, most)
    if not reading.items:
        reasons = listed(by_reason(reading.dropped))
        raise UserError(
            f"nothing usable in it as {role} of format {name!r}",
            where=source,
            hint=f"left out: {reasons}" if reasons else None,
        )
    return reading


def check_source(
    role: Role, name: str, source: str | None, options: Mapping[str, object], most: float
) -> Sequence[str]:
    """Read a source as its job will, once per process; return what should be known of it.

    Raises as `read_source`.
    """
    return _check(role, name, source, modified(source), json.dumps(options, sort_keys=True), most)


@lru_cache
def _check(
    role: Role, name: str, source: str | None, changed: str, options: str, most: float
) -> Sequence[str]:
    reading = read_source(role, name, source, json.loads(options), most)
    broken = reading.malformed()
    notes = [f"{source}: {note}" for note in reading.notes]
    if source is not None:
        notes += [f"{source}: {note}" for note in _looked_closer(role, reading)]
    if broken:
        count = len({row.row for row in broken})
        notes.append(
            f"{source}: {count} of {reading.num_rows} rows cannot be used and are left out: "
            f"{listed(by_reason(broken))}"
        )
    useless = [row for row in reading.dropped if row.useless]
    if role == "pairs" and source is not None:
        useless += without_duplicates(reading.items)[1]
    if useless:
        count = len({row.row for row in useless})
        notes.append(
            f"{source}: {count} of {reading.num_rows} rows are whole, but give nothing: "
            f"{listed(by_reason(useless))}"
        )
    return tuple(notes)


def _looked_closer(role: Role, reading: Reading[Any]) -> list[str]:
    """Say what may not be meant in what was read; nothing of it is changed or left out."""
    notes = notes_on_texts(reading.items)
    if role in ("pairs", "prompts"):
        notes += notes_on_unread_columns(reading.unused_columns)
    if role == "pairs":
        notes += [
            *notes_on_some_repeats(reading.items),
            *note_on_held_prompts(reading.items),
            *note_on_both_orders(reading.items),
        ]
    return notes


def modified(*sources: str | None) -> str:
    """Return names and times of the files of sources, which differ after an edit."""
    times: list[str] = []
    for source in sources:
        try:
            path = local_path(source)
            files = files_in(path) if path and path.is_dir() else [path]
            times += [f"{file.name}:{file.stat().st_mtime_ns}" for file in files if file]
        except (DeltascaleError, OSError, ValueError):
            times.append("?")  # reading it says what is wrong
    return " ".join(times)

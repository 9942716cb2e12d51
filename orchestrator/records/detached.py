"""`studies/<study>/detached/`: launches that go on without their terminal, as they were begun.

Beside what was handed over lie small files by which any machine that sees the root knows how far it
came: `begun.json`, `ended.json`, and `stopped`, which keeps one that has not begun from beginning.
"""

import json
import time
from contextlib import suppress
from typing import Annotated, Literal

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import damaged_file, parse_json, read_as, read_file
from cluster.locks.holder import Holder
from cluster.storage import Storage
from orchestrator.records.submissions import (
    HINT,
    HandedOver,
    kept_study,
    read_submission,
)

_FOLDER = "detached"


class DetachedLaunch(HandedOver):
    """What one `launch --detach` began."""

    way: Literal["local", "ray"]
    """`local`: a process of its own session; `ray`: a job of a Ray."""
    job: str
    """Name of the job; empty for a process."""
    address: str | None
    """Address of the Ray whose job it is; null: it is a process."""


class Ending(TypedDict):
    """How a detached launch ended."""

    at: Annotated[float, Field(ge=0, le=1e11)]
    """Seconds since the epoch."""
    code: int
    """Its exit code."""


_LAUNCH, _ENDING = TypeAdapter(DetachedLaunch), TypeAdapter(Ending)


def detached_folder(study: str, identifier: str = "") -> str:
    """Return the folder of detached launches of a study, or of one; relative to the root."""
    return f"studies/{study}/{_FOLDER}" + (f"/{identifier}" if identifier else "")


def write_detached(root: Storage, study: str, launch: DetachedLaunch) -> None:
    """Write what was begun, replacing what was known of it before."""
    data = (json.dumps(launch, indent=1) + "\n").encode()
    root.write(f"{detached_folder(study, launch['id'])}/launch.json", data)


def latest_detached(root: Storage, study: str) -> DetachedLaunch | None:
    """Return the detached launch that was begun last; None where there is none.

    Raises:
        SurroundingsError: what was kept of it is damaged.
    """
    for identifier in sorted(root.list(detached_folder(study)), reverse=True):
        launch = read_detached(root, study, identifier)
        if launch is not None and not launch.get("refused"):
            return launch
    return None


def read_detached(root: Storage, study: str, identifier: str) -> DetachedLaunch | None:
    """Return what is known of a detached launch; None where there is none of this id.

    Raises:
        SurroundingsError: what was kept of it is damaged.
    """
    name = f"{detached_folder(study, identifier)}/launch.json"
    try:
        return read_as(root, name, _LAUNCH)
    except ValueError as reason:
        raise damaged_file(root, name, reason, HINT) from None


def read_handed_over(root: Storage, study: str, identifier: str) -> tuple[HandedOver, str]:
    """Return what is known of a launch that was handed over, and where its study is kept.

    Raises:
        UserError: there is none of this id.
        SurroundingsError: what was kept of it is damaged.
    """
    launch = read_detached(root, study, identifier)
    if launch is not None:
        return launch, kept_detached(study, identifier)
    return read_submission(root, study, identifier), kept_study(study, identifier)


def kept_detached(study: str, identifier: str) -> str:
    """Return where the text of a study is kept as it was detached, relative to the root."""
    return f"{detached_folder(study, identifier)}/study.yaml"


def kept_profile(study: str, identifier: str) -> str:
    """Return where the text of the profile is kept, where there is one; relative to the root."""
    return f"{detached_folder(study, identifier)}/profile.yaml"


def log_of_detached(study: str, identifier: str) -> str:
    """Return where what a detached launch prints is kept, relative to the root."""
    return f"{detached_folder(study, identifier)}/log.txt"


def runner_of(root: Storage, study: str, identifier: str) -> Holder | None:
    """Return the process that runs a detached launch, or did; None where it has not begun."""
    with suppress(ValueError):
        data = read_file(root, f"{detached_folder(study, identifier)}/begun.json")
        return None if data is None else Holder.parse(parse_json(data))
    return None


def ending_of(root: Storage, study: str, identifier: str) -> Ending | None:
    """Return how a detached launch ended; None where it has not, or was killed."""
    with suppress(ValueError):
        return read_as(root, f"{detached_folder(study, identifier)}/ended.json", _ENDING)
    return None


def is_stopped(root: Storage, study: str, identifier: str) -> bool:
    """Tell whether somebody stopped a detached launch, perhaps before it began."""
    return root.exists(f"{detached_folder(study, identifier)}/stopped")


def stop_detached(root: Storage, study: str, identifier: str) -> None:
    """Keep a detached launch from beginning; one that has begun is asked to cancel instead."""
    root.write(f"{detached_folder(study, identifier)}/stopped", b"130\n")


def mark_begun(root: Storage, study: str, identifier: str) -> None:
    """Write that this process runs a detached launch."""
    data = json.dumps(Holder.this_process(identifier).as_json()).encode()
    root.write(f"{detached_folder(study, identifier)}/begun.json", data)


def mark_ended(root: Storage, study: str, identifier: str, code: int) -> None:
    """Write how a detached launch ended."""
    ending: Ending = {"at": time.time(), "code": code}
    root.write(f"{detached_folder(study, identifier)}/ended.json", json.dumps(ending).encode())

"""`root.json`: what makes a folder a root of ours, and tells one root from another.

Every launch writes it before anything else. A folder without it may hold anything of anybody's.
"""

import json
import uuid
from typing import Annotated

from pydantic import Field, TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import damaged_file, read_as
from cluster.errors import SurroundingsError, UserError
from cluster.fault_classes import FaultClass
from cluster.storage import Storage
from jobs.worker.mounted_root import ROOT_FILE

_NAME = ROOT_FILE


class _RootFile(TypedDict):
    """What `root.json` holds."""

    id: Annotated[str, Field(pattern=r"^[A-Za-z0-9-]{1,64}$")]
    """Identity of the root."""


_SHAPE = TypeAdapter(_RootFile)


def root_id(storage: Storage) -> str:
    """Return the identity of an output root, drawn at first use; it moves with the root."""
    storage.create(_NAME, (json.dumps({"id": uuid.uuid4().hex}) + "\n").encode())
    try:
        identity = read_as(storage, _NAME, _SHAPE)
    except ValueError as reason:
        hint = "delete it: another is drawn, under which W&B shows the jobs that run from then on"
        raise damaged_file(storage, _NAME, reason, hint) from None
    if identity is None:  # deleted in this moment, or not yet seen by this client of NFS
        raise SurroundingsError(
            f"{_NAME} has gone while it was read",
            where=storage.url,
            fault_class=FaultClass.STORAGE_AWAY,
        )
    return identity["id"]


def check_root_file(storage: Storage) -> None:
    """Raise ValueError when `root.json` is there and damaged."""
    read_as(storage, _NAME, _SHAPE)


def require_root(storage: Storage) -> None:
    """Check that a launch made this root, before anything in it is taken for ours.

    Raises:
        UserError: it has no `root.json` of ours.
    """
    try:
        identity = read_as(storage, _NAME, _SHAPE)
        reason = f"it has no {_NAME}" if identity is None else None
    except ValueError as fault:
        reason = f"its {_NAME} is none of ours ({fault})"
    if reason is not None:
        raise UserError(
            f"this is no root of deltascale: {reason}, so nothing in it is taken for ours",
            where=storage.url,
            hint="name the root with --root or $DELTASCALE_ROOT; a launch writes that file",
            code="root-not-found",
        )

"""What another process asks of a running launch: to cancel jobs, or everything."""

import json
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass

from cluster.storage import Storage


@dataclass(frozen=True, kw_only=True)
class CancelRequest:
    """One call of `deltascale cancel`."""

    keys: frozenset[str] | None
    """Keys of the jobs to cancel; None is the whole launch."""


def ask_to_cancel(storage: Storage, study: str, keys: Iterable[str] | None) -> None:
    """Leave a request; the launch that holds the study's lock finds it within seconds."""
    name = f"{_folder(study)}/{time.time():017.6f}-{uuid.uuid4().hex[:8]}.json"
    chosen = None if keys is None else sorted(keys)
    storage.write(name, json.dumps({"cancel": chosen}).encode())


def take_requests(storage: Storage, study: str) -> list[CancelRequest]:
    """All requests in order of time; they are gone afterwards."""
    taken = []
    for name in storage.list(_folder(study)):
        full = f"{_folder(study)}/{name}"
        with suppress(FileNotFoundError, ValueError, KeyError, TypeError):
            chosen = json.loads(storage.read(full))["cancel"]
            taken.append(CancelRequest(keys=None if chosen is None else frozenset(chosen)))
        storage.remove(full)
    return taken


def _folder(study: str) -> str:
    return f"studies/{study}/requests"

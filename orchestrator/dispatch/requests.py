"""Requests of another process to a running launch: to cancel jobs, or to try failed ones again.

A request names the launch that it is meant for, so that the next one does not heed it, and none is
lost that was made before its launch first looked.
"""

import json
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import NotRequired

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import read_as
from cluster.locks.holder import UNKNOWN
from cluster.storage import Storage
from orchestrator.records.lock import current_holder


class _Request(TypedDict):
    """A request as it is written."""

    cancel: list[str] | None
    """Keys of the jobs; None for all."""
    launch: NotRequired[str | None]
    """Id of the launch that it is for, where it was known."""
    retry: NotRequired[list[str]]
    """Keys of the jobs that get a fresh retry budget."""


_REQUEST = TypeAdapter(_Request)


@dataclass(frozen=True, kw_only=True)
class Request:
    """A request to a running launch."""

    name: str
    """Name of its file."""
    keys: frozenset[str] | None
    """Keys of the jobs to cancel; None cancels the whole launch."""
    retry: frozenset[str] = frozenset()
    """Keys of the jobs that get a fresh retry budget; whichever launch reads it heeds that."""
    launch: str | None
    """Id of the launch that it is for; None where whoever asked did not know it."""

    def is_for(self, launch: str, *, since: float) -> bool:
        """Tell whether it is for a launch, which has held the study's lock `since` this time."""
        if self.launch is not None:
            return self.launch == launch
        with suppress(ValueError):
            return float(self.name.partition("-")[0]) >= since
        return False


def ask_to_cancel(storage: Storage, study: str, keys: Iterable[str] | None) -> None:
    """Write a request; the launch that holds the study's lock reads it within seconds."""
    _write(storage, study, {"cancel": None if keys is None else sorted(keys)})


def ask_to_retry(storage: Storage, study: str, keys: Iterable[str]) -> str:
    """Write a request to give jobs a fresh retry budget; return its name, for `is_heeded`."""
    return _write(storage, study, {"cancel": [], "retry": sorted(keys)})


def is_heeded(storage: Storage, study: str, name: str) -> bool:
    """Tell whether a launch has dealt with a request."""
    return storage.size(f"{_folder(study)}/{name}") is None


def _write(storage: Storage, study: str, request: _Request) -> str:
    name = f"{time.time():017.6f}-{uuid.uuid4().hex[:8]}.json"
    holder = current_holder(storage, study)
    request["launch"] = holder.launch if holder and holder != UNKNOWN else None
    storage.write(f"{_folder(study)}/{name}", json.dumps(request).encode())
    return name


def read_requests(storage: Storage, study: str) -> Iterator[Request]:
    """Yield the requests to a study's launches, in order of time; damaged ones ask for nothing."""
    for name in storage.list(_folder(study)):
        request: _Request | None = None
        with suppress(ValueError):
            request = read_as(storage, f"{_folder(study)}/{name}", _REQUEST)
        request = request or {"cancel": []}
        chosen = request["cancel"]
        yield Request(
            name=name,
            keys=None if chosen is None else frozenset(chosen),
            retry=frozenset(request.get("retry", ())),
            launch=request.get("launch"),
        )


def drop_request(storage: Storage, study: str, request: Request) -> None:
    """Delete a request that is dealt with; a folder in its place is none of ours, and stays."""
    name = f"{_folder(study)}/{request.name}"
    if storage.size(name) is not None:
        storage.remove(name)


def _folder(study: str) -> str:
    return f"studies/{study}/requests"

"""Requests of another process to a running launch: to cancel some jobs, or all."""

import json
import time
import uuid
from collections.abc import Iterable
from contextlib import suppress

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import read_as
from cluster.storage import Storage


class _Request(TypedDict):
    """A request as it is written."""

    cancel: list[str] | None
    """Keys of the jobs; None for all."""


_REQUEST = TypeAdapter(_Request)


def ask_to_cancel(storage: Storage, study: str, keys: Iterable[str] | None) -> None:
    """Write a request; the launch that holds the study's lock reads it within seconds."""
    name = f"{_folder(study)}/{time.time():017.6f}-{uuid.uuid4().hex[:8]}.json"
    chosen = None if keys is None else sorted(keys)
    storage.write(name, json.dumps({"cancel": chosen}).encode())


def take_requests(storage: Storage, study: str) -> list[frozenset[str] | None]:
    """Return the keys that each request cancels, in order of time, and delete the requests.

    None cancels the whole launch.
    """
    requests: list[frozenset[str] | None] = []
    for name in storage.list(_folder(study)):
        full = f"{_folder(study)}/{name}"
        with suppress(ValueError):  # a damaged request asks for nothing
            request = read_as(storage, full, _REQUEST)
            if request is not None:
                chosen = request["cancel"]
                requests.append(None if chosen is None else frozenset(chosen))
        storage.remove(full)
    return requests


def _folder(study: str) -> str:
    return f"studies/{study}/requests"

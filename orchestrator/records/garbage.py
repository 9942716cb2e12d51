"""What can be deleted from a root: superseded artifacts, losing attempts, old checkpoints, caches.

Only what no launched study of the root refers to, or what a finished job no longer needs. Listing
changes nothing; the user asks for deletion.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.identity import KEY_LENGTH
from jobs.worker.work import PRIVATE

_CACHE = "cache"
"""Folder of a root that holds one folder per cache (`base_rows`)."""
_SPENT = tuple(name for name in PRIVATE if name != "log.txt")


@dataclass(frozen=True, kw_only=True)
class Garbage:
    """One file or folder that can be deleted."""

    name: str
    """File or folder, relative to the root."""
    why: str
    """Why nothing needs it any more."""
    bytes: int
    """Size in bytes."""


def find_garbage(root: Storage) -> Iterator[Garbage]:
    """List what can be deleted: caches, then artifacts and parts of them in order of name.

    In a root with no launched study that is caches only: what is superseded is not known.

    Raises:
        SurroundingsError: the plan of a study cannot be read, so what it needs is not known.
    """
    wanted = _keys_in_plans(root)
    for cache in root.list(_CACHE):
        for name in root.list(f"{_CACHE}/{cache}"):
            yield _garbage(root, f"{_CACHE}/{cache}/{name}", "a cache: made again when needed")
    if not wanted:
        return
    for kind in root.list("artifacts"):
        for key16 in root.list(f"artifacts/{kind}"):
            folder = f"artifacts/{kind}/{key16}"
            if key16 not in wanted:
                yield _garbage(root, folder, "no launched study asks for this key any more")
            else:
                yield from _inside(root, Artifact(root, kind, wanted[key16]))


def _inside(root: Storage, artifact: Artifact) -> Iterator[Garbage]:
    record_and_digest = artifact.find_record()
    if record_and_digest is None:
        return
    record, _ = record_and_digest
    for attempt in artifact.attempts():
        folder = artifact.attempt_folder(attempt)
        if attempt != record.attempt:
            yield _garbage(root, folder, "an attempt that did not win")
            continue
        for name in root.list(folder):
            if name in _SPENT:
                yield _garbage(root, f"{folder}/{name}", "spent: the job is done")


def _garbage(root: Storage, name: str, why: str) -> Garbage:
    sizes = root.sizes(name).values() or [root.size(name) or 0]
    return Garbage(name=name, why=why, bytes=sum(sizes))


def _keys_in_plans(root: Storage) -> dict[str, str]:
    """Return the first characters of the key -> key, over the last plan of every study."""
    wanted = {}
    for study in root.list("studies"):
        for key in _keys(root, study):
            wanted[key[:KEY_LENGTH]] = key
    return wanted


def _keys(root: Storage, study: str) -> list[str]:
    name = f"studies/{study}/index.json"
    if not root.exists(name) and not root.exists(f"studies/{study}/study.yaml"):
        return []  # never launched
    try:
        index = json.loads(root.read(name))
        keys = [entry["key"] for entries in index["stages"].values() for entry in entries]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise _unknown_needs(root, name) from error
    if not all(isinstance(key, str) for key in keys):
        raise _unknown_needs(root, name)
    return keys


def _unknown_needs(root: Storage, name: str) -> SurroundingsError:
    return SurroundingsError(
        f"{name} is missing or damaged: what its study needs is not known, so nothing is deleted",
        where=root.url,
        hint="launch the study again, which writes the file, or delete the study's folder",
    )

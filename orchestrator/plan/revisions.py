"""Revisions: what a moving name such as `hf://id@main` stood for at its first launch on a root.

Kept for the root's life, one create-only object per name, so that a resumed study never mixes two
revisions of one model, and two studies that meet on a root agree.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from urllib.parse import quote

from pydantic import TypeAdapter
from typing_extensions import TypedDict

from cluster.checked_json import damaged_file, read_as
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.kind import KINDS
from jobs.models.model_source import ModelSource

_FOLDER = "revisions"


class _Revision(TypedDict):
    """What one file holds."""

    name: str
    """The moving name."""
    revision: str
    """What it was resolved to."""


_REVISION = TypeAdapter(_Revision)


def known_revisions(root: Storage) -> dict[str, str]:
    """Return name -> what it was resolved to; empty on a new root. Passes over damaged files."""
    revisions = {}
    for entry in root.list(_FOLDER):
        with suppress(ValueError):
            saved = read_as(root, f"{_FOLDER}/{entry}", _REVISION)
            if saved is not None:
                revisions[saved["name"]] = saved["revision"]
    return revisions


def damaged_revisions(root: Storage) -> Iterator[tuple[str, str]]:
    """Yield file and what is wrong with it, of everything that `known_revisions` passes over."""
    for entry in root.list(_FOLDER):
        try:
            read_as(root, f"{_FOLDER}/{entry}", _REVISION)
        except ValueError as reason:
            yield f"{_FOLDER}/{entry}", str(reason)


def require_revisions(root: Storage, jobs: Iterable[Job]) -> None:
    """Check that no job needs a revision whose file is damaged: its key would be another.

    Raises:
        SurroundingsError: a job does; the message names the file.
    """
    damaged = dict(damaged_revisions(root))
    if not damaged:
        return
    for source in filter(None, map(_source, jobs)):
        name = _file_name(source.known_name)
        if name in damaged:
            raise damaged_file(
                root,
                name,
                damaged[name],
                f"write into it again which commit {source.known_name} stood for, or delete it: "
                "then the name is resolved anew, and jobs of another commit run again",
            )


def resolve_revisions(jobs: Iterable[Job], revisions: Mapping[str, str]) -> dict[str, str]:
    """Resolve every name of the jobs that has no revision yet; asks the network only for those.

    Returns:
        Name -> revision: those given, and those resolved now.

    Raises:
        UserError: a name does not exist.
        SurroundingsError: the hub cannot be reached.
    """
    resolved = dict(revisions)
    for job in jobs:
        source = _source(job)
        if source is not None and source.known_name not in resolved:
            name_and_commit = source.resolve()
            if name_and_commit is not None:
                resolved[name_and_commit[0]] = name_and_commit[1]
    return resolved


def remember_revisions(root: Storage, resolved: Mapping[str, str]) -> None:
    """Keep what was resolved, except where another study's revision was there first."""
    for name in resolved.keys() - known_revisions(root).keys():
        text = json.dumps({"name": name, "revision": resolved[name]}) + "\n"
        root.create(_file_name(name), text.encode())


def _source(job: Job) -> ModelSource | None:
    kind = KINDS.find(job.kind)
    return kind.source(job.params_as(kind.Params))


def _file_name(name: str) -> str:
    return f"{_FOLDER}/{quote(name, safe='')}.json"

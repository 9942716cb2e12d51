"""Revisions: what a moving name such as `hf://id@main` stood for at its first launch on a root.

Kept for the root's life, one create-only object per name, so that a resumed study never mixes two
revisions of one model, and two studies that meet on a root agree.
"""

import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.kind import KINDS

_FOLDER = "revisions"


def known_revisions(root: Storage) -> dict[str, str]:
    """Return name -> what it was resolved to; empty on a new root."""
    revisions = {}
    for entry in root.list(_FOLDER):
        try:
            saved = json.loads(root.read(f"{_FOLDER}/{entry}"))
            revisions[saved["name"]] = saved["revision"]
        except (ValueError, KeyError, TypeError) as error:
            raise SurroundingsError(
                f"the file {_FOLDER}/{entry} is damaged: {error}", where=root.url
            ) from error
    return revisions


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
        kind = KINDS.find(job.kind)
        source = kind.source(job.params_as(kind.Params))
        if source is not None and source.known_name not in resolved:
            name_and_commit = source.resolve()
            if name_and_commit is not None:
                resolved[name_and_commit[0]] = name_and_commit[1]
    return resolved


def remember_revisions(root: Storage, resolved: Mapping[str, str]) -> None:
    """Keep what was resolved, except where another study's revision was there first."""
    for name in resolved.keys() - known_revisions(root).keys():
        text = json.dumps({"name": name, "revision": resolved[name]}) + "\n"
        root.create(f"{_FOLDER}/{quote(name, safe='')}.json", text.encode())

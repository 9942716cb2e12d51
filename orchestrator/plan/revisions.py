"""What each moving name outside (`hf://id@main`) stood for at its first launch on a root.

Kept for the root's life, one create-only object per name, so that a resumed study never mixes two
revisions of one model, and two studies that meet on a root agree.
"""

import json
from collections.abc import Iterable, Mapping
from urllib.parse import quote

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from jobs.artifacts.job import Job
from jobs.kind import KINDS, Kind

_FOLDER = "revisions"


def known_revisions(root: Storage) -> dict[str, str]:
    """Name -> what it was resolved to; empty on a new root."""
    known = {}
    for entry in root.list(_FOLDER):
        try:
            found = json.loads(root.read(f"{_FOLDER}/{entry}"))
            known[found["name"]] = found["revision"]
        except (ValueError, KeyError, TypeError) as error:
            raise SurroundingsError(
                f"{_FOLDER}/{entry} does not parse: {error}", where=root.url
            ) from error
    return known


def resolve_revisions(jobs: Iterable[Job], known: Mapping[str, str]) -> dict[str, str]:
    """What is known after asking for every name that is not; asks the network only for those.

    Raises UserError for a name that does not exist, SurroundingsError when nobody can be asked.
    """
    found = dict(known)
    for job in jobs:
        kind = KINDS.find(job.kind)
        if not kind.overrides(Kind.source):
            continue
        source = kind.source(job.params_as(kind.Params))
        if source is not None and source.known_name not in found:
            resolved = source.resolve()
            if resolved is not None:
                found[resolved[0]] = resolved[1]
    return found


def remember_revisions(root: Storage, resolved: Mapping[str, str]) -> dict[str, str]:
    """Keep what was resolved; returns what holds, where another study was first."""
    known = known_revisions(root)
    for name in resolved.keys() - known.keys():
        text = json.dumps({"name": name, "revision": resolved[name]}) + "\n"
        root.create(f"{_FOLDER}/{quote(name, safe='')}.json", text.encode())
    return {**resolved, **known_revisions(root)}

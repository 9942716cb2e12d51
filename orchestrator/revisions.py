"""What each moving name outside (`hf://id@main`) stood for at its first launch on a root.

Kept for the root's life, so that a resumed study never mixes two revisions of one model.
"""

import json
from collections.abc import Iterable, Mapping

from cluster.errors import UserError
from cluster.storage import Storage
from jobs import lookup
from jobs.job import Job

_NAME = "revisions.json"


def known_revisions(root: Storage) -> dict[str, str]:
    """Name -> what it was resolved to; empty on a new root."""
    try:
        known: dict[str, str] = json.loads(root.read(_NAME))
    except FileNotFoundError:
        return {}
    except ValueError as error:
        raise UserError(f"{_NAME} does not parse: {error}", where=root.url) from error
    return known


def resolve_revisions(jobs: Iterable[Job], known: Mapping[str, str]) -> dict[str, str]:
    """What is known after asking for every name that is not; asks the network only for those.

    Raises UserError for a name that does not exist, SurroundingsError when nobody can be asked.
    """
    found = dict(known)
    for job in jobs:
        kind = lookup.find("kinds", job.kind)
        if not hasattr(kind, "resolve"):
            continue
        params = kind.Params(**job.params)
        if kind.known_name(params) not in found:
            resolved = kind.resolve(params)
            if resolved is not None:
                found[resolved[0]] = resolved[1]
    return found


def remember_revisions(root: Storage, known: Mapping[str, str]) -> None:
    """Keep what is known on the root."""
    root.write(_NAME, (json.dumps(dict(known), indent=1, sort_keys=True) + "\n").encode())

"""`names_what_runs`: a launch that cannot begin says which other one of its study goes on.

At a keyboard a fault of the surroundings ends a launch before it has asked for the lock. Whoever
launched again, to see what becomes of an earlier launch, is to know that it runs.
"""

from collections.abc import Callable
from functools import wraps
from typing import Concatenate, ParamSpec, TypeVar

from cluster.errors import DeltascaleError, SurroundingsError
from cluster.storage import Storage
from orchestrator.records.lock import current_holder
from orchestrator.study.study import Study

P = ParamSpec("P")
T = TypeVar("T")
_OF_LOCK = "study-running"
"""The reason code of the refusal that names the other launch itself."""


def names_what_runs(
    launch: Callable[Concatenate[Storage, Study, P], T],
) -> Callable[Concatenate[Storage, Study, P], T]:
    """Have what launches a study on a root say with a fault whether another launch of it runs."""

    @wraps(launch)
    def launching(root: Storage, study: Study, /, *options: P.args, **named: P.kwargs) -> T:
        try:
            return launch(root, study, *options, **named)
        except SurroundingsError as fault:
            if fault.code != _OF_LOCK:
                fault.hint = "; ".join(filter(None, [fault.hint, _what_runs(root, study.name)]))
            raise

    return launching


def _what_runs(root: Storage, study: str) -> str:
    """Say what holds the study's lock now; empty where nothing does."""
    try:
        holder = current_holder(root, study)
    except (DeltascaleError, OSError):
        return (
            "whether a launch of this study runs cannot be seen from here now; one that does waits "
            "for its storage by itself"
        )
    if holder is None:
        return ""
    return (
        f"a launch of this study is running: {holder}; `deltascale status {study}` shows it, and "
        f"`deltascale cancel {study}` ends it"
    )

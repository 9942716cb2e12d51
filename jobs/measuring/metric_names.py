"""Metrics as a study names them: one, several, or `all` that exist when it is planned."""

from collections.abc import Sequence
from typing import Any

from cluster.errors import unknown_name


def as_names(given: Any) -> Any:
    """A single name as a list of one."""
    return (given,) if isinstance(given, str) else given


def resolve_metric_names(
    given: tuple[str, ...], known: Sequence[str], what: str
) -> tuple[str, ...]:
    """The names as files spell them, sorted: a new metric makes a new job of `all`.

    Raises UserError for a name that is not known; `what` says of what.
    """
    chosen = known if given == ("all",) else [name.replace("-", "_") for name in given]
    for name in chosen:
        if name not in known:
            raise unknown_name(what, name, [*known, "all"], where="metrics")
    return tuple(sorted(set(chosen)))

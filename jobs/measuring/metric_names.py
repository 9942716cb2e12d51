"""Names of metrics in a study: one, several, or `all` that exist when the study is planned."""

from collections.abc import Sequence

from cluster.errors import unknown_name


def as_names(value: object) -> object:
    """Turn a single name into a list of one; leave all else to validation."""
    return (value,) if isinstance(value, str) else value


def resolve_metric_names(
    chosen: tuple[str, ...], existing: Sequence[str], what: str
) -> tuple[str, ...]:
    """Return the names as files spell them, sorted; `all` stands for every existing one.

    Raises UserError for a name that does not exist; `what` is the noun that the error uses.
    """
    names = existing if chosen == ("all",) else [name.replace("-", "_") for name in chosen]
    for name in names:
        if name not in existing:
            raise unknown_name(what, name, [*existing, "all"], where="metrics")
    return tuple(sorted(set(names)))

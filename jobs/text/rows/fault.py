"""`RowFault`: why one row cannot be used; and how faults of many rows are listed together."""

from collections.abc import Iterable, Mapping, Sequence

_MOST_ROWS_SHOWN = 5
_MOST_REASONS = 10
_MOST_NAMES = 30
_LONGEST_NAME = 60


class RowFault(Exception):
    """One row cannot be used, for the reason that is its text; the other rows can."""


def row_numbers(rows: Iterable[int], called: str = "row") -> str:
    """Write numbers of rows (or as they are called), each once: the first few, and how many."""
    numbers = list(dict.fromkeys(rows))
    first = ", ".join(str(number) for number in numbers[:_MOST_ROWS_SHOWN])
    if len(numbers) == 1:
        return f"{called} {first}"
    many = f", ... ({len(numbers)} {called}s)" if len(numbers) > _MOST_ROWS_SHOWN else ""
    return f"{called}s {first}{many}"


def listed(rows_by_reason: Mapping[str, Iterable[int]], called: str = "row") -> str:
    """Write every kind of fault with its first rows."""
    reasons = list(rows_by_reason.items())
    shown = [f"{reason}: {row_numbers(rows, called)}" for reason, rows in reasons[:_MOST_REASONS]]
    more = len(reasons) - len(shown)
    return "; ".join([*shown, f"and {more} other kinds of fault"] if more else shown)


def storable(text: str) -> str:
    r"""Return a text that any file takes: half a character stands there as its escape, `\ud83d`."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def shown(names: Sequence[str]) -> str:
    """Write names that a file gives, for a message: the first ones, none of them endless."""
    cut = [name if len(name) <= _LONGEST_NAME else f"{name[:_LONGEST_NAME]}…" for name in names]
    printable = [name if name.isprintable() else repr(name) for name in cut[:_MOST_NAMES]]
    more = f" and {len(names) - _MOST_NAMES} others" if len(names) > _MOST_NAMES else ""
    return ", ".join(printable) + more

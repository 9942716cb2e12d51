"""`RowFault`: why one row cannot be used; and how faults of many rows are listed together."""

from collections.abc import Iterable, Mapping

_MOST_ROWS_SHOWN = 5


class RowFault(Exception):
    """One row cannot be used, for the reason that is its text; the other rows can."""


def row_numbers(rows: Iterable[int], called: str = "row") -> str:
    """Write numbers of rows (or pairs, as they are called): the first few, and how many."""
    numbers = list(rows)
    first = ", ".join(str(number) for number in numbers[:_MOST_ROWS_SHOWN])
    if len(numbers) == 1:
        return f"{called} {first}"
    many = f", ... ({len(numbers)} {called}s)" if len(numbers) > _MOST_ROWS_SHOWN else ""
    return f"{called}s {first}{many}"


def listed(rows_by_reason: Mapping[str, Iterable[int]], called: str = "row") -> str:
    """Write every kind of fault with its first rows."""
    return "; ".join(
        f"{reason}: {row_numbers(rows, called)}" for reason, rows in rows_by_reason.items()
    )

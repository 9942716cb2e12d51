"""A table as W&B takes it, where a column has one type: numbers as far as it holds nothing else."""

from collections.abc import Sequence
from typing import Any

from jobs.mirror.client import client


def tracked_table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Any:
    """Return a table of W&B's; what is missing among numbers is a gap, among texts an empty one."""
    of_numbers = [all(map(_is_number, column)) for column in zip(*rows, strict=True)]
    data = [
        [
            cell if is_number else _text(cell)
            for cell, is_number in zip(row, of_numbers, strict=True)
        ]
        for row in rows
    ]
    return client().Table(columns=list(columns), data=data)


def _is_number(cell: object) -> bool:
    return cell is None or (isinstance(cell, int | float) and not isinstance(cell, bool))


def _text(cell: object) -> str:
    return "" if cell is None else str(cell)

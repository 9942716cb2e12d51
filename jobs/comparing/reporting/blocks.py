"""`MetricBlock`: the part of a table under one heading of the page, with its header lines."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from analysis.tables.table import spans

if TYPE_CHECKING:
    from analysis.tables.table import Table

WIDEST_SIDE = 340
"""Pixels of the widest row header; the rest of a longer one is cut off."""


@dataclass(frozen=True, kw_only=True)
class MetricBlock:
    """All rows of a table under the columns of one metric."""

    metric: str
    """First part of the columns' headers."""
    columns: Sequence[int]
    """Positions of the columns in the table."""
    levels: Sequence[str]
    """Names of the further header parts, without those that are empty in every column."""
    spanning: Sequence[Sequence[tuple[str, int]]]
    """Header lines above the last one: text and number of columns of each cell."""
    leaves: Sequence[str]
    """The last header line, one text per column."""


def blocks(table: "Table") -> list[MetricBlock]:
    """Return the blocks of a table in the order of its columns; none of a table without rows."""
    metrics = dict.fromkeys(header[0] for header in table.columns if table.rows)
    return [_block(table, metric) for metric in metrics]


def _block(table: "Table", metric: str) -> MetricBlock:
    columns = [index for index, header in enumerate(table.columns) if header[0] == metric]
    headers = [table.columns[index][1:] for index in columns]
    depth = len(table.column_levels) - 1
    return MetricBlock(
        metric=metric,
        columns=columns,
        levels=[
            name
            for level, name in enumerate(table.column_levels[1:])
            if any(header[level] for header in headers)
        ],
        spanning=[spans(headers, level) for level in range(depth - 1)],
        leaves=[header[-1] or "value" if header else "value" for header in headers],
    )


def side_columns(table: "Table") -> list[tuple[int, int]]:
    """Return left edge and width, in pixels, of each column of row headers."""
    edges: list[tuple[int, int]] = []
    left = 0
    for level, name in enumerate(table.row_levels):
        width = min(_width([name, *(header[level] for header in table.rows)]), WIDEST_SIDE)
        edges.append((left, width))
        left += width
    return edges


def _width(texts: Iterable[str]) -> int:
    """Estimate the pixels of a column of 13-pixel type, with padding and the arrow of a header."""
    return round(max(map(len, texts)) * 7.6 + 36)

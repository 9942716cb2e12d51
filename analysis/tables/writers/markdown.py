"""GitHub-flavoured Markdown: blocks of a readable width, footnotes once at the end."""

from collections.abc import Iterator, Sequence

from analysis.tables.control_columns import laid_out
from analysis.tables.table import Cell, Table, shared_header, split, without_repeats

SUFFIX = ".md"
MAX_COLUMNS = 9
"""A page of a browser at a readable size holds about nine numbers with intervals."""


def render(table: Table) -> bytes:
    """Return a heading, one table per block (cut by metric first), caption and footnotes."""
    return ("\n".join(_lines(laid_out(table))).rstrip() + "\n").encode()


def _lines(table: Table) -> Iterator[str]:
    yield from (f"### {escape(table.title)}", "")
    if not table.columns or not table.rows:
        yield from ("No measurements.", "")
    for block in split(table, lambda part: len(part.columns) <= MAX_COLUMNS):
        heading, rest = shared_header(block)
        if title := " / ".join(escape(part) for part in heading if part):
            yield from (f"**{title}**", "")
        yield from _block(rest)
        yield ""
    yield from (escape(table.caption), "")
    for mark, text in table.footnotes.items():
        yield f"<sup>{mark}</sup> {escape(text)}  "


def _block(table: Table) -> Iterator[str]:
    tops = ("<br>".join(escape(part) for part in header if part) for header in table.columns)
    yield _row([*(escape(level) for level in table.row_levels), *tops])
    yield _row(["---"] * len(table.row_levels) + ["---:"] * len(table.columns))
    for header, line in zip(without_repeats(table.rows), table.cells, strict=True):
        yield _row([*(escape(part) for part in header), *(_cell(cell) for cell in line)])


def _row(entries: Sequence[str]) -> str:
    return f"| {' | '.join(entries)} |"


def _cell(cell: Cell) -> str:
    return cell.text + (f"<sup>{cell.mark}</sup>" if cell.mark else "")


def escape(text: str) -> str:
    """Return text that Markdown shows as it is, on one line."""
    for character in "\\`*_[]<>|#":
        text = text.replace(character, f"\\{character}")
    return " ".join(text.split())

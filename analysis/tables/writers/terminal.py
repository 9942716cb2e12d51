"""The terminal: rich tables, cut into blocks that fit the width."""

import io
from dataclasses import dataclass

from rich import box
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.table import Table as RichTable
from rich.text import Text

from analysis.tables.control_columns import laid_out
from analysis.tables.table import Cell, Table, shared_header, split, without_repeats

SUFFIX = ".txt"
WIDTH = 200
_LEAST = 6
"""Columns that a row header keeps where its block is too wide: the rest goes on below."""


def render(table: Table, width: int = WIDTH) -> bytes:
    """Return plain text without colours, this many columns wide; wider where numbers need it."""
    out = io.StringIO()
    console = Console(file=out, width=width, color_system=None, force_terminal=False)
    console.print(renderable(table, width), crop=False)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).encode() + b"\n"


def renderable(table: Table, width: int) -> RenderableType:
    """Return the table for a rich console of this width: a block per metric, or narrower ones.

    No number is ever cut: to be printed without cropping.
    """
    table = laid_out(table)
    blocks = _blocks(table, width)
    parts = [part for block in blocks for part in _titled(block)]
    return Group(Text(table.title, style="bold"), Text(), *parts, *_below(table))


def first_block(table: Table, width: int) -> RenderableType:
    """Return the part of the table that is read first, with its own footnotes and no title."""
    block = _blocks(laid_out(table), width)[0]
    return Group(*_titled(block), *_below(block))


def _blocks(table: Table, width: int) -> list[Table]:
    if not table.columns or not table.rows:
        return [table]
    return split(table, lambda part: _width(part) <= width)


def _titled(block: Table) -> list[RenderableType]:
    if not block.columns or not block.rows:
        return [Text("No measurements.")]
    heading, rest = shared_header(block)
    title = " / ".join(filter(None, heading))
    return [*([Text(title, style="bold cyan")] if title else []), _block(rest), Text()]


def _below(table: Table) -> list[Text]:
    notes = [f"[{mark}] {text}" for mark, text in table.footnotes.items()]
    return [Text(line, style="dim") for line in (table.caption, *notes)]


@dataclass(frozen=True, kw_only=True)
class _Block:
    """A block whose row headers fold where it is wider than the console, and nothing else.

    What is cut of a number is another number.
    """

    table: RichTable
    """The block."""
    least: int
    """Columns that it needs with its row headers folded."""

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Draw the block as wide as the console, or as it needs to be."""
        width = max(options.max_width, self.least)
        yield from console.render(self.table, options.update_width(width))


def _block(table: Table) -> _Block:
    block = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for level in table.row_levels:
        block.add_column(
            Text(level),
            justify="right" if level == "parameters" else "left",
            overflow="fold",
            vertical="bottom",
        )
    for header in table.columns:
        title = Text("\n".join(part for part in header if part), justify="right")
        block.add_column(title, justify="right", no_wrap=True, vertical="bottom")
    for header, line in zip(without_repeats(table.rows), table.cells, strict=True):
        block.add_row(*(Text(part) for part in header), *(_cell(cell) for cell in line))
    names = list(zip(table.row_levels, *table.rows, strict=True))
    spare = sum(max(max(map(cell_len, level)) - _LEAST, 0) for level in names)
    return _Block(table=block, least=_natural_width(block) - spare)


def _cell(cell: Cell) -> Text:
    text = Text(cell.text)
    if cell.mark:
        text.append(f" [{cell.mark}]", style="yellow")
    return text


def _width(table: Table) -> int:
    """Return columns of the terminal the block needs."""
    return _natural_width(_block(shared_header(table)[1]).table)


def _natural_width(block: RichTable) -> int:
    """Return the columns of a block that folds nothing, measured by rich itself."""
    console = Console(width=10_000, color_system=None, file=io.StringIO())
    return console.measure(block).maximum

"""The terminal: rich tables, cut into blocks that fit the width."""

import io

from rich import box
from rich.console import Console, Group, RenderableType
from rich.table import Table as RichTable
from rich.text import Text

from analysis.tables.control_columns import laid_out
from analysis.tables.table import Cell, Table, shared_header, split, without_repeats

SUFFIX = ".txt"
WIDTH = 200


def render(table: Table) -> bytes:
    """Return plain text without colours, WIDTH columns wide."""
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, color_system=None, force_terminal=False)
    console.print(renderable(table, WIDTH))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()).encode() + b"\n"


def renderable(table: Table, width: int) -> RenderableType:
    """Return the table for a rich console of this width: a block per metric, or narrower ones."""
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


def _block(table: Table) -> RichTable:
    block = RichTable(box=box.SIMPLE_HEAD, pad_edge=False)
    for level in table.row_levels:
        numeric = level == "parameters"
        block.add_column(Text(level), justify="right" if numeric else "left", no_wrap=True)
    for header in table.columns:
        title = Text("\n".join(part for part in header if part), justify="right")
        block.add_column(title, justify="right", no_wrap=True, vertical="bottom")
    for header, line in zip(without_repeats(table.rows), table.cells, strict=True):
        block.add_row(*(Text(part) for part in header), *(_cell(cell) for cell in line))
    return block


def _cell(cell: Cell) -> Text:
    text = Text(cell.text)
    if cell.mark:
        text.append(f" [{cell.mark}]", style="yellow")
    return text


def _width(table: Table) -> int:
    """Return columns of the terminal the block needs, measured by rich itself."""
    console = Console(width=10_000, color_system=None, file=io.StringIO())
    return console.measure(_block(shared_header(table)[1])).maximum

"""A comparison table as a value: headers, cells that know why they are empty, footnotes, caption.

Writers only lay it out; every text, mark and rounding is already decided here.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from analysis.measurement import FIELDS, Measurement, Scalar
from analysis.status import MEANINGS, Status
from analysis.tables.rounding import MISSING, format_value

Header = tuple[str, ...]

IN_TABLES = tuple(name for name, declared in FIELDS.items() if declared.in_tables)
"""Fields of a measurement that every cell of a table gives."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One measurement and its text in a table."""

    number: Measurement
    """The measurement; over several seeds their mean."""
    shown: str | None = None
    """Text in place of the number's own: an interval or a band that stands by itself."""
    mark: str = ""
    """Mark of the footnote that gives the reason; set by `annotate`."""

    @property
    def text(self) -> str:
        """The text without the mark: `0.43 ± 0.03 (3)` is a mean over 3 seeds; a dash if missing.

        A value below the noise floor gives a dash: it would be read as an effect.
        """
        number = self.number
        if self.shown is not None:
            return self.shown
        if number.value is None or number.below_floor:
            return MISSING
        text = format_value(number.value, number.low, number.high)
        return f"{text} ({number.num_seeds})" if (number.num_seeds or 0) > 1 else text

    def as_json(self) -> dict[str, object]:
        """Return the fields that tables give, the text, the footnote's mark and the jobs' keys."""
        fields = {name: getattr(self.number, name) for name in IN_TABLES}
        numbers = {name: fields[name] for name in fields if FIELDS[name].type in (int, float)}
        words = {name: fields[name] for name in fields if name not in numbers}
        numbers["num_seeds"] = self.number.num_seeds or 0
        extras = {"footnote": self.mark or None, "keys": self.number.keys}
        return {**numbers, "text": self.text, **words, **extras}


@dataclass(frozen=True, kw_only=True)
class Table:
    """Cells under multi-level headers."""

    title: str
    """What the table is, in a few words."""
    row_levels: Header
    """Names of the parts of a row header, e.g. family, model, parameters."""
    rows: tuple[Header, ...]
    """One header per row, as people read it."""
    row_values: tuple[tuple[Scalar, ...], ...] = ()
    """The same for programs: counts and axes of numbers as numbers; empty where all is text."""
    column_levels: Header
    """Names of the parts of a column header, the metric first."""
    columns: tuple[Header, ...]
    """One header per column, as people read it."""
    column_values: tuple[tuple[Scalar, ...], ...] = ()
    """Column headers for programs: axes of numbers as numbers; empty where all is text."""
    cells: tuple[tuple[Cell, ...], ...]
    """Row by row."""
    caption: str = ""
    """How the numbers were chosen and what the intervals are."""
    footnotes: Mapping[str, str] = field(default_factory=dict)
    """Mark -> text, in order of first appearance."""
    controls: bool = False
    """Whether interval, noise floor and null bands stand beside each value."""

    def __post_init__(self) -> None:
        assert len(self.cells) == len(self.rows)
        assert all(len(line) == len(self.columns) for line in self.cells)
        assert all(len(header) == len(self.column_levels) for header in self.columns)
        assert all(len(header) == len(self.row_levels) for header in self.rows)
        assert len(self.row_values) in (0, len(self.rows))
        assert len(self.column_values) in (0, len(self.columns))

    @property
    def typed_rows(self) -> Sequence[tuple[Scalar, ...]]:
        """Row headers for programs."""
        return self.row_values or self.rows

    @property
    def typed_columns(self) -> Sequence[tuple[Scalar, ...]]:
        """Column headers for programs."""
        return self.column_values or self.columns


def annotate(table: Table) -> Table:
    """Return the table with a footnote mark on every cell that has something to explain.

    Marks are given metric by metric, row by row: the order in which blocks are read.
    """
    blocks = list(dict.fromkeys(header[0] for header in table.columns))
    texts = [
        footnote(cell)
        for block in blocks
        for line in table.cells
        for header, cell in zip(table.columns, line, strict=True)
        if header[0] == block
    ]
    distinct = dict.fromkeys(text for text in texts if text)
    marks = {text: _letters(index) for index, text in enumerate(distinct)}
    cells = tuple(
        tuple(replace(cell, mark=marks.get(footnote(cell), "")) for cell in line)
        for line in table.cells
    )
    notes = {mark: text for text, mark in marks.items()}
    return replace(table, cells=cells, footnotes=notes)


def footnote(cell: Cell) -> str:
    """Return what has to be said about a cell: nothing for a plain number."""
    status, reason = cell.number.status, cell.number.reason
    if status == Status.OK:
        return reason or ""
    return f"{status}: {reason or MEANINGS[Status(status)]}"


def take_columns(table: Table, kept: Sequence[int]) -> Table:
    """Return the table with only these columns, and only the footnotes they use."""
    cells = tuple(tuple(line[index] for index in kept) for line in table.cells)
    used = {cell.mark for line in cells for cell in line}
    notes = {mark: text for mark, text in table.footnotes.items() if mark in used}
    columns = tuple(table.columns[index] for index in kept)
    values = tuple(table.typed_columns[index] for index in kept)
    return replace(table, columns=columns, column_values=values, cells=cells, footnotes=notes)


def split(table: Table, fits: Callable[[Table], bool]) -> list[Table]:
    """Return blocks that fit, cut at the first header level that differs.

    Every metric is a block of its own; under it, as many columns stand together as fit.
    """
    if fits(table) or len(table.columns) <= 1:
        return [table]
    for level in range(len(table.column_levels)):
        names = list(dict.fromkeys(header[level] for header in table.columns))
        if len(names) > 1:
            groups = _group_headers(table, level, names, fits)
            parts = [_columns_with_headers(table, level, group) for group in groups]
            return [block for part in parts for block in split(part, fits)]
    half = len(table.columns) // 2
    parts = [take_columns(table, range(half)), take_columns(table, range(half, 2 * half + 1))]
    return [block for part in parts for block in split(part, fits)]


def _group_headers(
    table: Table, level: int, names: Sequence[str], fits: Callable[[Table], bool]
) -> list[list[str]]:
    """Group a level's header entries in order: as many as fit together, but metrics apart."""
    groups: list[list[str]] = []
    for name in names:
        if level and groups and fits(_columns_with_headers(table, level, [*groups[-1], name])):
            groups[-1].append(name)
        else:
            groups.append([name])
    return groups


def _columns_with_headers(table: Table, level: int, names: Sequence[str]) -> Table:
    kept = [index for index, header in enumerate(table.columns) if header[level] in names]
    return take_columns(table, kept)


def shared_header(table: Table) -> tuple[Header, Table]:
    """Return leading header parts that all columns share, and the table without them.

    A block of one metric then carries the metric as its heading, not in every column.
    """
    shared = 0
    while shared < len(table.column_levels) - 1 and len({h[shared] for h in table.columns}) == 1:
        shared += 1
    heading = table.columns[0][:shared] if table.columns else ()
    columns = tuple(header[shared:] for header in table.columns)
    levels = table.column_levels[shared:]
    return heading, replace(table, columns=columns, column_values=(), column_levels=levels)


def spans(headers: Sequence[Header], level: int) -> list[tuple[str, int]]:
    """Return runs of equal header entries at a level, for headers that span columns."""
    runs: list[tuple[Header, int]] = []
    for header in headers:
        if runs and runs[-1][0] == header[: level + 1]:
            runs[-1] = (runs[-1][0], runs[-1][1] + 1)
        else:
            runs.append((header[: level + 1], 1))
    return [(header[level], count) for header, count in runs]


def without_repeats(rows: Iterable[Header]) -> list[Header]:
    """Return row headers in which the leading part is left blank where it repeats the row above."""
    headers: list[Header] = []
    above: Header = ()
    for header in rows:
        same = 0
        while same < len(header) - 1 and header[: same + 1] == above[: same + 1]:
            same += 1
        headers.append(("",) * same + header[same:])
        above = header
    return headers


def _letters(index: int) -> str:
    """Return marks as spreadsheets count columns: a to z, then aa, ab."""
    text = chr(ord("a") + index % 26)
    return text if index < 26 else _letters(index // 26 - 1) + text

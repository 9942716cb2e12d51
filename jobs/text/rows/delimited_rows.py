"""Rows of csv and tsv files, quoted or plain: which of both, the file itself decides.

A writer that quotes does so only where a cell needs it, or everywhere; anything else is plain text
in which quotes are quotes.
"""

import csv
import io
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from cluster.errors import UserError
from jobs.text.rows.doubled import refuse_doubled_columns
from jobs.text.rows.fault import row_numbers
from jobs.text.rows.lines import read_lines
from jobs.text.rows.table import Malformed, Row, Table

_LONGEST_CELL = 1 << 24
_DELIMITERS = (",", "\t", ";", "|")
_PLAIN_FROM = 0.9
"""Share of lines with as many cells as the header from which plain text is meant."""
_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_NUMBER = re.compile(r"[-+]?[\d.,]+(?:[eE][-+]?\d+)?|(?i:nan|null|true|false)")
_NAMED_DELIMITER = re.compile(r'"?sep=([,;|\t])"?', re.IGNORECASE)
"""A first line by which Excel is told what parts cells."""
_Line = tuple[int, list[str]]
"""Number of a row's first line, and its cells."""


def read_delimited(path: Path, delimiter: str, wanted: Callable[[str], bool]) -> Table:
    """Read a file of delimited text with a header.

    Quoted cells may hold line breaks; a row is numbered by its first line.

    Raises:
        UserError: it is not UTF-8; it is neither quoted nor plain, or might be both; two columns
            that are asked for have one name.
    """
    lines = read_lines(path)
    above = _lines_above_header(lines)
    named = _NAMED_DELIMITER.fullmatch(lines[above - 1]) if above else None
    delimiter = named[1] if named else _delimiter_of("".join(lines[above : above + 1]), delimiter)
    try:
        cells = _cells(path, lines[above:], delimiter)
    except UserError as fault:
        if not above:
            raise
        counted = f"rows are counted from the header, which is line {above + 1}"
        raise fault.at(fault.where, hint=f"{fault.hint}; {counted}") from fault
    table = _table([(above + number, row) for number, row in cells])
    refuse_doubled_columns(path, table.columns, wanted)
    return table


def _table(lines: Sequence[_Line]) -> Table:
    (_, header), *rest = lines or [(1, [])]
    names = [name.strip() for name in header]
    rows, malformed = [], []
    for number, cells in rest:
        if not any(cell.strip() for cell in cells):
            malformed.append(Malformed(row=number, reason="empty row"))
        elif len(names) > 1 and [cell.strip("\ufeff \t") for cell in cells] == names:
            malformed.append(Malformed(row=number, reason="the header once more"))
        elif len(cells) > len(names):
            malformed.append(Malformed(row=number, reason=f"more than {len(names)} cells"))
        else:
            rows.append(Row(number=number, cells=dict(zip(names, cells, strict=False))))
    return Table(columns=names, rows=rows, malformed=malformed)


def _lines_above_header(lines: Sequence[str]) -> int:
    """Count the blank lines that a file begins with, and Excel's line that names the delimiter."""
    blank = next((at for at, line in enumerate(lines) if line.strip()), 0)
    return blank + bool(lines and _NAMED_DELIMITER.fullmatch(lines[blank]))


def _delimiter_of(header: str, usual: str) -> str:
    """Return what parts the names of the header: the usual character where it occurs at all."""
    if usual in header:
        return usual
    return max(_DELIMITERS, key=lambda delimiter: (header.count(delimiter), delimiter == usual))


def _cells(path: Path, lines: Sequence[str], delimiter: str) -> list[_Line]:
    plain = [(number, line.split(delimiter)) for number, line in enumerate(lines, start=1)]
    width = len(plain[0][1]) if plain else 0
    may_be_plain = delimiter == "\t" and width > 1
    if may_be_plain and _has_plain_quotes(plain, width):
        _refuse_quoted_rows(path, plain)
        return plain
    csv.field_size_limit(_LONGEST_CELL)
    try:
        quoted = list(_quoted(lines, delimiter))
    except csv.Error as error:
        if may_be_plain and _share_of_width(plain, width) >= _PLAIN_FROM:
            return plain
        raise _not_quoted(path, lines, error) from error
    if may_be_plain and _swallows_rows(quoted, plain, width):
        return plain
    if delimiter != "\t":
        _refuse_blanks_before_quotes(path, lines, delimiter)
    return quoted


def _not_quoted(path: Path, lines: Sequence[str], error: csv.Error) -> UserError:
    """Make the fault for text that is not quoted throughout."""
    row = str(error).partition(":")[0]
    if "new-line character" in str(error):
        return UserError(
            f"{row}: a carriage return (\\r) stands in a cell without quotes",
            where=str(path),
            hint="quote the cells that hold one, take it out, or write jsonl",
        )
    if any('\\"' in line for line in lines):
        hint = (
            'quotes are written `\\"`, as Spark and MySQL do: write them again with doubled quotes '
            "(Spark: option escape='\"'), or write jsonl"
        )
    else:
        hint = 'double the quotes inside quoted cells (`"say ""so"""`), or write jsonl'
    return UserError(f"{error}: it is not quoted throughout", where=str(path), hint=hint)


def _has_plain_quotes(plain: Sequence[_Line], width: int) -> bool:
    """Tell text without quoting: as many cells in every line, and quotes that no writer sets."""
    opened = [cell for _, cells in plain for cell in cells if cell.startswith('"')]
    if not opened or _share_of_width(plain, width) < 1:
        return False
    if any(not _QUOTED.fullmatch(cell) for cell in opened):
        return True
    # Only a writer doubles quotes; one that quotes a cell without a need quotes the header, too.
    quotes_all = all(cell.startswith('"') for cell in plain[0][1])
    return not quotes_all and not any('"' in cell[1:-1] for cell in opened)


def _refuse_quoted_rows(path: Path, plain: Sequence[_Line]) -> None:
    """Raise UserError where all text below the header is quoted: a writer did it, or it is said."""
    filled = [cell for _, cells in plain[1:] for cell in cells if cell.strip()]
    texts = [cell for cell in filled if not _NUMBER.fullmatch(cell.strip())]
    if texts and all(_QUOTED.fullmatch(cell) for cell in texts):
        raise UserError(
            "every text below the header is quoted, and the header is not",
            where=str(path),
            hint="quote the names in the header, too, if a program quoted the cells; "
            "write jsonl, if the quotes are part of the texts",
        )


def _refuse_blanks_before_quotes(path: Path, lines: Sequence[str], delimiter: str) -> None:
    """Raise UserError for cells that are quoted behind a blank: their quotes would be text."""
    mark = re.escape(delimiter)
    may_be_one = re.compile(rf'(?:^|{mark}) +"')
    if not any(may_be_one.search(line) for line in lines):
        return
    quoted, end = r'"(?:[^"]+|"")*+"', rf"(?:{mark}|\n|\Z)"
    cell = re.compile(rf"(?P<blank> +{quoted} *{end})|(?:{quoted})?[^{mark}\n]*{end}")
    rows, number = [], 1
    for found in cell.finditer("\n".join(lines)):
        if found["blank"]:
            rows.append(number)
        number += found[0].count("\n")
    if rows:
        raise UserError(
            f"a blank stands before the quotes of cells: {row_numbers(dict.fromkeys(rows))}",
            where=str(path),
            hint=f"take the blanks behind `{delimiter}` away, or write jsonl",
        )


def _share_of_width(plain: Sequence[_Line], width: int) -> float:
    filled = [len(cells) for _, cells in plain if any(cell.strip() for cell in cells)]
    return filled.count(width) / max(1, len(filled))


def _swallows_rows(quoted: Sequence[_Line], plain: Sequence[_Line], width: int) -> bool:
    """Tell whether a lone quote took lines into a cell that are rows by themselves."""
    ends = [number for number, _ in quoted[1:]] + [len(plain) + 1]
    return any(
        end - start > 1 and all(len(cells) == width for _, cells in plain[start - 1 : end - 1])
        for (start, _), end in zip(quoted, ends, strict=True)
    )


def _quoted(lines: Sequence[str], delimiter: str) -> Iterator[_Line]:
    reader = csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter, strict=True)
    start = 1
    try:
        for cells in reader:
            yield start, cells
            start = reader.line_num + 1
    except csv.Error as error:
        raise csv.Error(f"row {start}: {error}") from error

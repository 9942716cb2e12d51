"""LaTeX for a paper: booktabs, header spans, footnotes by threeparttable."""

import unicodedata
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

from analysis.tables.control_columns import laid_out
from analysis.tables.table import Cell, Header, Table, shared_header, spans, split, without_repeats

SUFFIX = ".tex"
MAX_COLUMNS = 6
"""Numbers with intervals that a text width of two columns holds in \\small."""
MAX_LEVELS = 4
"""Parts of a row's header beside which there is room for numbers."""

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "_": r"\_",
    "%": r"\%",
    "&": r"\&",
    "#": r"\#",
    "$": r"\$",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "[": "{[}",  # after a line's end it would begin an argument, and so would a star
    "]": "{]}",
    "*": "{*}",
    "±": r"$\pm$",
    "×": r"$\times$",
    "δ": r"$\delta$",
    "—": "---",
    "–": "--",
    "−": "$-$",
    "‖": r"$\Vert$",
    "≤": r"$\leq$",
    "≥": r"$\geq$",
    "→": r"$\rightarrow$",
    "·": r"$\cdot$",
    "…": r"\ldots{}",
}
_ACCENTS = {
    "\u0300": "`",
    "\u0301": "'",
    "\u0302": "^",
    "\u0303": "~",
    "\u0308": '"',
    "\u0327": "c",
}


def render(table: Table) -> bytes:
    r"""Return one `table*` environment per block; needs \usepackage{booktabs,threeparttable}."""
    lines = ["% Needs \\usepackage{booktabs,threeparttable}"]
    for block in split(laid_out(table), lambda part: len(part.columns) <= MAX_COLUMNS):
        lines += _environment(block)
    return ("\n".join(lines) + "\n").encode()


def escape(text: str) -> str:
    """Return ASCII that LaTeX sets as the text; a character that it may not know by its number."""
    return "".join(_set(character, before) for before, character in pairwise(f"\n{text}"))


def _set(character: str, before: str) -> str:
    if character in _SPECIAL:
        return _SPECIAL[character]
    if character == before == "-":
        return "{}-"  # two together would become a dash
    if character.isascii():
        return character if character.isprintable() else " "
    letter, *marks = list(unicodedata.normalize("NFD", character))
    if len(marks) == 1 and letter.isascii() and letter.isalpha() and marks[0] in _ACCENTS:
        return rf"\{_ACCENTS[marks[0]]}{{{letter}}}"
    return rf"{{[}}U+{ord(character):04X}{{]}}"


def _environment(block: Table) -> Iterator[str]:
    heading, rest = shared_header(block)
    said, rest = _said_once(rest)
    title = ", ".join(filter(None, (block.title, *heading, *said)))
    yield from (r"\begin{table*}", r"\centering\small", r"\begin{threeparttable}")
    yield rf"\caption{{{escape(title)}. {escape(block.caption)}}}"
    yield rf"\begin{{tabular}}{{{'l' * len(rest.row_levels)}{'r' * len(rest.columns)}}}"
    yield r"\toprule"
    yield from _header(rest)
    yield r"\midrule"
    for header, line in zip(without_repeats(rest.rows), rest.cells, strict=True):
        yield _row([*(escape(part) for part in header), *(_cell(cell) for cell in line)])
    yield from (r"\bottomrule", r"\end{tabular}")
    if block.footnotes:
        yield r"\begin{tablenotes}\footnotesize"
        for mark, text in block.footnotes.items():
            yield rf"\item[{mark}] {escape(text)}"
        yield r"\end{tablenotes}"
    yield from (r"\end{threeparttable}", r"\end{table*}", "")


def _said_once(table: Table) -> tuple[list[str], Table]:
    """Take parts of the rows' headers that all rows share out of a header of many: in words."""
    levels = range(len(table.row_levels))
    shared = [level for level in levels if len({row[level] for row in table.rows}) == 1]
    if len(levels) <= MAX_LEVELS or len(shared) == len(levels):
        return [], table
    kept = [level for level in levels if level not in shared]
    first = table.rows[0]
    said = [f"{table.row_levels[level]} {first[level]}" for level in shared if first[level]]
    rows = tuple(tuple(row[level] for level in kept) for row in table.rows)
    names = tuple(table.row_levels[level] for level in kept)
    return said, replace(table, rows=rows, row_values=(), row_levels=names)


def _header(table: Table) -> Iterator[str]:
    """Yield one line per header level, equal neighbours spanned; the last names the row levels."""
    width, last = len(table.row_levels), len(table.column_levels) - 1
    for level in range(last):
        runs = spans(table.columns, level)
        titles = [rf"\multicolumn{{{count}}}{{c}}{{{escape(name)}}}" for name, count in runs]
        yield _row([""] * width + titles)
        yield " ".join(_rules(runs, width))
    leaves = tuple(rf"\multicolumn{{1}}{{r}}{{{escape(h[last])}}}" for h in table.columns)
    yield _row([*(escape(level) for level in table.row_levels), *leaves])


def _rules(runs: list[tuple[str, int]], start: int) -> Iterator[str]:
    for name, count in runs:
        if name:
            yield rf"\cmidrule(lr){{{start + 1}-{start + count}}}"
        start += count


def _row(entries: list[str] | Header) -> str:
    return " & ".join(entries) + r" \\"


def _cell(cell: Cell) -> str:
    return escape(cell.text) + (rf"\tnote{{{cell.mark}}}" if cell.mark else "")

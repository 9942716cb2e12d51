"""Rows or lines of a data set: one file, or a folder as data sets are saved from a hub."""

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TypeVar

from cluster.errors import UserError, unknown_name
from jobs.text.chosen_shards import files_of
from jobs.text.column_check import check_columns, has
from jobs.text.data_file import read_table, suffix_of
from jobs.text.format import source_of
from jobs.text.reading import Dropped, Item, Reading
from jobs.text.row_options import RowOptions
from jobs.text.rows.fault import RowFault, shown
from jobs.text.rows.file_bytes import PACKED_SUFFIXES
from jobs.text.rows.lines import read_lines
from jobs.text.rows.table import Row, Table
from jobs.text.rows_as_text import notes_on_quotes, refuse_rows
from jobs.text.shard_names import ABOUT, shards_in
from jobs.text.side_columns import (
    SCORES_OF_SIDES,
    note_of_order,
    note_of_scores,
    score_columns,
)

Made = TypeVar("Made")


@dataclass(frozen=True, kw_only=True)
class SourceRows:
    """Rows of all files of a source, numbered through."""

    rows: list[Row]
    """Those that can be read."""
    malformed: list[Dropped]
    """The others."""
    unused_columns: tuple[str, ...]
    """Columns of the files that nothing reads."""
    notes: tuple[str, ...]
    """What a reader should know of the files."""

    @property
    def num_rows(self) -> int:
        """Number of rows, those that cannot be read included."""
        return len(self.rows) + len(self.malformed)

    def make(self, one: Callable[[Row], Made]) -> tuple[list[Made], list[Dropped]]:
        """Make something of each row; rows with a fault are returned with it, in their order."""
        made, dropped = [], [*self.malformed]
        for row in self.rows:
            try:
                made.append(one(row))
            except RowFault as fault:
                dropped.append(Dropped(row=row.number, reason=str(fault), malformed=True))
        return made, sorted(dropped, key=lambda row: row.row)

    def noting(self, note: str | None) -> "SourceRows":
        """Add what a reader should know, where there is anything."""
        return self if note is None else replace(self, notes=(*self.notes, note))

    def reading(self, reading: Reading[Item], broken: Sequence[Dropped]) -> Reading[Item]:
        """Add to what was read what could not be, and what is known of the files."""
        return replace(
            reading,
            dropped=[*broken, *reading.dropped],
            unused_columns=self.unused_columns,
            notes=self.notes,
            num_rows=self.num_rows,
        )


def read_all_rows(
    name: str,
    source: Path | None,
    options: RowOptions,
    needed: Sequence[str],
    *,
    optional: Sequence[Sequence[str]] = (),
) -> SourceRows:
    """Read the rows of all files of a source, in the order of their names, numbered through.

    Args:
        name: of the format.
        source: a file, or a folder that is searched to its depth.
        options: may name the split, the subset and the columns.
        needed: columns that must exist.
        optional: columns that are read where they exist, in groups that stand for each other.

    Raises:
        UserError: as `read_table`; missing columns; a folder with no or several splits.
    """
    files, notes = files_of(name, source, options)
    try:
        return read_files(files, needed, optional=optional, columns=options.columns, notes=notes)
    except UserError as fault:
        if len(files) > 1 and notes:
            hint = "; ".join(filter(None, (fault.hint, *notes)))
            raise fault.at(fault.where, hint=hint) from fault
        raise


def read_files(
    files: Sequence[Path],
    needed: Sequence[str],
    *,
    optional: Sequence[Sequence[str]] = (),
    columns: Mapping[str, str] | None = None,
    notes: Sequence[str] = (),
) -> SourceRows:
    """Read the rows of files one after the other; see `read_all_rows`."""
    columns, names = columns or {}, (*needed, *chain(*optional))
    for column in columns:
        if column not in names:
            raise unknown_name("column", column, names, where="option columns")
    wanted = [columns.get(name, name) for name in names]
    looked_at = [*chain(*SCORES_OF_SIDES)] if {"chosen", "rejected"} <= {*needed} else []
    rows: list[Row] = []
    malformed: list[Dropped] = []
    unused: dict[str, None] = {}
    unseen = {columns[name] for name in chain(*optional) if name in columns}
    start, empty = 0, 0
    for file in files:
        table = read_table(file, [*wanted, *looked_at])
        if not table.num_rows:
            empty += 1  # writers of many shards leave some empty
            continue
        check_columns(file, table, needed, optional, columns)
        unseen -= {name for name in unseen if has(table, name)}
        rows += [_numbered(row, start, columns) for row in table.rows]
        malformed += [
            Dropped(row=start + line.row, reason=line.reason, malformed=True)
            for line in table.malformed
        ]
        outer = {name.partition(".")[0] for name in wanted}
        unused |= {name: None for name in table.columns if name not in outer}
        start += _last_number(table)
    if empty == len(files):
        raise UserError("it holds no rows", where=str(files[0]))
    if unseen and rows:
        raise UserError(
            f"missing column {shown(sorted(unseen))}",
            where="option columns",
            hint=f"nothing reads {shown([*unused])}" if unused else None,
        )
    if empty:
        notes = [*notes, f"{empty} of {len(files)} files hold no rows"]
    order = note_of_order(columns, [*unused])
    if order is not None:
        notes = [*notes, order]
    scored = score_columns(unused)
    if scored is not None and looked_at:
        scores = note_of_scores(
            scored, [(row.cell(scored[0]), row.cell(scored[1])) for row in rows]
        )
        notes = [*notes, *([scores] if scores else [])]
    return SourceRows(
        rows=rows, malformed=malformed, unused_columns=tuple(unused), notes=tuple(notes)
    )


def _last_number(table: Table) -> int:
    """Return the number that the next file's rows are counted from."""
    numbers = (row.number for row in table.rows), (line.row for line in table.malformed)
    return max(table.num_rows, *(max(some, default=0) for some in numbers))


def _numbered(row: Row, start: int, columns: Mapping[str, str]) -> Row:
    if not start and not columns:
        return row
    renamed = {name: row.cell(column) for name, column in columns.items()}
    return replace(row, number=start + row.number, cells={**row.cells, **renamed})


def read_text_rows(name: str, source: Path | None, options: RowOptions, column: str) -> SourceRows:
    """Read a column of files of rows, or the lines of a text file or of every .txt of a folder.

    A line is a row whose only cell is the column's.

    Raises:
        UserError: as `read_all_rows`; there is no file; the lines of a text are rows.
    """
    if _holds_rows(source):
        return read_all_rows(name, source, options, (column,))
    if source is not None and os.path.isdir(source):
        files = sorted(path for path in source.iterdir() if _is_text(path))
        if not files:
            raise UserError("no .txt file in it, and no file of rows", where=str(source))
    else:
        files = [source_of(name, source)]
    lines = [line for file in files for line in read_lines(file)]
    refuse_rows(lines, files[0])
    rows = [Row(number=n, cells={column: line}) for n, line in enumerate(lines, start=1)]
    return SourceRows(rows=rows, malformed=[], unused_columns=(), notes=notes_on_quotes(lines))


def _is_text(path: Path) -> bool:
    """Tell a file `x.txt`, packed or not, that is not hidden."""
    name = path.name
    bare = next((name.removesuffix(end) for end in PACKED_SUFFIXES if name.endswith(end)), name)
    is_about = bare.removesuffix(".txt").upper() in ABOUT
    is_named = bare.endswith(".txt") and not name.startswith(".") and not is_about
    return is_named and path.is_file()


def _holds_rows(source: Path | None) -> bool:
    """Tell whether a source is a data file, or a folder of them without any .txt."""
    if source is None:
        return False
    if os.path.isdir(source):
        return not any(_is_text(path) for path in source.iterdir()) and bool(shards_in(source))
    return bool(suffix_of(source.name))

"""Reads rows of a data file (jsonl, parquet, csv, tsv); messages name the rows with faults."""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import UserError

_MOST_ROWS_SHOWN = 5
_LONGEST_CELL = 1 << 24

SUFFIXES = (".jsonl", ".jsonl.gz", ".parquet", ".csv", ".tsv")
"""Suffixes of data files."""


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row with its number."""

    number: int
    """Line in a text file, row in a parquet file, from 1."""
    cells: Mapping[str, Any]
    """Column -> cell; empty cells are left out."""


class Faults:
    """Faults of a file, collected and raised together."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._rows: dict[str, list[int]] = {}

    def add(self, fault: str, row: int) -> None:
        """Note a row that has this fault."""
        self._rows.setdefault(fault, []).append(row)

    def raise_if_any(self) -> None:
        """Raise UserError with every fault, its first rows and their count."""
        if self._rows:
            listed = "; ".join(
                f"{fault}: {row_numbers(rows)}" for fault, rows in self._rows.items()
            )
            raise UserError(listed, where=str(self._path))


def row_numbers(rows: Iterable[int]) -> str:
    """Write row numbers for a message: the first few, and how many there are."""
    numbers = list(rows)
    first = ", ".join(str(number) for number in numbers[:_MOST_ROWS_SHOWN])
    if len(numbers) == 1:
        return f"row {first}"
    many = f", ... ({len(numbers)} rows)" if len(numbers) > _MOST_ROWS_SHOWN else ""
    return f"rows {first}{many}"


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 text without their ends. Raises UserError for other encodings."""
    faults = Faults(path)
    lines = []
    for number, line in enumerate(_bytes_of(path).split(b"\n"), start=1):
        try:
            lines.append(line.removesuffix(b"\r").decode("utf-8-sig" if number == 1 else "utf-8"))
        except UnicodeDecodeError:
            faults.add("not UTF-8", number)
    faults.raise_if_any()
    return lines if lines[-1] else lines[:-1]


def _bytes_of(path: Path) -> bytes:
    if path.suffix != ".gz":
        return path.read_bytes()
    try:
        return gzip.decompress(path.read_bytes())
    except (OSError, EOFError, zlib.error) as error:
        raise UserError(f"not a whole gzip file: {error}", where=str(path)) from error


def without_suffix(name: str) -> str:
    """Return the name of a data file without its suffix; any other name unchanged."""
    suffix = next((known for known in SUFFIXES if name.endswith(known)), "")
    return name.removesuffix(suffix)


def read_rows(
    path: Path, needed: Sequence[str], *, required: bool = True, lists: bool = False
) -> list[Row]:
    """Read the rows of a file by its suffix, with these columns, their cells text.

    Args:
        path: the file.
        needed: columns that must exist.
        required: whether each of their cells must hold something.
        lists: whether their cells must be lists instead of texts.

    Raises:
        UserError: another suffix; no rows; not UTF-8, not JSON, missing columns, empty cells or
            cells of another type, each with its row numbers.
    """
    readers: Mapping[str, Callable[[Path], list[Row]]] = {
        ".jsonl": _jsonl,
        ".jsonl.gz": _jsonl,
        ".parquet": _parquet,
        ".csv": lambda file: _delimited(file, ","),
        ".tsv": lambda file: _delimited(file, "\t"),
    }
    suffix = path.name.removeprefix(without_suffix(path.name))
    if suffix not in readers:
        raise UserError(
            f"the suffix of {path.name!r} is no known one", where=str(path), allowed=SUFFIXES
        )
    rows = readers[suffix](path)
    if not rows:
        raise UserError("it holds no rows", where=str(path))
    _check_columns(path, rows, needed)
    _check_cells(path, rows, needed, required, lists)
    return rows


def _check_columns(path: Path, rows: Sequence[Row], needed: Sequence[str]) -> None:
    existing = list(dict.fromkeys(name for row in rows for name in row.cells))
    missing = [name for name in needed if name not in existing]
    if missing:
        raise UserError(
            f"missing column{'s' if len(missing) > 1 else ''} {', '.join(missing)}",
            where=str(path),
            hint=f"it has {', '.join(existing)}; needed are {', '.join(needed)}",
        )


def _check_cells(
    path: Path, rows: Sequence[Row], needed: Sequence[str], required: bool, lists: bool
) -> None:
    faults = Faults(path)
    expected, type_name = (list, "a list") if lists else (str, "text")
    for row in rows:
        for name in needed:
            cell = row.cells.get(name)
            if cell is not None and not isinstance(cell, expected):
                faults.add(f"{name!r} is not {type_name}", row.number)
            elif required and (not cell or (isinstance(cell, str) and not cell.strip())):
                faults.add(f"{name!r} is empty", row.number)
    faults.raise_if_any()


def _jsonl(path: Path) -> list[Row]:
    faults = Faults(path)
    rows = []
    for number, line in enumerate(read_lines(path), start=1):
        if not line.strip():
            faults.add("empty line", number)
            continue
        try:
            cells = json.loads(line)
        except json.JSONDecodeError:
            faults.add("not JSON", number)
            continue
        if isinstance(cells, dict):
            rows.append(Row(number=number, cells=cells))
        else:
            faults.add("not a JSON object", number)
    faults.raise_if_any()
    return rows


def _delimited(path: Path, delimiter: str) -> list[Row]:
    """Read quoted cells too, which may hold line breaks; a row is numbered by its first line."""
    faults = Faults(path)
    csv.field_size_limit(_LONGEST_CELL)
    reader = csv.reader(io.StringIO("\n".join(read_lines(path))), delimiter=delimiter, strict=True)
    rows: list[Row] = []
    header: list[str] = []
    start = 1
    try:
        for cells in reader:
            if not header:
                header = [cell.strip() for cell in cells]
            elif not any(cell.strip() for cell in cells):
                faults.add("empty row", start)
            elif len(cells) > len(header):
                faults.add(f"more than {len(header)} cells", start)
            else:
                named = dict(zip(header, cells, strict=False))
                rows.append(Row(number=start, cells=named))
            start = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"row {start}: {error}", where=str(path)) from error
    faults.raise_if_any()
    return rows


def _parquet(path: Path) -> list[Row]:
    import pyarrow
    import pyarrow.parquet as parquet

    try:
        rows = parquet.read_table(path).to_pylist()
    except pyarrow.ArrowInvalid as error:
        raise UserError(f"not a parquet file: {error}", where=str(path)) from error
    return [Row(number=number, cells=cells) for number, cells in enumerate(rows, start=1)]

"""Rows of Parquet and Arrow files: the columns asked for, and every row that can be decoded."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import DeltascaleError, UserError
from jobs.sources.disk_fault import fault_of_disk
from jobs.text.rows.doubled import refuse_doubled_columns
from jobs.text.rows.file_bytes import check_start, read_bytes
from jobs.text.rows.other_kinds import ARROW
from jobs.text.rows.table import Malformed, Row, Table

if TYPE_CHECKING:
    import pyarrow

_MOST_BYTES = 1 << 36
"""More than a file of rows can mean: a damaged footer says anything."""


def read_parquet(path: Path, wanted: Callable[[str], bool]) -> Table:
    """Read columns of a Parquet file.

    Raises:
        UserError: it is none, or is broken.
        SurroundingsError: its disk does not answer.
    """
    import pyarrow
    import pyarrow.parquet as parquet

    check_start(path)
    try:
        # As bytes: a path that is a text must be UTF-8.
        with pyarrow.OSFile(os.fsencode(path)) as stream, parquet.ParquetFile(stream) as file:
            schema = file.schema_arrow
            groups = [file.metadata.row_group(at) for at in range(file.num_row_groups)]
            if sum(max(0, group.total_byte_size) for group in groups) > _MOST_BYTES:
                raise UserError("its footer is damaged", where=str(path), hint="download it again")
            refuse_doubled_columns(path, schema.names, wanted)
            content = file.read(columns=[name for name in schema.names if wanted(name)])
            return _table(schema, content, file.metadata.num_rows)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError) as error:
        raise _broken(path, "parquet", error) from error


def read_arrow(path: Path, wanted: Callable[[str], bool]) -> Table:
    """Read columns of an Arrow file or stream.

    Raises:
        UserError: it is neither, or is broken.
        SurroundingsError: its disk does not answer.
    """
    import pyarrow

    content = read_bytes(path, but=ARROW)
    is_file = content.startswith(b"ARROW1")
    reader_of = pyarrow.ipc.open_file if is_file else pyarrow.ipc.open_stream
    try:
        with reader_of(content) as reader:
            whole = reader.read_all()
            refuse_doubled_columns(path, whole.schema.names, wanted)
            content_wanted = whole.select([n for n in whole.schema.names if wanted(n)])
            return _table(whole.schema, content_wanted, whole.num_rows)
    except (pyarrow.ArrowException, OSError, ValueError, OverflowError, KeyError) as error:
        raise _broken(path, "Arrow", error) from error


def _broken(path: Path, kind: str, error: Exception) -> DeltascaleError:
    if (fault := fault_of_disk(path, error)) is not None:
        return fault
    first_line = str(error).partition("\n")[0][:200]
    return UserError(
        f"not a {kind} file, or a broken one: {first_line}",
        where=str(path),
        hint="download it again",
    )


def _table(schema: "pyarrow.Schema", content: "pyarrow.Table", num_rows: int) -> Table:
    names = content.column_names
    values = [_values(content.column(at)) for at in range(len(names))]
    rows, malformed = [], []
    for number, cells in enumerate(zip(*values, strict=True), start=1):
        broken = next((n for n, cell in zip(names, cells, strict=True) if cell is _BROKEN), None)
        if broken is None:
            rows.append(Row(number=number, cells=dict(zip(names, cells, strict=True))))
        else:
            malformed.append(Malformed(row=number, reason=f"{broken!r} is not UTF-8"))
    if not names:
        rows = [Row(number=number, cells={}) for number in range(1, min(num_rows, 1) + 1)]
    inner = [
        f"{field.name}.{inside.name}"
        for field in schema
        if hasattr(field.type, "fields")
        for inside in field.type.fields
    ]
    return Table(columns=schema.names, rows=rows, malformed=malformed, inner=inner)


_BROKEN = object()
"""A cell that cannot be decoded."""


def _values(column: "pyarrow.ChunkedArray") -> list[Any]:
    """Return the cells of a column, decoded all at once where none is broken.

    Nothing in an Arrow file is checked while it is read: offsets that point elsewhere would end
    the process, so they are looked at first, with texts as bytes where they are not all UTF-8.
    """
    import pyarrow

    try:
        column.validate(full=True)
    except pyarrow.ArrowInvalid:
        column = pyarrow.chunked_array(
            [chunk.view(_with_bytes(chunk.type)) for chunk in column.chunks],
            type=_with_bytes(column.type),
        )
        column.validate(full=True)
        return [_decoded(cell) for cell in column.to_pylist()]
    try:
        return list(column.to_pylist())
    except (ValueError, OverflowError):  # dates beyond those of Python, for example
        return list(_one_by_one(column))


def _with_bytes(kind: "pyarrow.DataType") -> "pyarrow.DataType":
    """Return a type with bytes in the place of texts, at any depth."""
    import pyarrow
    from pyarrow import types

    if types.is_string(kind):
        return pyarrow.binary()
    if types.is_large_string(kind):
        return pyarrow.large_binary()
    if types.is_struct(kind):
        inner = [kind.field(at) for at in range(kind.num_fields)]
        return pyarrow.struct([each.with_type(_with_bytes(each.type)) for each in inner])
    if types.is_list(kind):
        return pyarrow.list_(kind.value_field.with_type(_with_bytes(kind.value_type)))
    if types.is_large_list(kind):
        return pyarrow.large_list(kind.value_field.with_type(_with_bytes(kind.value_type)))
    return kind


def _decoded(cell: Any) -> Any:
    """Return a cell with its bytes as text, or `_BROKEN`."""
    try:
        return _as_text(cell)
    except UnicodeDecodeError:
        return _BROKEN


def _as_text(cell: Any) -> Any:
    if isinstance(cell, bytes):
        return cell.decode("utf-8")
    if isinstance(cell, list):
        return [_as_text(item) for item in cell]
    if isinstance(cell, dict):
        return {name: _as_text(item) for name, item in cell.items()}
    return cell


def _one_by_one(column: "pyarrow.ChunkedArray") -> Iterator[Any]:
    for cell in column:
        try:
            yield cell.as_py()
        except (ValueError, OverflowError):
            yield _BROKEN

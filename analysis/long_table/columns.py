"""The columns of the long table, and rows as a table of them.

Owns the canonical order of columns and rows, so that two equal
studies give equal bytes. No times, paths or attempts are ever part of it.
"""

import difflib
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from numbers import Integral, Real
from typing import TYPE_CHECKING, cast

import numpy as np
import pyarrow as pa

from analysis.measurement import FIELDS, IDENTITY, NUMBERS, LeftOut, Row, Scalar, label_of
from analysis.status import Status

if TYPE_CHECKING:
    import pandas as pd

Convert = Callable[[object], Scalar]

ENDPOINT = "endpoint"
"""Family of a model behind an endpoint: what it says is known, its weights are not."""
ARROW: dict[type, pa.DataType] = {
    str: pa.string(),
    Status: pa.string(),
    bool: pa.bool_(),
    int: pa.int64(),
    float: pa.float64(),
    LeftOut: pa.list_(pa.float64()),
}
"""Type of a field or an axis -> type of its column."""
FIXED = pa.schema([(name, ARROW[declared.type]) for name, declared in FIELDS.items()])
"""Columns that every measurement has; the study's axes stand before them."""
_MOST_COUNT = 2**63 - 1
"""The largest whole number of a column of counts."""
_MOST_IN_REAL = 2**53
"""Up to here every whole number is one of its own among real ones."""
_STATUSES = tuple(status.value for status in Status)


def axis_column(axis: str) -> str:
    """Return the column that holds a study's axis: its name, unless a fixed column already has it.

    The axis `model` *is* the fixed column; any other clash gets the prefix `axis_`.
    """
    return axis if axis == "model" or axis not in FIELDS else f"axis_{axis}"


def axis_columns(axes: Iterable[str]) -> list[str]:
    """Return columns that stand before the fixed ones for these axes, in the study's order."""
    return [axis_column(axis) for axis in axes if axis != "model"]


def schema(axes: Iterable[str], types: Mapping[str, pa.DataType] | None = None) -> pa.Schema:
    """Return the schema of a study with these axes; the column of an axis without type is text."""
    given = types or {}
    columns = [(name, given.get(name, pa.string())) for name in axis_columns(axes)]
    return pa.schema(columns + list(FIXED))


def is_long_table(table: pa.Table) -> bool:
    """Whether a table has the columns of `schema`, with any types of axes."""
    types = {name: table.schema.field(name).type for name in axes_of(table.column_names)}
    has_axis_types = all(kind in ARROW.values() for kind in types.values())
    return has_axis_types and table.schema == schema(types, types)


def common_type(values: Iterable[object]) -> pa.DataType:
    """Return the type of an axis's column: numbers or booleans where all values are, else text.

    Numbers that the column could not hold exactly make it text, too.
    """
    kinds, most = set[type](), 0
    for value in values:
        if not _missing(value):
            plain = _plain(value)
            kinds.add(type(plain))
            most = max(most, abs(plain)) if type(plain) is int else most
    if kinds == {int, float}:
        return pa.float64() if most <= _MOST_IN_REAL else pa.string()
    if len(kinds) != 1 or most > _MOST_COUNT:
        return pa.string()
    return ARROW[kinds.pop()]


def axes_of(columns: Iterable[str]) -> list[str]:
    """Return the axis columns among the columns of a table of measurements."""
    return [name for name in columns if name not in FIELDS]


def to_table(
    rows: Iterable[Mapping[str, object]],
    axes: Sequence[str],
    types: Mapping[str, pa.DataType] | None = None,
) -> pa.Table:
    """Return rows as the canonical table: typed columns in schema order, sorted by identity.

    Axes have the types given, or those that their values have in common. Absent keys, NaN and empty
    strings all become missing.

    Raises:
        ValueError: a column or status does not exist, or a missing value has no reason.
    """
    rows = list(rows)
    if types is None:
        types = {name: common_type(row.get(name) for row in rows) for name in axis_columns(axes)}
    whole = schema(axes, types)
    kinds = _converters(whole)
    clean = [_clean(row, kinds) for row in rows]
    for row in clean:
        _check(row)
    order = list(dict.fromkeys([*axis_columns(axes), *IDENTITY, "key", *whole.names]))
    order.remove("left_out")
    clean.sort(key=lambda row: tuple(_sortable(row[name]) for name in order))
    return pa.Table.from_pylist(clean, schema=whole)


def to_rows(data: "pa.Table | pd.DataFrame | Iterable[Mapping[str, object]]") -> list[Row]:
    """Return rows of a table, DataFrame or dicts, with every fixed column and None for missing."""
    if isinstance(data, pa.Table) and is_long_table(data):
        canonical: list[Row] = data.to_pylist()
        for row in canonical:
            row["left_out"] = _left_out(row["left_out"])
        return canonical
    if isinstance(data, pa.Table):
        data = data.to_pylist()
    elif hasattr(data, "to_dict"):
        data = cast("list[dict[str, object]]", data.to_dict("records"))
    records: list[Mapping[str, object]] = list(data)
    names = list(dict.fromkeys(name for row in records for name in row))
    axes = axes_of(names)
    types = {name: common_type(row.get(name) for row in records) for name in axes}
    kinds = _converters(schema(axes, types))
    return [_clean(row, kinds) for row in records]


def _clean(row: Mapping[str, object], kinds: Mapping[str, Convert]) -> Row:
    """Return one row with exactly the schema's columns and Python's own types."""
    for name in row:
        if name not in kinds:
            near = difflib.get_close_matches(name, kinds, 1)
            hint = f"; the nearest is {near[0]!r}" if near else ""
            raise ValueError(f"a measurement has no column {name!r}{hint}")
    clean = {
        name: None if _missing(value := row.get(name)) else convert(value)
        for name, convert in kinds.items()
    }
    if clean["status"] is None and clean["value"] is not None:
        clean["status"] = Status.OK.value
    return clean


def _missing(value: object) -> bool:
    """Whether a value is one of the spellings of missing; 0 is not."""
    if isinstance(value, float):
        return math.isnan(value)
    if value is None or isinstance(value, str):
        return not value
    return type(value).__name__ in ("NAType", "NaTType")  # pandas, which is not imported for this


def _converters(whole: pa.Schema) -> dict[str, Convert]:
    """Map column -> the function that converts its entries."""
    by_type: dict[pa.DataType, Convert] = {
        pa.string(): _text,
        pa.bool_(): bool,
        pa.int64(): _count,
        pa.float64(): _real,
        ARROW[LeftOut]: _left_out,
    }
    return {field.name: by_type[field.type] for field in whole}


def _count(value: object) -> int:
    count = int(_real(value))
    assert count == value, f"{value!r} is not a count"
    return count


def _real(value: object) -> float:
    assert isinstance(value, Real), f"{value!r} is not a number"
    return float(value) + 0.0  # adding zero turns -0.0, which would print as "-0", into 0.0


def _left_out(value: object) -> Scalar:
    """Read a list of numbers, or one as a CSV file spells it: the one entry that is no Scalar."""
    if _missing(value):
        return None
    entries = cast("Iterable[object]", json.loads(value) if isinstance(value, str) else value)
    kept = tuple(None if _missing(entry) else _real(entry) for entry in entries)
    return cast("Scalar", kept)


def _text(value: object) -> str:
    return label_of(_plain(value))


def _plain(value: object) -> Scalar:
    """Return a number of numpy's or pandas' as Python's own; any other value as text."""
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        return int(value)
    return float(value) if isinstance(value, Real) else str(value)


def _check(row: Row) -> None:
    """Refuse a row whose value is missing without saying why, or not a finite number."""
    status = row["status"]
    infinite = [name for name in NUMBERS if row[name] in (math.inf, -math.inf)]
    unexplained = row["value"] is None and (status in (None, Status.OK) or row["reason"] is None)
    if not infinite and not unexplained and status in _STATUSES:
        return
    where = ", ".join(f"{name}={row[name]}" for name in IDENTITY if row[name] is not None)
    if infinite:
        raise ValueError(f"{infinite[0]} is infinite at {where}: leave it missing and say why")
    if unexplained:
        raise ValueError(f"a missing value needs a status other than ok and a reason, at {where}")
    raise ValueError(f"status {status!r} at {where} is not one of {', '.join(_STATUSES)}")


def _sortable(value: Scalar) -> tuple[bool, float, str]:
    """Return a sort key: the missing first, then numbers, then text."""
    if isinstance(value, str):
        return (True, math.inf, value)
    return (value is not None, float(value or 0), "")

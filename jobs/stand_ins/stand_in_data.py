"""Writes example rows of a format as a file, or a folder, where a study's data are not here."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from cluster.errors import UserError
from jobs.text.data_file import suffix_of
from jobs.text.format import FORMATS, checked_options


def write_example(folder: Path, source: str, format_name: str, options: Mapping[str, Any]) -> Path:
    """Write what stands in for a source that is not here; return where.

    Args:
        folder: below which it is written; it must not exist.
        source: the source as the study names it, which says what kind of file it is.
        format_name: of the rows.
        options: of the format; they may name columns, and of a folder split and subset.

    Raises:
        UserError: no such format or option; the format has no example.
    """
    form = FORMATS.find(format_name, where="format")
    rows = form.example_rows(checked_options(format_name, form.Options, options))
    if not rows:
        raise UserError(
            f"the data are not here, and format {format_name!r} has no example rows to stand in",
            where=source,
            hint="put the data there, or give the format `example_rows`",
        )
    renamed = options.get("columns") or {}
    written = [_renamed(row, renamed) for row in rows]
    name = Path(source).name
    if not (suffix_of(name) or name.endswith(".txt")):  # a folder
        place = folder / name / str(options.get("subset") or "")
        name = f"{options.get('split') or 'train'}.jsonl"
    else:
        place = folder
    place.mkdir(parents=True, exist_ok=True)
    _write(place / name, written)
    return folder / Path(source).name


def _renamed(row: Mapping[str, object], columns: Mapping[str, str]) -> dict[str, object]:
    """Return a row under the names that the file has for its columns; `a.b` is a nested one."""
    renamed: dict[str, Any] = {}
    for name, value in row.items():
        *outer, last = str(columns.get(name, name)).split(".")
        inner = renamed
        for part in outer:
            inner = inner.setdefault(part, {})
        inner[last] = value
    return renamed


def _write(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    suffix = suffix_of(path.name).lower()
    if path.name.endswith(".txt"):
        path.write_text("".join(f"{next(iter(row.values()))}\n" for row in rows), encoding="utf-8")
    elif suffix in (".csv", ".tsv"):
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, rows[0], delimiter="\t" if suffix == ".tsv" else ",")
            writer.writeheader()
            writer.writerows(rows)
    elif suffix in (".parquet", ".arrow", ".feather"):
        import pyarrow as pa
        import pyarrow.feather
        import pyarrow.parquet

        table = pa.Table.from_pylist([dict(row) for row in rows])
        if suffix == ".parquet":
            pyarrow.parquet.write_table(table, path)
        else:
            pyarrow.feather.write_feather(table, path)
    elif suffix in (".json", ".jsonl", ".ndjson"):
        lines = [json.dumps(row, ensure_ascii=False) for row in rows]
        text = f"[{','.join(lines)}]" if suffix == ".json" else "\n".join(lines)
        path.write_text(text + "\n", encoding="utf-8")
    else:
        raise UserError(
            "the data are not here, and no stand-in is written for packed files",
            where=str(path.name),
            hint="put the data there",
        )

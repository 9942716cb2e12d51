"""Tells files of rows that are called text, whose marks and names would be read as words."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from cluster.errors import UserError
from jobs.text.chat_messages import parse_text
from jobs.text.rows.fault import RowFault, shown
from jobs.text.rows.json_rows import parse_json

_LOOKED_AT = 100
"""Lines of a text that are looked at."""
_FEWEST = 3
"""Lines below which quotes are no habit."""
_NEARLY_ALL = 0.9
"""Share of lines with as many cells as the first from which they are a table's."""
_NAME = re.compile(r"[^\W\d][\w.-]{0,39}")


def refuse_rows(lines: Sequence[str], file: Path) -> None:
    """Raise UserError for lines of JSON, of Python's objects or of a table: nobody means as text.

    Args:
        lines: of the text.
        file: where they stand, in errors.
    """
    filled = [line for line in lines if line.strip()][:_LOOKED_AT]
    fault = _of_objects(filled) or _of_list(filled, lines) or _of_table(filled)
    if fault is not None:
        error, hint = fault
        raise UserError(error, where=str(file), hint=hint)


def notes_on_quotes(lines: Sequence[str]) -> tuple[str, ...]:
    """Say that every line stands in quotes, as JSON writes a text: they would be read with it."""
    filled = [line.strip().removesuffix(",") for line in lines if line.strip()][:_LOOKED_AT]
    if len(filled) < _FEWEST or not all(isinstance(_json(line), str) for line in filled):
        return ()
    return ("every line stands in quotes, which are read as part of it: leave them out",)


def _of_objects(filled: Sequence[str]) -> tuple[str, str] | None:
    if not filled or not all(line.lstrip().startswith("{") for line in filled):
        return None
    if all(isinstance(_json(line), Mapping) for line in filled):
        return (
            "its lines are JSON objects, not text",
            "call it .jsonl; a format that reads rows then takes a column of it",
        )
    if all(isinstance(parse_text(line.strip()), Mapping) for line in filled):
        return (
            "its lines are objects as Python writes them (`{'text': ...}`), not text",
            "write each with json.dumps into a .jsonl; a format that reads rows then takes a "
            "column of it",
        )
    return None


def _of_list(filled: Sequence[str], lines: Sequence[str]) -> tuple[str, str] | None:
    if not filled or not filled[0].lstrip().startswith("["):
        return None
    value = _json("\n".join(lines))
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "it is a JSON list of texts, not text", "write one text a line, without quotes"
    if isinstance(value, list) and any(isinstance(item, Mapping) for item in value):
        return (
            "it is a JSON list of objects, not text",
            "call it .json; a format that reads rows then takes a column of it",
        )
    return None


def _of_table(filled: Sequence[str]) -> tuple[str, str] | None:
    for suffix, delimiter in ((".tsv", "\t"), (".csv", ","), (".csv", ";")):
        try:
            header, *rows = csv.reader(filled, delimiter=delimiter)
        except (csv.Error, ValueError):
            continue
        names = [name.strip() for name in header]
        if len({*names}) < max(2, len(names)) or not all(map(_NAME.fullmatch, names)):
            continue
        if rows and sum(len(row) == len(names) for row in rows) >= _NEARLY_ALL * len(rows):
            return (
                f"its lines are rows of a table with the columns {shown(names)}, not text",
                f"call it {suffix}; a format that reads rows then takes a column of it",
            )
    return None


def _json(text: str) -> object:
    try:
        return parse_json(text)
    except RowFault:
        return None

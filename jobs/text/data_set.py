"""Rows or lines of a data set: one file, or a folder as data sets are saved from a hub.

Shards of a split are named `train-00000-of-00002.parquet`, or lie as `train/0000.parquet`.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from pydantic import Field

from cluster.errors import UserError, unknown_name
from jobs.text.data_file import SUFFIXES, Row, read_lines, read_rows, without_suffix
from jobs.text.format import source_of
from jobs.text.held_out import HeldOutOptions

_SHARD = re.compile(r"-\d{5}-of-\d{5}$")


class RowFileOptions(HeldOutOptions):
    """Options of a format that reads a file of rows, or a folder of them."""

    split: str | None = Field(
        None, description="of a folder that holds several splits, the one to read"
    )


def read_all_rows(
    name: str,
    source: Path | None,
    options: RowFileOptions,
    needed: Sequence[str],
    lists: bool = False,
) -> list[Row]:
    """Read the rows of all files of a source, in the order of their names, numbered through.

    Args:
        name: of the format.
        source: a file, or a folder that is searched to its depth.
        options: may name the split.
        needed: columns that must exist.
        lists: whether their cells are lists instead of texts.

    Raises:
        UserError: as `read_rows`, and for a folder with no or several splits.
    """
    files = _files(name, source, options.split)
    rows = [row for file in files for row in read_rows(file, needed, lists=lists)]
    if len(files) == 1:
        return rows
    return [replace(row, number=number) for number, row in enumerate(rows, start=1)]


def numbered_lines(name: str, source: Path | None) -> list[tuple[int, str]]:
    """Read (row, line) of one file or of a folder's, by file name, numbered through.

    Raises:
        UserError: there is no file, or lines are not UTF-8; `name` is the format's.
    """
    if source is not None and source.is_dir():
        files = sorted(source.glob("*.txt"))
        if not files:
            raise UserError("no .txt file in it", where=str(source))
    else:
        files = [source_of(name, source)]
    return list(enumerate((line for file in files for line in read_lines(file)), start=1))


def _files(name: str, source: Path | None, split: str | None) -> list[Path]:
    if source is None or not source.is_dir():
        if split is not None:
            raise UserError(
                "option split: only a folder has splits",
                where=f"format {name}",
                hint="leave it out",
            )
        return [source_of(name, source)]
    by_split: dict[str, list[Path]] = {}
    for file in sorted(source.rglob("*")):
        if file.name.endswith(SUFFIXES) and file.is_file():
            by_split.setdefault(_split_of(file), []).append(file)
    if not by_split:
        raise UserError("no file of rows in it", where=str(source), allowed=SUFFIXES)
    if split is None and len(by_split) > 1:
        raise UserError(
            "it holds several splits", where=str(source), allowed=by_split, hint="give option split"
        )
    if split is not None and split not in by_split:
        raise unknown_name("split", split, by_split, where=str(source))
    return by_split[split or next(iter(by_split))]


def _split_of(file: Path) -> str:
    stem = without_suffix(file.name)
    return file.parent.name if stem.isdigit() else _SHARD.sub("", stem)

"""Reads a data file by its suffix, whatever it is packed with."""

from collections.abc import Callable, Collection
from pathlib import Path

from cluster.errors import UserError
from jobs.text.rows.arrow_rows import read_arrow, read_parquet
from jobs.text.rows.delimited_rows import read_delimited
from jobs.text.rows.file_bytes import PACKED_SUFFIXES
from jobs.text.rows.json_rows import read_json
from jobs.text.rows.table import Table

_READERS: dict[str, Callable[[Path, Callable[[str], bool]], Table]] = {
    ".jsonl": lambda path, wanted: read_json(path, wanted, in_lines=True),
    ".ndjson": lambda path, wanted: read_json(path, wanted, in_lines=True),
    ".json": lambda path, wanted: read_json(path, wanted, in_lines=False),
    ".parquet": read_parquet,
    ".arrow": read_arrow,
    ".feather": read_arrow,
    ".csv": lambda path, wanted: read_delimited(path, ",", wanted),
    ".tsv": lambda path, wanted: read_delimited(path, "\t", wanted),
}
SUFFIXES = tuple(_READERS)
"""Suffixes of data files; `.gz`, `.bz2`, `.xz` or `.zst` may stand behind them."""


def suffix_of(name: str) -> str:
    """Return the suffix of a data file, that of its packing included; empty for another file."""
    lower = name.lower()
    packed = next((end for end in PACKED_SUFFIXES if lower.endswith(end)), "")
    inner = lower.removesuffix(packed)
    suffix = next((known for known in SUFFIXES if inner.endswith(known)), "")
    return name[len(name) - len(suffix + packed) :] if suffix else ""


def read_table(path: Path, wanted: Collection[str]) -> Table:
    """Read the rows of a file, with the columns of these names as far as it has them.

    A name may be of a nested column (`prompt.text`).

    Raises:
        UserError: another suffix; not what its suffix says; not UTF-8.
    """
    reader = _READERS.get(_bare_suffix(path.name))
    if reader is None:
        raise UserError(
            f"the suffix of {path.name!r} is no known one",
            where=str(path),
            allowed=SUFFIXES,
            hint=f"each may be packed ({', '.join(PACKED_SUFFIXES)})",
        )
    outer = {name.partition(".")[0] for name in wanted} | set(wanted)
    return reader(path, outer.__contains__)


def _bare_suffix(name: str) -> str:
    suffix = suffix_of(name).lower()
    return next((known for known in SUFFIXES if suffix.startswith(known)), "")

"""What the name and place of a file say: the split and the subset of a data set that it is of.

Shards are called `train-00000-of-00002.parquet` (with or without a hash), `train/0000.parquet`,
`train/data-00000-of-00001.arrow`, `part-00003-….snappy.parquet`, `train_1.jsonl`.
"""

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath

from jobs.sources.placeholders import require_target
from jobs.sources.plain_files import inside_of
from jobs.text.data_file import suffix_of
from jobs.text.rows.fault import storable
from jobs.text.rows.file_bytes import PACKED_SUFFIXES

_OF = re.compile(r"[-_.]?(\d+)[-_]of[-_](\d+)(?:[-_.][0-9a-z]+)?$")
_SPARK = re.compile(r"^part-\d+(?:-[0-9a-f-]{36})?(?:[-_.][cr]\d+)*(?:\.(?:snappy|gz|zstd|lz4))?$")
_NUMBER = re.compile(r"(?:[-_.](part|shard|chunk)?|^(part|shard|chunk))[-_.]?(\d+)$")
_CACHED = re.compile(r"cache-[0-9a-f]{8,}(?:_\d+_of_\d+)?\.arrow")
"""What `map` and `filter` of datasets leave beside the data."""
_HASH = re.compile(r"^(?=.*\d)[0-9a-f-]{8,}$")
_GENERIC = frozenset({"", "data", "dataset", "part", "shard", "chunk", "file", "default"})
"""Names of files and folders that say nothing about what is inside."""
_SIDE_FILES = frozenset(
    {
        "dataset_infos",
        "dataset_info",
        "dataset_dict",
        "state",
        "config",
        "croissant",
        "metadata",
        "package",
    }
)
"""Names of JSON files that stand beside data."""
NAMELESS = "data"
"""What a split is called that nothing names, where another one has a name."""
ABOUT = frozenset({"README", "LICENSE", "LICENCE", "NOTICE", "CITATION", "REQUIREMENTS"})
"""Names of texts about a data set."""


@dataclass(frozen=True, kw_only=True)
class Shard:
    """A file of a data set."""

    path: Path
    """Where it lies."""
    stem: str
    """Its name without suffixes."""
    split: str
    """Split that it is a piece of; empty when nothing says it."""
    subset: str
    """Folder of its subset, inside the data set; empty for one that has no subsets."""
    numbered: tuple[int, int] | None = None
    """Number of the shard and number of shards, where its name says both."""


def shards_in(folder: Path) -> list[Shard]:
    """List the data files of a folder, to its depth, in the order of their names.

    Hidden files, and files that are there beside data, are left out.
    """
    inside = [path.relative_to(folder) for path in files_in(folder)]
    data = [path for path in inside if _is_data(path)]
    saved = {place: _saved_files(folder / place) for place in {path.parent for path in data}}
    data = [path for path in data if _is_of_save(path, saved[path.parent])]
    series = _series(data)
    return [_shard(folder, path, series) for path in data]


def _saved_files(folder: Path) -> frozenset[str]:
    """Return the Arrow files that `save_to_disk` lists; none where it did not write the folder."""
    try:
        listed = json.loads((folder / "state.json").read_bytes())["_data_files"]
        return frozenset(str(file["filename"]) for file in listed)
    except (OSError, ValueError, LookupError, TypeError, RecursionError):
        return frozenset()


def _is_of_save(path: Path, saved: frozenset[str]) -> bool:
    """Tell data, and shards of an earlier save, from what a library keeps beside them."""
    if _CACHED.fullmatch(path.name):
        return False
    is_listed = not saved or path.name in saved
    return is_listed or not path.name.endswith(".arrow") or bool(_OF.search(_stem(path)))


def files_in(folder: Path) -> list[Path]:
    """List all files of a folder, to its depth, by name.

    Raises UserError for a whole disk, and where data are a link to nothing.
    """
    entries = sorted(Path(path) for path in inside_of(str(folder)))
    for path in entries:
        if path.is_symlink() and is_data_file(path.relative_to(folder)):
            require_target(path, str(path.parent))
    return [path for path in entries if path.is_file()]


def is_data_file(inside: PurePath) -> bool:
    """Tell by its place in a data set whether a file holds rows, or lines of text."""
    name = inside.name
    bare = next((name.removesuffix(end) for end in PACKED_SUFFIXES if name.endswith(end)), name)
    is_text = bare.endswith(".txt") and bare.removesuffix(".txt").upper() not in ABOUT
    return _is_data(inside) or (is_text and not _is_hidden(inside))


def _is_hidden(inside: PurePath) -> bool:
    return any(part.startswith((".", "_")) for part in inside.parts)


def _is_data(inside: PurePath) -> bool:
    if _is_hidden(inside):
        return False
    suffix = suffix_of(inside.name)
    is_side_file = suffix == ".json" and inside.name.removesuffix(suffix) in _SIDE_FILES
    return bool(suffix) and not is_side_file


def _series(data: Sequence[Path]) -> set[tuple[Path, str]]:
    """Return folder and name of what is numbered from 0 or 1 on without a gap: shards of one set.

    `gpt-3` and `gpt-4` are two data sets, `train_0` and `train_1` are one.
    """
    numbers: dict[tuple[Path, str], list[int]] = {}
    for path in data:
        counted = _NUMBER.search(_stem(path))
        if counted:
            name = _stem(path)[: counted.start()]
            numbers.setdefault((path.parent, name), []).append(int(counted[3]))
    return {
        key
        for key, some in numbers.items()
        if sorted(some) in (list(range(len(some))), list(range(1, len(some) + 1)))
    }


def _stem(path: Path) -> str:
    return path.name.removesuffix(suffix_of(path.name))


def _shard(folder: Path, inside: Path, series: set[tuple[Path, str]]) -> Shard:
    """Tell split and subset of a file by its place inside the data set."""
    folders = [part for part in inside.parts[:-1] if part not in _GENERIC]
    stem = _stem(inside)
    of_many = _OF.search(stem)
    counted = _NUMBER.search(stem)
    if stem.isdigit() or _SPARK.match(stem) or _HASH.match(stem):
        name = ""
    elif of_many:
        name = stem[: of_many.start()]
    elif counted and (
        counted[1] or counted[2] or (inside.parent, stem[: counted.start()]) in series
    ):
        name = stem[: counted.start()]
    else:
        name = stem
    if name in _GENERIC:
        name = folders.pop() if folders else ""
    return Shard(
        path=folder / inside,
        stem=storable(stem),
        split=storable(name),
        subset=storable("/".join(folders)),
        numbered=(int(of_many[1]), int(of_many[2])) if of_many else None,
    )


def missing_shards(shards: Sequence[Shard]) -> list[str]:
    """Name what is not there of shards that are counted: `2 of 3 shards of train`."""
    by_set: dict[tuple[str, str, int], set[int]] = {}
    for shard in shards:
        if shard.numbered:
            number, count = shard.numbered
            by_set.setdefault((shard.subset, shard.split, count), set()).add(number)
    return [
        f"{count - len(numbers)} of {count} shards of "
        f"{'/'.join(filter(None, (subset, split))) or NAMELESS}"
        for (subset, split, count), numbers in by_set.items()
        if len(numbers) < count
    ]

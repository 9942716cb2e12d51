"""Which files of a source are read: one, or the shards of a split of a data set."""

import os
from collections.abc import Sequence
from pathlib import Path

from cluster.errors import UserError, unknown_name
from jobs.text.data_file import SUFFIXES, suffix_of
from jobs.text.format import source_of
from jobs.text.row_options import RowOptions
from jobs.text.shard_names import NAMELESS, Shard, missing_shards, shards_in


def files_of(name: str, source: Path | None, options: RowOptions) -> tuple[list[Path], list[str]]:
    """Return the files to read, in their order, and what a reader should know of them.

    Raises:
        UserError: there are none; several splits, or one split in several forms, and no option
            that chooses; `name` is the format's.
    """
    if source is None or not os.path.isdir(source):
        for option in ("split", "subset"):
            if getattr(options, option) is not None:
                raise UserError(
                    f"option {option}: only a folder has {option}s",
                    where=f"format {name}",
                    hint="leave it out",
                )
        return [source_of(name, source)], []
    source = _snapshot_of(source)
    shards = shards_in(source)
    if not shards:
        raise UserError("no file of rows in it", where=str(source), allowed=SUFFIXES)
    shards = _of_split(source, _of_subset(source, shards, options.subset), options.split)
    _require_one_form(source, shards)
    _require_one_save(shards)
    subsets = list(dict.fromkeys(shard.subset for shard in shards))
    notes = [f"{missing} are not there" for missing in missing_shards(shards)]
    if len(subsets) > 1:
        names = ", ".join(subset or "(none)" for subset in subsets)
        notes.append(f"{len(subsets)} subsets are read together ({names}); option subset reads one")
    return [shard.path for shard in shards], notes


def _snapshot_of(source: Path) -> Path:
    """Return the snapshot in a folder of the hub's cache that a branch stands for; else the folder.

    Raises:
        UserError: there are several, and no branch `main` says which.
    """
    snapshots = source / "snapshots"
    if not (snapshots.is_dir() and (source / "refs").is_dir()):
        return source
    main = source / "refs" / "main"
    names = sorted(path.name for path in snapshots.iterdir())
    commit = main.read_text("utf-8", errors="replace").strip() if main.is_file() else ""
    if commit not in names and len(names) != 1:
        raise UserError(
            "it holds several snapshots of a data set", where=str(snapshots), allowed=names
        )
    return snapshots / (commit if commit in names else names[0])


def _of_subset(source: Path, shards: list[Shard], subset: str | None) -> list[Shard]:
    subsets = {shard.subset for shard in shards}
    if subset is None:
        return shards
    if subset not in subsets:
        raise unknown_name("subset", subset, filter(None, subsets), where=str(source))
    return [shard for shard in shards if shard.subset == subset]


def _of_split(source: Path, shards: list[Shard], split: str | None) -> list[Shard]:
    splits = {shard.split or NAMELESS for shard in shards}
    if len(splits) == 1 and (split is None or splits == {NAMELESS}):
        return shards
    if split is None:
        subsets = sorted({shard.subset for shard in shards if shard.subset})
        of_subset = f", and option subset ({', '.join(subsets)}) for one alone" if subsets else ""
        raise UserError(
            "it holds several splits",
            where=str(source),
            allowed=splits,
            hint=f"give option split{of_subset}",
        )
    chosen = [shard for shard in shards if split in (shard.split or NAMELESS, shard.stem)]
    if not chosen:
        raise unknown_name("split", split, splits, where=str(source))
    return chosen


def _require_one_form(source: Path, shards: Sequence[Shard]) -> None:
    """Raise UserError for a split that lies there twice, as csv and as parquet for example."""
    forms: dict[tuple[str, str], set[str]] = {}
    for shard in shards:
        forms.setdefault((shard.subset, shard.split), set()).add(suffix_of(shard.path.name))
    for (subset, split), suffixes in forms.items():
        if len(suffixes) > 1:
            which = "/".join(filter(None, (subset, split))) or "its rows"
            raise UserError(
                f"it holds {which} in several forms",
                where=str(source),
                allowed=suffixes,
                hint="name one file as source, or move the others away",
            )


def _require_one_save(shards: Sequence[Shard]) -> None:
    """Raise UserError for a split that was saved twice, into another number of shards."""
    counts: dict[tuple[Path, str], set[int]] = {}
    for shard in shards:
        if shard.numbered:
            counts.setdefault((shard.path.parent, shard.split), set()).add(shard.numbered[1])
    for (folder, split), some in counts.items():
        if len(some) > 1:
            saves = " and of ".join(f"{count} shards" for count in sorted(some))
            raise UserError(
                f"it holds {split or NAMELESS} of {saves}",
                where=str(folder),
                hint="shards of an earlier save lie beside those of a later one: move them away",
            )

"""Writes the files of a job whose result is pairs: `pairs.parquet` and `report.json`."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from jobs.text.format import Dropped, Pair, group_of
from jobs.text.pair_selection import length_report
from jobs.text.reading_report import write_report
from jobs.text.split import Split

PAIRS = "pairs.parquet"


def write_pairs(
    folder: Path,
    pairs: Sequence[Pair],
    splits: Sequence[Split],
    dropped: Sequence[Dropped],
    more: Mapping[str, object],
) -> dict[str, object]:
    """Write both files; return the counts, `more` included, for the record's facts.

    Args:
        folder: folder to write into.
        pairs: at least one, in their order.
        splits: the split of each pair.
        dropped: rows of the source that gave no pair.
        more: further entries of the report.
    """
    _write_table(folder / PAIRS, pairs, splits)
    counts = Counter(splits)
    facts = {
        "num_pairs": len(pairs),
        "num_validation": counts[Split.VALIDATION],
        "num_test": counts[Split.TEST],
        "num_dropped": len(dropped),
        **more,
        "lengths": length_report(pairs),
    }
    write_report(folder, sorted(dropped, key=lambda row: row.row), facts)
    return facts


def _write_table(path: Path, pairs: Sequence[Pair], splits: Sequence[Split]) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    turn_type = pa.struct({"role": pa.string(), "text": pa.string()})
    columns = {
        "pair": pa.array(range(len(pairs)), pa.int64()),
        "prompt": pa.array([pair.prompt for pair in pairs], pa.string()),
        "chosen": pa.array([pair.chosen for pair in pairs], pa.string()),
        "rejected": pa.array([pair.rejected for pair in pairs], pa.string()),
        "turns": pa.array(
            [[asdict(turn) for turn in pair.turns] for pair in pairs], pa.list_(turn_type)
        ),
        "split": pa.array([split.value for split in splits], pa.string()),
        "group": pa.array([group_of(pair.prompt) for pair in pairs], pa.int64()),
    }
    parquet.write_table(pa.table(columns), path)

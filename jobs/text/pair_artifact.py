"""Writes the files of a job whose result is pairs: `pairs.parquet` and `report.json`."""

import random
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jobs.text.buckets import group_of
from jobs.text.reading import Dropped, Pair, Segment
from jobs.text.reading_report import write_report
from jobs.text.split import Split

PAIRS = "pairs.parquet"
_TURN = ("role", "before", "text", "after")
"""Of a turn of a prompt: its speaker, and its words between marks."""
_NO_TURN = ("role", "text")
"""The same where no prompt has turns, as older versions wrote it: a key stands for its bytes."""


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

    parts = _TURN if any(pair.turns for pair in pairs) else _NO_TURN
    turn_type = pa.struct({name: pa.string() for name in parts})
    columns = {
        "pair": pa.array(range(len(pairs)), pa.int64()),
        "prompt": pa.array([pair.prompt for pair in pairs], pa.string()),
        "chosen": pa.array([pair.chosen for pair in pairs], pa.string()),
        "rejected": pa.array([pair.rejected for pair in pairs], pa.string()),
        "turns": pa.array(
            [
                [dict(zip(_TURN, (turn.role, *turn.parts), strict=True)) for turn in pair.turns]
                for pair in pairs
            ],
            pa.list_(turn_type),
        ),
        "split": pa.array([split.value for split in splits], pa.string()),
        "group": pa.array([group_of(pair.prompt) for pair in pairs], pa.int64()),
    }
    parquet.write_table(pa.table(columns), path)


def turns_in(row: Mapping[str, Any]) -> tuple[Segment, ...]:
    """Return the prompt of a row of the file by speaker; nothing where the source names none."""
    turns = []
    for turn in row["turns"] or ():
        before, words, after = (turn[name] for name in _TURN[1:])
        payload = (len(before), len(before) + len(words))
        turns.append(Segment(role=turn["role"], text=before + words + after, payload=payload))
    return tuple(turns)


def without_duplicates(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Dropped]]:
    """Drop pairs with two equal sides, and repetitions of an earlier pair."""
    kept, dropped, first_rows = [], [], {}
    for pair in pairs:
        content = (pair.prompt, pair.chosen, pair.rejected)
        if pair.chosen == pair.rejected:
            reason = "chosen and rejected are equal"
            dropped.append(Dropped(row=pair.row, reason=reason, useless=True))
        elif content in first_rows:
            dropped.append(Dropped(row=pair.row, reason="stands there twice", useless=True))
        else:
            first_rows[content] = pair.row
            kept.append(pair)
    return kept, dropped


def at_most(pairs: Sequence[Pair], most: int | None, seed: int) -> list[Pair]:
    """Draw a seeded sample in the source's order; all pairs when there are no more than `most`."""
    if most is None or len(pairs) <= most:
        return list(pairs)
    places = random.Random(f"pairs/{seed}").sample(range(len(pairs)), most)
    return [pairs[place] for place in sorted(places)]


def length_report(pairs: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """Compare the lengths of both sides: DPO sums log-probabilities, so they may confound."""
    return {
        "words": _compare_lengths(pairs, lambda text: len(text.split())),
        "characters": _compare_lengths(pairs, len),
    }


def _compare_lengths(pairs: Sequence[Pair], length: Callable[[str], int]) -> dict[str, float]:
    chosen = [length(pair.chosen) for pair in pairs]
    rejected = [length(pair.rejected) for pair in pairs]
    longer = [a > b for a, b in zip(chosen, rejected, strict=True)]
    return {
        "chosen_mean": round(statistics.mean(chosen), 4),
        "rejected_mean": round(statistics.mean(rejected), 4),
        "chosen_median": statistics.median(chosen),
        "rejected_median": statistics.median(rejected),
        "chosen_over_rejected": round(sum(chosen) / max(1, sum(rejected)), 4),
        "share_chosen_longer": round(statistics.mean(longer), 4),
    }

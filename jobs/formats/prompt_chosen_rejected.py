"""Preference pairs as TRL writes them: columns prompt, chosen, rejected of plain text.

A jsonl, parquet, csv or tsv file. Continuations join their prompt as they are, so a separator is
part of one of them.
"""

from pathlib import Path

from jobs import format
from jobs.data.held_out import Options, pairs_to_train_on, prompts_to_measure
from jobs.data.rows import read_rows
from jobs.format import Pair, Prompt, Reading

_COLUMNS = ("prompt", "chosen", "rejected")


def read_pairs(source: Path | None, options: Options) -> Reading[Pair]:
    """Every row whose prompt is not held out."""
    return pairs_to_train_on(_pairs(source), options.held_out)


def read_prompts(source: Path | None, options: Options) -> Reading[Prompt]:
    """Held-out prompts (all, where none is held out) with their chosen continuation."""
    return prompts_to_measure(_pairs(source), options.held_out)


def _pairs(source: Path | None) -> list[Pair]:
    path = format.source_of("prompt-chosen-rejected", source)
    return [
        Pair(row=row.number, **{name: row.cells[name] for name in _COLUMNS})
        for row in read_rows(path, _COLUMNS)
    ]

"""Preference pairs as TRL writes them: columns prompt, chosen, rejected of plain text.

A jsonl, parquet, csv or tsv file, or a folder of them. Continuations join their prompt as they
are, so a separator is part of one of them.
"""

from pathlib import Path

from analysis.long_table.circumstances import Origin
from jobs.text.data_set import RowFileOptions, read_all_rows
from jobs.text.format import Format, Pair, Prompt, Reading
from jobs.text.held_out import pairs_to_train_on, prompts_to_measure

_COLUMNS = ("prompt", "chosen", "rejected")


class PromptChosenRejected(Format[RowFileOptions]):
    """Pairs of plain text of a source outside."""

    ORIGIN = Origin.COLLECTED
    Options = RowFileOptions

    def read_pairs(self, source: Path | None, options: RowFileOptions) -> Reading[Pair]:
        """Read every row whose prompt is not held out."""
        return pairs_to_train_on(_pairs(source, options), options.held_out)

    def read_prompts(self, source: Path | None, options: RowFileOptions) -> Reading[Prompt]:
        """Read held-out prompts (all, where none is held out) with their chosen continuation."""
        return prompts_to_measure(_pairs(source, options), options.held_out)


def _pairs(source: Path | None, options: RowFileOptions) -> list[Pair]:
    return [
        Pair(row=row.number, **{name: row.cells[name] for name in _COLUMNS})
        for row in read_all_rows("prompt-chosen-rejected", source, options, _COLUMNS)
    ]

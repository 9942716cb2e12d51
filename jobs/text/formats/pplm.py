"""The pairs of Lee et al. 2024: a folder of jsonl files made by GPT-2 and by PPLM.

`prompt_text`, `unpert_gen_text` (chosen) and `pert_gen_text` (rejected); other fields are ignored.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path

from analysis.long_table.circumstances import Origin
from cluster.errors import UserError
from jobs.text.data_set import SourceRows, read_files
from jobs.text.example_texts import openings_with_ends
from jobs.text.format import Format, source_of
from jobs.text.held_out import HeldOutOptions, pairs_to_train_on, prompts_to_measure
from jobs.text.reading import Dropped, Pair, Prompt, Reading
from jobs.text.rows.cell import text_cell
from jobs.text.rows.table import Row

_COLUMNS = ("prompt_text", "unpert_gen_text", "pert_gen_text")


class Pplm(Format[HeldOutOptions]):
    """A model's continuations against steered ones."""

    ORIGIN = Origin.STEERED
    Options = HeldOutOptions

    def example_rows(self, options: HeldOutOptions) -> Sequence[Mapping[str, object]]:
        """Return openings with both continuations."""
        return [dict(zip(_COLUMNS, row, strict=True)) for row in openings_with_ends()]

    def read_pairs(self, source: Path | None, options: HeldOutOptions) -> Reading[Pair]:
        """Read every row whose prompt is not held out."""
        rows, pairs, broken = _pairs(source)
        return rows.reading(pairs_to_train_on(pairs, options.held_out), broken)

    def read_prompts(self, source: Path | None, options: HeldOutOptions) -> Reading[Prompt]:
        """Read held-out prompts (all, where none is held out) with GPT-2's own continuation."""
        rows, pairs, broken = _pairs(source)
        return rows.reading(prompts_to_measure(pairs, options.held_out), broken)


def _pairs(source: Path | None) -> tuple[SourceRows, list[Pair], list[Dropped]]:
    """Read the rows of all files in the order of their names, numbered through."""
    folder = source_of("pplm", source, folder=True)
    files = sorted(path for path in folder.glob("[!.]*.jsonl") if path.is_file())
    if not files:
        raise UserError("no .jsonl file in it", where=str(folder))
    rows = read_files(files, _COLUMNS)
    pairs, broken = rows.make(_pair)
    return rows, pairs, broken


def _pair(row: Row) -> Pair:
    prompt, chosen, rejected = (text_cell(row, name) for name in _COLUMNS)
    return Pair(row=row.number, prompt=prompt, chosen=chosen, rejected=rejected)

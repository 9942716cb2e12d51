"""The pairs of Lee et al. 2024: a folder of jsonl files made by GPT-2 and by PPLM.

`prompt_text`, `unpert_gen_text` (chosen) and `pert_gen_text` (rejected); other fields are ignored.
"""

from pathlib import Path

from analysis.long_table.circumstances import Origin
from cluster.errors import UserError
from jobs.text.data_file import read_rows
from jobs.text.format import Format, Pair, Prompt, Reading, source_of
from jobs.text.held_out import HeldOutOptions, pairs_to_train_on, prompts_to_measure

_COLUMNS = ("prompt_text", "unpert_gen_text", "pert_gen_text")


class Pplm(Format[HeldOutOptions]):
    """A model's continuations against steered ones."""

    ORIGIN = Origin.STEERED
    Options = HeldOutOptions

    def read_pairs(self, source: Path | None, options: HeldOutOptions) -> Reading[Pair]:
        """Read every row whose prompt is not held out."""
        return pairs_to_train_on(_pairs(source), options.held_out)

    def read_prompts(self, source: Path | None, options: HeldOutOptions) -> Reading[Prompt]:
        """Read held-out prompts (all, where none is held out) with GPT-2's own continuation."""
        return prompts_to_measure(_pairs(source), options.held_out)


def _pairs(source: Path | None) -> list[Pair]:
    """Read the rows of all files in the order of their names, numbered through."""
    folder = source_of("pplm", source, folder=True)
    files = sorted(folder.glob("*.jsonl"))
    if not files:
        raise UserError("no .jsonl file in it", where=str(folder))
    rows = [row.cells for file in files for row in read_rows(file, _COLUMNS)]
    return [
        Pair(
            row=number,
            prompt=cells["prompt_text"],
            chosen=cells["unpert_gen_text"],
            rejected=cells["pert_gen_text"],
        )
        for number, cells in enumerate(rows, start=1)
    ]

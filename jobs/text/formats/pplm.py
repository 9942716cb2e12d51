"""The pairs of Lee et al. 2024: a folder of jsonl files made by GPT-2 and by PPLM.

`prompt_text`, `unpert_gen_text` (chosen) and `pert_gen_text` (rejected); other fields are ignored.
"""

from pathlib import Path

from cluster.errors import UserError
from jobs.text import format
from jobs.text.format import Pair, Prompt, Reading
from jobs.text.held_out import Options, pairs_to_train_on, prompts_to_measure
from jobs.text.rows import read_rows

_COLUMNS = ("prompt_text", "unpert_gen_text", "pert_gen_text")


def read_pairs(source: Path | None, options: Options) -> Reading[Pair]:
    """Every row whose prompt is not held out."""
    return pairs_to_train_on(_pairs(source), options.held_out)


def read_prompts(source: Path | None, options: Options) -> Reading[Prompt]:
    """Held-out prompts (all, where none is held out) with GPT-2's own continuation."""
    return prompts_to_measure(_pairs(source), options.held_out)


def _pairs(source: Path | None) -> list[Pair]:
    """Rows of all files in the order of their names, numbered through."""
    folder = format.source_of("pplm", source, folder=True)
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

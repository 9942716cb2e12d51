"""The texts of a `labelled-texts` artifact, written and read."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet

from cluster.errors import UserError
from jobs.text.buckets import bucket, group_of
from jobs.text.reading import Dropped, Labelled

LABELLED = "labelled_texts.parquet"
"""Columns row, text, toxic, group."""


def usable_texts(
    texts: Sequence[Labelled], most: int | None, seed: int
) -> tuple[list[Labelled], list[Dropped]]:
    """Return the texts that stand there once, at most `most` of them; and the others.

    Raises:
        UserError: a label is missing among them.
    """
    first: dict[str, Labelled] = {}
    dropped = []
    for text in texts:
        if text.text in first:
            dropped.append(Dropped(row=text.row, reason="its text stands there twice"))
        first.setdefault(text.text, text)
    order = sorted(first.values(), key=lambda text: bucket(f"{seed}/{text.text}", 1 << 64))
    chosen = sorted(order[:most], key=lambda text: text.row)
    labels = {text.toxic for text in chosen}
    for toxic, name in ((True, "toxic"), (False, "neutral")):
        if toxic not in labels:
            raise UserError(
                f"no {name} text is among the {len(chosen)}", where="max_texts", hint="take more"
            )
    return chosen, dropped


def write_labelled(folder: Path, texts: Sequence[Labelled]) -> None:
    """Write the texts; a text's group is that of a prompt with its words."""
    columns = {
        "row": [text.row for text in texts],
        "text": [text.text for text in texts],
        "toxic": [text.toxic for text in texts],
        "group": [group_of(text.text) for text in texts],
    }
    parquet.write_table(pa.table(columns), folder / LABELLED)


def read_labelled(path: Path) -> list[dict[str, object]]:
    """Read the rows of a labelled-texts file."""
    rows: list[dict[str, object]] = parquet.read_table(path).to_pylist()
    return rows

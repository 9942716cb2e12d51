"""Writes dialogues of three turns for `smollm2.yaml`: held-out ParaDetox openings, and rewrites.

`python -m studies.smollm2_dialogues PARADETOX.tsv OUT.jsonl`. In each turn the user opens a
sentence and the assistant ends it as its neutral rewrite does; no dialogue holds what a training
saw. The `rejected` side, which nothing measures, parts from the other in the last answer alone.
"""

import json
import sys
from pathlib import Path
from typing import Any

from jobs.text.formats.paradetox import Paradetox, ParadetoxOptions
from jobs.text.reading import Prompt

TURNS = 3


def dialogues(source: Path) -> list[dict[str, Any]]:
    """Return rows of format `messages`. Raises UserError for a source that is not ParaDetox."""
    prompts = Paradetox().read_prompts(source, ParadetoxOptions()).items
    opened = list({prompt.source: prompt for prompt in prompts}.values())
    return [_row(opened[at : at + TURNS]) for at in range(0, len(opened) - TURNS, TURNS)]


def _row(prompts: list[Prompt]) -> dict[str, Any]:
    turns = [
        {"role": role, "content": segment.text.strip()}
        for prompt in prompts
        for role, segment in zip(("user", "assistant"), prompt.segments, strict=True)
    ]
    other = {"role": "assistant", "content": turns[1]["content"] + " …"}
    return {"chosen": turns, "rejected": [*turns[:-1], other]}


def main(source: str, target: str) -> None:
    """Write the dialogues of a source to a file."""
    lines = [json.dumps(row, ensure_ascii=False) for row in dialogues(Path(source))]
    Path(target).write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Writes the files of a job whose result is prompts: `prompts.jsonl` and `shuffled.jsonl`."""

import json
from collections.abc import Sequence
from pathlib import Path

from jobs.text.buckets import bucket
from jobs.text.prompt_lines import PROMPTS, SHUFFLED, PromptLine, prompt_line
from jobs.text.reading import Prompt
from jobs.text.transform import load_transform


def write_prompts(folder: Path, prompts: Sequence[Prompt], transform: str, seed: int) -> None:
    """Write prompts, and beside them the same with their words out of order."""
    for name, shuffled in ((PROMPTS, False), (SHUFFLED, True)):
        lines = lines_of(prompts, transform, seed, shuffled=shuffled)
        written = "".join(json.dumps(line, ensure_ascii=False) + "\n" for line in lines)
        (folder / name).write_text(written, "utf-8")


def lines_of(
    prompts: Sequence[Prompt], transform: str, seed: int, *, shuffled: bool = False
) -> list[PromptLine]:
    """Return prompts in a transform, numbered through."""
    chain = load_transform(transform)
    return [
        prompt_line(number, prompt, chain, seed, shuffled=shuffled)
        for number, prompt in enumerate(prompts)
    ]


def sampled_prompts(prompts: Sequence[Prompt], most: int | None, seed: int) -> list[Prompt]:
    """By hash, so that a larger sample holds the smaller one; in the source's order."""
    ranked = sorted(prompts, key=lambda prompt: bucket(f"{seed}/{prompt.source}", 1 << 64))
    taken = {prompt.source for prompt in ranked[:most]}
    return [prompt for prompt in prompts if prompt.source in taken]

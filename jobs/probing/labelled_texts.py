"""Labelled texts: sides of preference pairs (rejected ones are toxic), or texts people labelled."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow.parquet as parquet

from cluster.errors import UserError
from jobs.text.buckets import bucket

_STEPS = 10_000
"""Resolution of the share of prompts that are held out."""


@dataclass(frozen=True, kw_only=True)
class LabelledText:
    """One side of a pair, or a text that people labelled."""

    prompt: str
    """The prompt that the text continues; empty for a text by itself."""
    text: str
    """The text."""
    toxic: bool
    """True for a rejected side."""
    group: int
    """Group of the prompt."""
    held_out: bool
    """True when the probe is evaluated on this text, and on all others of its prompt."""


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """All usable texts of an artifact of pairs."""

    texts: Sequence[LabelledText]
    """Texts in the order of the pairs."""
    dropped: Mapping[str, int]
    """Reason -> number of sides left out."""


def read_labelled_texts(path: Path, *, held_out: float, most: int | None, seed: int) -> Labelling:
    """Read every side of the pairs once.

    Args:
        path: `pairs.parquet`.
        held_out: share of prompts that the probe is evaluated on.
        most: most texts, those of the prompts with the smallest seeded hashes; None for all.
        seed: decides the sample and the split, both by prompt.

    Raises:
        UserError: a class is missing among the texts to fit, or among those held out.
    """
    rows = parquet.read_table(path).to_pylist()
    sides: dict[tuple[str, str], set[bool]] = {}
    groups = {row["prompt"]: int(row["group"]) for row in rows}
    num_sides = 2 * len(rows)
    for row in rows:
        for name, toxic in (("rejected", True), ("chosen", False)):
            sides.setdefault((row["prompt"], row[name]), set()).add(toxic)
    usable = {key: labels for key, labels in sides.items() if key[1].strip() and len(labels) == 1}
    texts = [
        LabelledText(
            prompt=prompt,
            text=text,
            toxic=labels == {True},
            group=groups[prompt],
            held_out=_is_held_out(prompt, held_out, seed),
        )
        for (prompt, text), labels in usable.items()
    ]
    chosen = _sample(texts, most, seed)
    _require_both_classes(
        chosen,
        path,
        f"{len(chosen)} texts of {len({text.prompt for text in chosen})} prompts",
        "all texts of a prompt go to one side of the split: give pairs of more prompts",
    )
    dropped = {
        "stands there twice": num_sides - len(sides),
        "empty, or on both sides of a prompt": len(sides) - len(usable),
        "not sampled": len(texts) - len(chosen),
    }
    return Labelling(texts=chosen, dropped={why: n for why, n in dropped.items() if n})


def read_judged_texts(path: Path, *, held_out: float, most: int | None, seed: int) -> Labelling:
    """Read texts that people labelled; a text is what a prompt is in `read_labelled_texts`.

    Args:
        path: `labelled_texts.parquet`.
        held_out: share of texts that the probe is evaluated on.
        most: most texts, those with the smallest seeded hashes; None for all.
        seed: decides the sample and the split.

    Raises:
        UserError: a class is missing among the texts to fit, or among those held out.
    """
    rows = parquet.read_table(path).to_pylist()
    order = sorted(rows, key=lambda row: bucket(f"probe sample/{seed}/{row['text']}", 1 << 64))
    taken = {row["text"] for row in order[:most]}
    texts = [
        LabelledText(
            prompt="",
            text=row["text"],
            toxic=row["toxic"],
            group=int(row["group"]),
            held_out=_is_held_out(row["text"], held_out, seed),
        )
        for row in rows
        if row["text"] in taken
    ]
    _require_both_classes(texts, path, f"{len(texts)} texts", "give more texts")
    left = len(rows) - len(texts)
    return Labelling(texts=texts, dropped={"not sampled": left} if left else {})


def _is_held_out(source: str, share: float, seed: int) -> bool:
    return bucket(f"probe/{seed}/{source}", _STEPS) < round(share * _STEPS)


def _sample(texts: Sequence[LabelledText], most: int | None, seed: int) -> list[LabelledText]:
    order = sorted(
        range(len(texts)),
        key=lambda index: bucket(f"probe sample/{seed}/{texts[index].prompt}", 1 << 64),
    )
    return [texts[index] for index in sorted(order[:most])]


def _require_both_classes(
    texts: Sequence[LabelledText], path: Path, number: str, hint: str
) -> None:
    counts = Counter((text.held_out, text.toxic) for text in texts)
    for held_out, part in ((False, "to fit the probe to"), (True, "held out to evaluate it on")):
        for toxic, side in ((True, "toxic"), (False, "neutral")):
            if not counts[held_out, toxic]:
                raise UserError(
                    f"no {side} text is {part}: {number}",
                    where=str(path),
                    hint=f"{hint}, or another held_out or seed",
                )

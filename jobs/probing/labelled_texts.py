"""Labelled text out of preference pairs: the rejected side is toxic, the chosen side neutral."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cluster.errors import UserError
from jobs.text.format import bucket

_STEPS = 10_000


@dataclass(frozen=True, kw_only=True)
class LabelledText:
    """One side of a pair."""

    prompt: str
    """What it continues."""
    text: str
    """The continuation."""
    toxic: bool
    """It is a rejected side."""
    group: int
    """Group of its prompt."""
    held_out: bool
    """The probe is judged on it, and on all others of its prompt, and not fitted to them."""


@dataclass(frozen=True, kw_only=True)
class Labelling:
    """All texts of an artifact of pairs that can be used."""

    texts: Sequence[LabelledText]
    """In the order of the pairs."""
    dropped: Mapping[str, int]
    """Reason -> number of sides left out."""


def read_labelled_texts(path: Path, *, held_out: float, most: int | None, seed: int) -> Labelling:
    """Every side once. Raises UserError when one class is missing on either side of the split.

    Args:
        path: `pairs.parquet`.
        held_out: share of prompts that the probe is judged on.
        most: most texts, those of the prompts with the smallest seeded hashes; None for all.
        seed: decides the sample and the split, both by prompt.
    """
    import pyarrow.parquet as parquet

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
            held_out=bucket(f"probe/{seed}/{prompt}", _STEPS) < round(held_out * _STEPS),
        )
        for (prompt, text), labels in usable.items()
    ]
    chosen = _sampled(texts, most, seed)
    _require_both(chosen, path)
    dropped = {
        "stands there twice": num_sides - len(sides),
        "empty, or on both sides of a prompt": len(sides) - len(usable),
        "not sampled": len(texts) - len(chosen),
    }
    return Labelling(texts=chosen, dropped={why: n for why, n in dropped.items() if n})


def prompt_lines(texts: Sequence[LabelledText]) -> list[dict[str, Any]]:
    """The texts as prompts of a token plan, numbered from 0."""
    return [
        {
            "prompt": number,
            "group": each.group,
            "segments": [
                {"role": "prompt", "text": each.prompt},
                {"role": "response", "text": each.text},
            ],
        }
        for number, each in enumerate(texts)
    ]


def _sampled(texts: Sequence[LabelledText], most: int | None, seed: int) -> list[LabelledText]:
    order = sorted(
        range(len(texts)),
        key=lambda place: bucket(f"probe sample/{seed}/{texts[place].prompt}", 1 << 64),
    )
    return [texts[place] for place in sorted(order[:most])]


def _require_both(texts: Sequence[LabelledText], path: Path) -> None:
    """Both classes must be there to fit and to judge by."""
    found = Counter((text.held_out, text.toxic) for text in texts)
    for held_out, part in ((False, "to fit the probe to"), (True, "held out to judge it by")):
        for toxic, side in ((True, "toxic"), (False, "neutral")):
            if not found[held_out, toxic]:
                raise UserError(
                    f"no {side} text is {part}: {len(texts)} texts of "
                    f"{len({text.prompt for text in texts})} prompts",
                    where=str(path),
                    hint="prompts are divided as a whole: give pairs of more prompts, or another "
                    "held_out or seed",
                )

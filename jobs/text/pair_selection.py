"""From the pairs of a source to those of an artifact: usable, each once, sampled; their lengths."""

import random
import statistics
from collections.abc import Callable, Sequence
from typing import Any

from jobs.text.format import Dropped, Pair


def without_useless(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Dropped]]:
    """Pairs that prefer something and stand there for the first time, and the others."""
    kept, dropped, first_rows = [], [], {}
    for pair in pairs:
        content = (pair.prompt, pair.chosen, pair.rejected)
        if pair.chosen == pair.rejected:
            dropped.append(Dropped(row=pair.row, reason="chosen and rejected are equal"))
        elif content in first_rows:
            dropped.append(Dropped(row=pair.row, reason="stands there twice"))
        else:
            first_rows[content] = pair.row
            kept.append(pair)
    return kept, dropped


def at_most(pairs: Sequence[Pair], most: int | None, seed: int) -> list[Pair]:
    """A seeded sample in the source's order, or all when there are no more than that."""
    if most is None or len(pairs) <= most:
        return list(pairs)
    places = random.Random(f"pairs/{seed}").sample(range(len(pairs)), most)
    return [pairs[place] for place in sorted(places)]


def length_report(pairs: Sequence[Pair]) -> dict[str, Any]:
    """How long both sides are; DPO sums log-probabilities, so a difference is a confound."""
    return {
        "words": _compared(pairs, lambda text: len(text.split())),
        "characters": _compared(pairs, len),
    }


def _compared(pairs: Sequence[Pair], length: Callable[[str], int]) -> dict[str, float]:
    chosen = [length(pair.chosen) for pair in pairs]
    rejected = [length(pair.rejected) for pair in pairs]
    longer = [a > b for a, b in zip(chosen, rejected, strict=True)]
    return {
        "chosen_mean": round(statistics.mean(chosen), 4),
        "rejected_mean": round(statistics.mean(rejected), 4),
        "chosen_median": statistics.median(chosen),
        "rejected_median": statistics.median(rejected),
        "chosen_over_rejected": round(sum(chosen) / max(1, sum(rejected)), 4),
        "share_chosen_longer": round(statistics.mean(longer), 4),
    }

"""Selects pairs: usable, without duplicates, sampled; and compares the lengths of both sides."""

import random
import statistics
from collections.abc import Callable, Sequence

from jobs.text.format import Dropped, Pair


def without_duplicates(pairs: Sequence[Pair]) -> tuple[list[Pair], list[Dropped]]:
    """Drop pairs with two equal sides, and repetitions of an earlier pair."""
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
    """Draw a seeded sample in the source's order; all pairs when there are no more than `most`."""
    if most is None or len(pairs) <= most:
        return list(pairs)
    places = random.Random(f"pairs/{seed}").sample(range(len(pairs)), most)
    return [pairs[place] for place in sorted(places)]


def length_report(pairs: Sequence[Pair]) -> dict[str, dict[str, float]]:
    """Compare the lengths of both sides: DPO sums log-probabilities, so they may confound."""
    return {
        "words": _compare_lengths(pairs, lambda text: len(text.split())),
        "characters": _compare_lengths(pairs, len),
    }


def _compare_lengths(pairs: Sequence[Pair], length: Callable[[str], int]) -> dict[str, float]:
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

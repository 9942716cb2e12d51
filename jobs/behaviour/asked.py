"""What params ask of a behaviour, as far as a plan must know: whether words matter."""

from collections.abc import Collection, Mapping
from typing import Any

from jobs.scorer import chosen_scorer

JUDGED = frozenset({"toxic_rate", "toxic_score"})
"""Metrics that the scorer decides."""


def counts_words(metrics: Collection[str], scorer: str | Mapping[str, Any]) -> bool:
    """True when one of the metrics needs to know which words are toxic."""
    judged_by_words = chosen_scorer(scorer).uses_words
    return "toxic_mass" in metrics or (judged_by_words and not JUDGED.isdisjoint(metrics))

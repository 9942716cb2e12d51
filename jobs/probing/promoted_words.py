"""What toxic directions say: their cosine with the probe, and how many toxic words they promote.

A count in place of Lee et al. 2024's table of tokens (table 1): the tokens themselves, which are
offensive, stay in `toxic_directions.json`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedTokenizerBase

from analysis.measurement import Measurement

AXIS = "vector"
"""The axis that the job sweeps itself: W_toxic, svd-0, ..., v19.770 (layer 19, neuron 770)."""
_COSINE = "v1: cosine with W_toxic"
_PROMOTED = (
    "v1: of the {number} tokens with the largest E v, how many are a whole toxic word, in lower "
    "case and without spaces around it"
)


@dataclass(frozen=True, kw_only=True)
class Named:
    """A direction of the residual stream with a name."""

    name: str
    """Value of the axis."""
    cosine: float
    """Its cosine with W_toxic."""
    tokens: Sequence[str]
    """Tokens that it promotes most, as the vocabulary writes them."""


def measure_promoted(
    directions: Iterable[Named], tokenizer: PreTrainedTokenizerBase, toxic_words: Collection[str]
) -> Iterator[Measurement]:
    """Yield cosine and count of every direction; no count where no toxic words are known."""
    words = {word.lower() for word in toxic_words}
    for direction in directions:
        cosine = Measurement(
            metric="toxic_cosine",
            definition=_COSINE,
            value=direction.cosine,
            axes={AXIS: direction.name},
            position="mean",
        )
        yield cosine
        if words:
            texts = [tokenizer.convert_tokens_to_string([token]) for token in direction.tokens]
            count = sum(text.strip().lower() in words for text in texts)
            yield replace(
                cosine,
                metric="promoted_toxic_words",
                definition=_PROMOTED.format(number=len(texts)),
                value=float(count),
            )

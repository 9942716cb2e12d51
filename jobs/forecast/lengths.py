"""`Lengths`: how many texts a job will read and how long they are, as far as a plan can tell.

Where the data are here they are read, as the job will read them. A sample is tokenised where the
model's tokenizer is on this machine; else tokens are guessed from bytes. Where the data are not
here, the params bound what there may be, and the forecast says that it is a bound.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from heapq import nlargest

from cluster.errors import DeltascaleError
from jobs.kind import Upstream
from jobs.text.planned import Planned
from jobs.text.prompt_lines import PromptLine
from jobs.text.reading import Pair
from jobs.tokens.planned_tokenizer import PlannedTokenizer, planned_tokenizer

_SAMPLE, _LONGEST = 256, 32
"""Texts that are tokenised: spread over all, and those of the most bytes. The longest in tokens is
not the longest in characters: Chinese, emoji and code have few of them in a token."""
_AROUND = 8
"""Tokens that a tokenizer may put around the parts of a text."""
_BYTES = {"plain": 3.0, "transformed": 1.5}
"""Bytes of UTF-8 in a token where no tokenizer is here: usual English has above 4, so this is
cautious; ciphers and encodings have about 2."""


@dataclass(frozen=True, kw_only=True)
class Lengths:
    """Numbers of tokens of the texts that a job reads, prompts with their answers."""

    count: int
    """Texts."""
    sample: tuple[int, ...]
    """Tokens of some of them, spread over all, ascending."""
    whence: str
    """How that is known, for the plan."""
    largest: int = 0
    """Tokens of the longest of those that have the most bytes."""
    limit: int | None = None
    """Tokens that none has more of: its bytes, where the texts are here."""

    @property
    def mean(self) -> float:
        """Tokens of a text."""
        return sum(self.sample) / len(self.sample)

    @property
    def longest(self) -> int:
        """Tokens of the longest text, as far as some of them say."""
        return max(self.sample[-1], self.largest)

    @property
    def total(self) -> float:
        """Tokens of all texts."""
        return self.count * self.mean

    def padded(self, rows: int) -> float:
        """Return the tokens of a row that is padded to the longest of `rows` drawn ones."""
        number, mean = len(self.sample), 0.0
        for place, length in enumerate(self.sample):
            mean += length * (((place + 1) / number) ** rows - (place / number) ** rows)
        return mean

    def cut(self, most: int) -> Lengths:
        """Return the lengths with none above `most`."""
        if self.longest <= most:
            return self
        sample = tuple(min(length, most) for length in self.sample)
        return replace(self, sample=sample, largest=min(self.largest, most))


def prompt_lengths(
    planned: Planned[PromptLine], prompts: Upstream | None, model: Upstream | None, most: int
) -> Lengths | None:
    """Return the lengths of the prompts that a job will read; None where nothing bounds them.

    Args:
        planned: the prompts, where a source of data has them.
        prompts: what the plan knows of the job that leaves them.
        model: what it knows of the model that reads them.
        most: tokens that a prompt is cut to, or left out above.
    """
    coding = "plain"
    if prompts is not None and prompts.params.get("transform", "plain") != "plain":
        coding = "transformed"
    is_here = planned != Planned()
    known = _of_prompts(planned, planned_tokenizer(model), coding) if is_here else None
    if known is not None:
        return known.cut(most)
    counted = (prompts.facts or {}).get("num_prompts") if prompts else None
    if prompts is not None and counted and "prompts.jsonl" in prompts.files:
        tokens = max(1, int(prompts.files["prompts.jsonl"] / counted / _BYTES[coding]))
        sample = (min(tokens, most), min(4 * tokens, most))
        return Lengths(count=int(counted), sample=sample, whence="guessed from bytes")
    return _bound(prompts, "max_prompts", most)


def pair_lengths(
    planned: Planned[Pair], pairs: Upstream | None, model: Upstream | None, most: int
) -> Lengths | None:
    """Return the lengths of sides of pairs, prompt and one answer; None where nothing bounds them.

    Args: as of `prompt_lengths`. Each pair counts as two texts.
    """
    known = _of_pairs(planned, planned_tokenizer(model)) if planned != Planned() else None
    if known is not None:
        return known.cut(most)
    counted = (pairs.facts or {}).get("num_pairs") if pairs else None
    if counted:
        return Lengths(count=2 * int(counted), sample=(most,), whence="at most")
    bound = _bound(pairs, "max_pairs", most)
    return bound and Lengths(count=2 * bound.count, sample=bound.sample, whence=bound.whence)


def _bound(upstream: Upstream | None, param: str, most: int) -> Lengths | None:
    count = upstream.params.get(param) if upstream is not None else None
    return Lengths(count=count, sample=(most,), whence="at most") if count else None


@lru_cache(maxsize=64)
def _of_prompts(
    planned: Planned[PromptLine], tokenizer: PlannedTokenizer | None, coding: str
) -> Lengths | None:
    texts = ["".join(part["text"] for part in line["segments"]) for line in planned.read()]
    return _measured(texts, tokenizer, coding)


@lru_cache(maxsize=64)
def _of_pairs(planned: Planned[Pair], tokenizer: PlannedTokenizer | None) -> Lengths | None:
    pairs = planned.read()
    texts = [pair.prompt + side for pair in pairs for side in (pair.chosen, pair.rejected)]
    return _measured(texts, tokenizer, "plain")


def _measured(
    texts: Sequence[str], tokenizer: PlannedTokenizer | None, coding: str
) -> Lengths | None:
    if not texts:
        return None
    spread = texts[:: max(1, len(texts) // _SAMPLE)]
    longest = nlargest(_LONGEST, texts, key=_num_bytes)
    sample, whence = [*spread, *longest], "guessed from bytes"
    sizes = [max(1, round(_num_bytes(text) / _BYTES[coding])) for text in sample]
    if tokenizer is not None:
        try:
            encoded = tokenizer.bare().encode_batch(sample)
        except DeltascaleError:
            pass  # the job will say so; here bytes do
        else:
            sizes, whence = [max(1, len(ids)) for ids in encoded], "tokenised"
    return Lengths(
        count=len(texts),
        sample=tuple(sorted(sizes[: len(spread)])),
        whence=whence,
        largest=max(sizes),
        limit=_num_bytes(longest[0]) + _AROUND,
    )


def _num_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))

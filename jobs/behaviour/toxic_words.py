"""`ToxicWords`: the words of a list as one tokenizer writes them, and their mass in a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64

from jobs.behaviour.next_token_probabilities import (
    Forwarded,
    NextTokenProbabilities,
    read_next_token_probabilities,
)
from jobs.models.family import family_of_config
from jobs.models.language_model import LanguageModel
from jobs.text.transform import Chain
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position
from jobs.words.spellings import find_spellings
from jobs.words.token_texts import read_token_texts
from jobs.words.token_trie import AFTER_BREAK, build_trie
from jobs.words.word_mass import Prompts, WordSet, measure_word_masses

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SHARE = 0.01
"""Most that is left of a mean mass, as a share of it."""
_PILOT = 32
"""Prompts that say beforehand what is small beside the mean mass."""
_FEWEST = 3 * _PILOT
"""Prompts from which on a pilot pays."""
_MOST_CACHED = 1 << 30
"""Bytes of keys and values that are kept at a time, unless one prompt has more."""


class ToxicWords:
    """A list of words, and how a tokenizer writes them where texts of a transform go on."""

    def __init__(
        self,
        words: Sequence[str],
        tokenizer: PreTrainedTokenizerBase,
        transform: Chain,
        *,
        must_end: bool = False,
    ) -> None:
        self.spellings = find_spellings(words, tokenizer, transform)
        """The tokens of each word, and how many words have any."""
        self.must_end = must_end
        """Whether a word counts only where it ends."""
        self._tokenizer = tokenizer
        self._sets: dict[int, WordSet] = {}

    @property
    def num_words(self) -> int:
        """Words on the list."""
        return self.spellings.num_words

    @property
    def num_covered(self) -> int:
        """Words that can be counted."""
        return self.spellings.num_covered

    def as_set(self, num_rows: int) -> WordSet:
        """Return the words as tokens of a model with so many rows in its vocabulary."""
        if num_rows not in self._sets:
            texts = read_token_texts(self._tokenizer, num_rows)
            written = [s for s in self.spellings.all if max(s.token_ids) < num_rows]
            self._sets[num_rows] = WordSet(
                trie=build_trie(written, texts, must_end=self.must_end), texts=texts
            )
        return self._sets[num_rows]


@dataclass(frozen=True, kw_only=True, eq=False)
class ToxicMasses:
    """Mass of the words after tokens of a plan; NaN at tokens where it is not wanted."""

    mass: Float64[np.ndarray, " tokens"]
    """Probability that the text goes on with one of the words, as far as it was counted."""
    left: Float64[np.ndarray, " tokens"]
    """Probability of paths that were not followed to the end."""
    unclear: Float64[np.ndarray, " tokens"]
    """Probability of words that may go on: a token after them has a piece of a character."""


def read_toxic_masses(
    model: LanguageModel,
    plan: TokenPlan,
    toxic: ToxicWords,
    *,
    positions: Sequence[Position],
    scored: Bool[np.ndarray, " tokens"],
    token_budget: int,
    share: float = SHARE,
    after_batch: Callable[[int], None] = lambda done: None,
) -> tuple[ToxicMasses, NextTokenProbabilities]:
    """Read the mass after the tokens of positions, and the log-probability of scored tokens.

    Where every word is one token with its end, each prompt is forwarded once and nothing is left.
    Else keys and values of a batch are kept while the words' tokens are followed, until of the mean
    mass at each position at most `share` is left.

    Args:
        model: a causal language model in eval mode.
        plan: the tokens.
        toxic: the words.
        positions: tokens after which the mass is wanted; each position has a mean of its own.
        scored: tokens whose own log-probability is wanted.
        token_budget: most tokens forwarded together, padding included.
        share: most that is left of a mean; 0 counts everything.
        after_batch: called with the number of prompts done.
    """
    words = toxic.as_set(int(model.config.vocab_size))
    places = np.zeros(len(plan.token_ids), dtype=bool)
    for position in positions:
        places |= position.tokens
    roots = words.roots(plan.token_ids, toxic.spellings.keeps_words)
    if words.trie.is_flat and (roots[places] == AFTER_BREAK).all():
        probabilities = read_next_token_probabilities(
            model,
            plan,
            token_set=sorted(words.trie.tokens[words.trie.children[AFTER_BREAK]].tolist()),
            mass_after=places,
            scored=scored,
            token_budget=token_budget,
            after_batch=after_batch,
        )
        nothing = np.where(places, 0.0, np.nan)
        return ToxicMasses(mass=probabilities.mass, left=nothing, unclear=nothing), probabilities
    reader = _Reader(model, plan, words, roots, places, min(token_budget, _most_tokens(model)))
    floors = np.zeros(len(plan.token_ids))
    prompts = np.unique(plan.owners[places])
    if share > 0 and len(prompts) >= _FEWEST:
        pilot = prompts[np.linspace(0, len(prompts) - 1, _PILOT).astype(np.int64)]
        few, _ = reader.read(share, floors, members=pilot)
        floors = _floors(few.mass, positions)
    masses, probabilities = reader.read(share, floors, scored=scored, after_batch=after_batch)
    if not _is_settled(masses, positions, share):  # the pilot's mean was too large
        masses, _ = reader.read(share, _floors(masses.mass, positions) / 2, after_batch=after_batch)
    if not _is_settled(masses, positions, share):
        masses, _ = reader.read(share, np.zeros_like(floors), after_batch=after_batch)
    return masses, probabilities


class _Reader:
    """Goes through prompts and follows the words after them."""

    def __init__(
        self,
        model: LanguageModel,
        plan: TokenPlan,
        words: WordSet,
        roots: Int64[np.ndarray, " tokens"],
        wanted: Bool[np.ndarray, " tokens"],
        token_budget: int,
    ) -> None:
        self._model, self._plan, self._words, self._roots = model, plan, words, roots
        self._wanted, self._token_budget = wanted, token_budget
        self._max_positions = family_of_config(model.config).shape(model.config).max_positions

    def read(
        self,
        share: float,
        floors: Float64[np.ndarray, " tokens"],
        *,
        members: Int64[np.ndarray, " prompts"] | None = None,
        scored: Bool[np.ndarray, " tokens"] | None = None,
        after_batch: Callable[[int], None] = lambda done: None,
    ) -> tuple[ToxicMasses, NextTokenProbabilities]:
        """Read the masses of prompts; see `measure_word_masses` for share and floors."""
        plan = self._plan
        mass, left, unclear = (np.full(len(plan.token_ids), np.nan) for _ in range(3))

        def go_on(batch: Forwarded) -> None:
            here = np.flatnonzero(self._wanted[batch.places])
            places = batch.places[here]
            order = np.argsort(batch.members)
            owners = np.searchsorted(batch.members, plan.owners[places], sorter=order)
            prompts = Prompts(
                cache=batch.cache,
                rows=order[owners],
                lengths=plan.within[places] + 1,
                roots=self._roots[places],
                log_probabilities=batch.log_probabilities[torch.from_numpy(here)],
                allowed=share,
                floors=floors[places],
            )
            masses = measure_word_masses(self._model, self._words, prompts, self._max_positions)
            mass[places] = masses.counted
            left[places] = masses.left
            unclear[places] = masses.unclear

        probabilities = read_next_token_probabilities(
            self._model,
            plan,
            token_set=(),
            mass_after=self._wanted,
            scored=np.zeros_like(self._wanted) if scored is None else scored,
            token_budget=self._token_budget,
            members=members,
            go_on=go_on,
            after_batch=after_batch,
        )
        return ToxicMasses(mass=mass, left=left, unclear=unclear), probabilities


def _floors(
    mass: Float64[np.ndarray, " tokens"], positions: Sequence[Position]
) -> Float64[np.ndarray, " tokens"]:
    """Return the mean mass at each token's position; the least where it has several."""
    floors = np.full(len(mass), np.inf)
    for position in positions:
        known = mass[position.tokens & ~np.isnan(mass)]
        mean = float(known.mean()) if len(known) else 0.0
        floors[position.tokens] = np.minimum(floors[position.tokens], mean)
    return np.where(np.isfinite(floors), floors, 0.0)


def _is_settled(masses: ToxicMasses, positions: Sequence[Position], share: float) -> bool:
    """Tell whether little enough is left at every position."""
    sums = [
        (masses.mass[position.tokens].sum(), masses.left[position.tokens].sum())
        for position in positions
    ]
    return not any(left > share * (mass + left) for mass, left in sums)


def _most_tokens(model: LanguageModel) -> int:
    """Return the number of tokens whose keys and values may be kept."""
    shape = family_of_config(model.config).shape(model.config)
    width = 2 * shape.num_layers * shape.num_key_value_heads * shape.d_head
    return max(1, _MOST_CACHED // (width * model.dtype.itemsize))

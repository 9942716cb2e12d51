"""`ToxicMasses`: how much of its probability a model gives to the words of a list."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float64, Int64

from jobs.behaviour.next_token_probabilities import (
    Forwarded,
    NextTokenProbabilities,
    read_next_token_probabilities,
)
from jobs.behaviour.toxic_words import ToxicWords
from jobs.models.device import to_device
from jobs.models.family import family_of_config
from jobs.models.language_model import LanguageModel
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position
from jobs.words.pruning import LEAST_MARGIN, Steps, threshold_for_others
from jobs.words.token_trie import AFTER_BREAK
from jobs.words.word_mass import (
    LEVELS,
    Prompts,
    Search,
    WordSet,
    measure_word_masses,
    prune_each,
)

SHARE = 0.01
"""Most that is left of a mean mass, as a share of it."""
_PILOT = 64
"""Prompts that say beforehand from which mass on a node must be followed: a quarter, at most so
many."""
_FEWEST = 32
"""Prompts from which on a pilot pays; fewer are each pruned by themselves."""
_LOWER = 0.25
"""How much lower nodes are followed after those prompts of which too much was left."""
_LOWEST = 1e-12
"""Nothing below that is tried but everything."""
_MOST_CACHED = 1 << 30
"""Bytes of keys and values that are kept at a time, unless one prompt has more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class ToxicMasses:
    """Mass of the words after tokens of a plan; NaN at tokens where it is not wanted."""

    mass: Float64[np.ndarray, " tokens"]
    """Probability that the text goes on with one of the words, as far as it was counted."""
    left: Float64[np.ndarray, " tokens"]
    """Probability of paths that were not followed to the end."""
    unclear: Float64[np.ndarray, " tokens"]
    """Probability of words that may go on: a token after them has a piece of a character."""

    def excess(self, tokens: Bool[np.ndarray, " tokens"], share: float) -> float:
        """Return by how much what is left at some tokens exceeds a share of all their mass."""
        known = tokens & ~np.isnan(self.mass)
        left = self.left[known].sum()
        return float(left - share * (self.mass[known].sum() + left))

    def replaced(self, other: ToxicMasses) -> ToxicMasses:
        """Return these, with those of another reading where it has any."""
        is_known = ~np.isnan(other.mass)
        return ToxicMasses(
            mass=np.where(is_known, other.mass, self.mass),
            left=np.where(is_known, other.left, self.left),
            unclear=np.where(is_known, other.unclear, self.unclear),
        )


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
    mass at each position at most `share` is left: some of the prompts say from which mass on a node
    must be followed, the same for all.

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
    prompts = np.unique(plan.owners[places])
    if share == 0 or len(prompts) < _FEWEST:
        return reader.read(
            np.zeros(len(plan.token_ids)), share, scored=scored, after_batch=after_batch
        )
    pilot = _pilot_of(prompts, plan, _most_tokens(model))
    thresholds, its_masses, its_probabilities = reader.find_thresholds(
        share, positions, pilot, scored
    )
    others = np.setdiff1d(np.arange(len(plan.prompts)), pilot)
    masses, probabilities = reader.read(
        thresholds,
        members=others,
        scored=scored,
        after_batch=lambda done: after_batch(len(pilot) + done),
    )
    masses, probabilities = masses.replaced(its_masses), probabilities.replaced(its_probabilities)
    while True:
        members, again = _unsettled(plan, masses, positions, share)
        if not len(members) or not thresholds[again].any():
            return masses, probabilities
        lower = _LOWER * thresholds[again]
        thresholds[again] = np.where(lower < _LOWEST, 0.0, lower)
        masses = masses.replaced(reader.read(thresholds, members=members)[0])


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
        thresholds: Float64[np.ndarray, " tokens"],
        share: float = 0.0,
        *,
        members: Int64[np.ndarray, " prompts"] | None = None,
        scored: Bool[np.ndarray, " tokens"] | None = None,
        after_batch: Callable[[int], None] = lambda done: None,
    ) -> tuple[ToxicMasses, NextTokenProbabilities]:
        """Follow the words above thresholds.

        Args:
            thresholds: nodes of a larger mass are followed after a token.
            share: where at most this share of a token's own mass is left, no more is followed.
            members: indices in the plan of the prompts; None: all.
            scored: tokens whose own log-probability is wanted; None: none.
            after_batch: called with the number of prompts done.
        """
        mass, left, unclear = (np.full(len(self._plan.token_ids), np.nan) for _ in range(3))

        def go_on(batch: Forwarded) -> None:
            places, prompts = self._prompts_of(batch, thresholds)
            given = (self._model, self._words, prompts, self._max_positions)
            masses = prune_each(*given, share) if share > 0 else measure_word_masses(*given)
            mass[places], left[places] = masses.counted, masses.left
            unclear[places] = masses.unclear

        probabilities = self._forward(go_on, members, scored, after_batch)
        return ToxicMasses(mass=mass, left=left, unclear=unclear), probabilities

    def find_thresholds(
        self,
        share: float,
        positions: Sequence[Position],
        pilot: Int64[np.ndarray, " prompts"],
        scored: Bool[np.ndarray, " tokens"],
    ) -> tuple[Float64[np.ndarray, " tokens"], ToxicMasses, NextTokenProbabilities]:
        """Follow words after a pilot's prompts until of their mean at most half of `share` is left.

        Returns:
            The threshold at which others will leave no more than `share`, by position (a token of
            several has the least of theirs); and what was read of the pilot's prompts, to the same
            depth or a little further.
        """
        pilot_of = _Pilot(len(self._plan.token_ids))

        def go_on(batch: Forwarded) -> None:
            places, prompts = self._prompts_of(batch, np.zeros(len(self._plan.token_ids)))
            search = Search(
                self._model, self._words, prompts, self._max_positions, keeps_steps=True
            )
            pilot_of.searches.append((places, search))

        probabilities = self._forward(go_on, pilot, scored)
        thresholds = pilot_of.find_thresholds(share, [position.tokens for position in positions])
        return thresholds, pilot_of.masses(), probabilities

    def _prompts_of(
        self, batch: Forwarded, thresholds: Float64[np.ndarray, " tokens"]
    ) -> tuple[Int64[np.ndarray, " wanted"], Prompts]:
        plan = self._plan
        here = np.flatnonzero(self._wanted[batch.places])
        places = batch.places[here]
        order = np.argsort(batch.members)
        owners = np.searchsorted(batch.members, plan.owners[places], sorter=order)
        return places, Prompts(
            cache=batch.cache,
            rows=order[owners],
            lengths=plan.within[places] + 1,
            roots=self._roots[places],
            log_probabilities=batch.log_probabilities[
                to_device(torch.from_numpy(here), batch.log_probabilities.device)
            ],
            thresholds=thresholds[places],
        )

    def _forward(
        self,
        go_on: Callable[[Forwarded], None],
        members: Int64[np.ndarray, " prompts"] | None,
        scored: Bool[np.ndarray, " tokens"] | None = None,
        after_batch: Callable[[int], None] = lambda done: None,
    ) -> NextTokenProbabilities:
        return read_next_token_probabilities(
            self._model,
            self._plan,
            token_set=(),
            mass_after=self._wanted,
            scored=np.zeros_like(self._wanted) if scored is None else scored,
            token_budget=self._token_budget,
            members=members,
            go_on=go_on,
            after_batch=after_batch,
        )


class _Pilot:
    """Some prompts whose words are followed together, level by level."""

    def __init__(self, num_tokens: int) -> None:
        self.searches: list[tuple[Int64[np.ndarray, " wanted"], Search]] = []
        """Tokens of the plan whose words each search follows."""
        self._num_tokens = num_tokens

    def find_thresholds(
        self, share: float, positions: Sequence[Bool[np.ndarray, " tokens"]]
    ) -> Float64[np.ndarray, " tokens"]:
        """Follow words until little is left at each position; return thresholds for all tokens."""
        target = LEAST_MARGIN * share
        for level in LEVELS:
            masses = self.masses()
            unsettled = [at for at in positions if masses.excess(at, target) > 0]
            if not unsettled:
                break
            at_best = self.masses(level)
            if level > LEVELS[-1] and all(at_best.excess(at, target) > 0 for at in unsettled):
                continue  # the next level follows all that this one would, in fewer passes
            wanted = np.logical_or.reduce(unsettled)
            for places, search in self.searches:
                search.follow_above(np.where(wanted[places], level, np.inf))
        thresholds = np.full(self._num_tokens, np.inf)
        levels = [self._threshold(position, share) for position in positions]
        lowest = min((level for level in levels if level is not None), default=LEVELS[-1])
        for position, own in zip(positions, levels, strict=True):
            least = lowest if own is None else own
            thresholds[position] = np.minimum(thresholds[position], least)
        return thresholds

    def _threshold(self, position: Bool[np.ndarray, " tokens"], share: float) -> float | None:
        """Return the threshold of a position; None where no prompt of the pilot has it."""
        if not any(position[places].any() for places, _ in self.searches):
            return None
        steps = Steps.joined([search.steps.named(places) for places, search in self.searches])
        return threshold_for_others(steps.of(position), share) or LEVELS[-1]

    def masses(self, threshold: float = np.inf) -> ToxicMasses:
        """Return what is counted and left at the searches' tokens, at best above a threshold."""
        mass, left, unclear = (np.full(self._num_tokens, np.nan) for _ in range(3))
        for places, search in self.searches:
            masses = search.masses(threshold)
            mass[places], left[places] = masses.counted, masses.left
            unclear[places] = masses.unclear
        return ToxicMasses(mass=mass, left=left, unclear=unclear)


def _pilot_of(
    prompts: Int64[np.ndarray, " prompts"], plan: TokenPlan, most_tokens: int
) -> Int64[np.ndarray, " pilot"]:
    """Choose prompts from all over the plan, no more than keys and values may be kept of."""
    size = min(_PILOT, len(prompts) // 4)
    while True:
        chosen = prompts[np.linspace(0, len(prompts) - 1, size).astype(np.int64)]
        if size == 1 or plan.lengths[chosen].sum() <= most_tokens:
            return chosen
        size //= 2


def _unsettled(
    plan: TokenPlan, masses: ToxicMasses, positions: Sequence[Position], share: float
) -> tuple[Int64[np.ndarray, " prompts"], Bool[np.ndarray, " tokens"]]:
    """Find prompts after which more must be followed, and the tokens of their positions.

    Of a position of which too much is left, those of which most is: as many as suffice if half of
    theirs goes.
    """
    members, again = [np.zeros(0, dtype=np.int64)], np.zeros(len(plan.token_ids), dtype=bool)
    for position in positions:
        excess = masses.excess(position.tokens, share)
        if excess > 0:
            left = masses.left[position.tokens]
            order = np.argsort(-left, kind="stable")
            before = left[order].cumsum() - left[order]
            worst = np.flatnonzero(position.tokens)[order[before < 2 * excess]]
            members.append(plan.owners[worst])
            again[worst] = True
    return np.unique(np.concatenate(members)), again


def _most_tokens(model: LanguageModel) -> int:
    """Return the number of tokens whose keys and values may be kept."""
    shape = family_of_config(model.config).shape(model.config)
    width = 2 * shape.num_layers * shape.num_key_value_heads * shape.d_head
    return max(1, _MOST_CACHED // (width * model.dtype.itemsize))

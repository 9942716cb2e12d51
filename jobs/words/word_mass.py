"""Probability that a text goes on with one of a set of words, by following their tokens as a trie.

The mass of a node of the trie is the probability of its path. What lies behind a node that was not
followed is at most its mass, so the sum of those masses bounds what is left at any time. Nodes
whose mass is above a threshold are followed: with one threshold for all prompts no other choice of
as many nodes takes more off the bound of their mean.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Bool, Float, Float64, Int, Int64
from torch import Tensor

from jobs.models.device import to_device
from jobs.models.language_model import LanguageModel
from jobs.words.packing import Piece, pack_pieces
from jobs.words.pruning import Steps
from jobs.words.token_texts import TokenTexts
from jobs.words.token_trie import AFTER_BREAK, AFTER_WORD, TokenTrie
from jobs.words.tree_passes import TreeRows, forward_tree

if TYPE_CHECKING:
    from transformers import Cache

LEVELS = tuple(2.0**-power for power in range(2, 41))
"""Thresholds that are tried one after the other where none is known."""
_MOST_LOGITS = 1 << 25
"""Logits in memory for the nodes of one forward pass: 128 MiB in fp32."""
_ROWS_IN_CACHE = 16
"""Rows of logits that a processor sums at a time."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Prompts:
    """Texts that go on: prompts of one batch, whose keys and values are kept."""

    cache: Cache
    """Keys and values of the batch."""
    rows: Int64[np.ndarray, " prompts"]
    """Row of each in the cache."""
    lengths: Int64[np.ndarray, " prompts"]
    """Tokens of each."""
    roots: Int64[np.ndarray, " prompts"]
    """Root of the trie at each."""
    log_probabilities: Float[Tensor, "prompts vocabulary"]
    """Of the next token."""
    thresholds: Float64[np.ndarray, " prompts"]
    """Nodes of a larger mass are followed; 0 follows everything."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WordMasses:
    """What was counted after some prompts, and what may be missing."""

    counted: Float64[np.ndarray, " prompts"]
    """Probability of words that are known to have ended."""
    left: Float64[np.ndarray, " prompts"]
    """Probability of paths that were not followed to the end."""
    unclear: Float64[np.ndarray, " prompts"]
    """Probability that a word has been written, but may go on: the next token has a piece of a
    character."""
    num_forwarded: int
    """Tokens of nodes that were forwarded, padding included."""


@dataclass(frozen=True, kw_only=True, eq=False)
class WordSet:
    """A set of words as the tokens of one model."""

    trie: TokenTrie
    """Their spellings."""
    texts: TokenTexts
    """The vocabulary."""

    def roots(
        self, last_tokens: Int[np.ndarray, " texts"], keeps_words: bool
    ) -> Int64[np.ndarray, " texts"]:
        """Return the root for each text by its last token.

        Args:
            last_tokens: last token of each text.
            keeps_words: False where texts are written in a way that knows no words.
        """
        inside = self.texts.ends_in_word[last_tokens] & keeps_words
        return np.where(inside, AFTER_WORD, AFTER_BREAK)


def measure_word_masses(
    model: LanguageModel, words: WordSet, prompts: Prompts, max_positions: int
) -> WordMasses:
    """Follow all nodes above each prompt's threshold; which those are depends on no batch."""
    search = Search(model, words, prompts, max_positions)
    search.follow_above(prompts.thresholds)
    return search.masses()


def prune_each(
    model: LanguageModel, words: WordSet, prompts: Prompts, max_positions: int, share: float
) -> WordMasses:
    """Follow each prompt's nodes, the likely first, until at most `share` of its own mass is left.

    No node below a prompt's own threshold is followed.
    """
    search = Search(model, words, prompts, max_positions)
    for level in LEVELS:
        goes_on = _exceeds(search.masses(), share)
        if not goes_on.any():
            break
        # where too much is left at best, the next level follows all that this one would
        settles = goes_on & ~_exceeds(search.masses(level), share)
        if level == LEVELS[-1]:
            settles = goes_on
        search.follow_above(np.where(settles, np.maximum(level, prompts.thresholds), np.inf))
    return search.masses()


def _exceeds(masses: WordMasses, share: float) -> Bool[np.ndarray, " prompts"]:
    return np.asarray(masses.left > share * (masses.counted + masses.left))


_Chosen = dict[int, list[int]]
"""Prompt -> nodes to follow."""
_Lane = list[tuple[int, list[int]]]
"""Prompts that share a row of a forward pass, and the nodes to follow after each."""


class Search:
    """The state of all prompts of a batch: what was counted, and the nodes not followed yet."""

    def __init__(
        self,
        model: LanguageModel,
        words: WordSet,
        prompts: Prompts,
        max_positions: int,
        *,
        keeps_steps: bool = False,
    ) -> None:
        """Reach the first tokens of words; `keeps_steps` keeps what each node does to the sums."""
        trie, num = words.trie, len(prompts.rows)
        self._model, self._words, self._prompts = model, words, prompts
        self._open = np.zeros((num, len(trie.tokens)))
        """Mass of each node that was reached and not followed."""
        self._counted, self._unclear = np.zeros(num), np.zeros(num)
        self._num_forwarded = 0
        self._steps: list[Steps] | None = [] if keeps_steps else None
        depths = trie.depths + prompts.lengths[:, None]
        self._in_reach = depths <= max_positions
        """Nodes that the model has a position for."""
        for root in np.unique(prompts.roots):
            here = np.flatnonzero(prompts.roots == root)
            children = trie.children[root]
            device = prompts.log_probabilities.device
            chosen, tokens = (
                to_device(torch.from_numpy(ids), device) for ids in (here, trie.tokens[children])
            )
            rows = prompts.log_probabilities[chosen][:, tokens]
            masses = rows.double().exp().cpu().numpy()
            self._reach(
                np.repeat(here, len(children)),
                np.tile(children, len(here)),
                masses.ravel(),
                np.full(masses.size, np.inf),
            )

    def _reach(
        self,
        owners: Int64[np.ndarray, " reached"],
        nodes: Int64[np.ndarray, " reached"],
        masses: Float64[np.ndarray, " reached"],
        above: Float64[np.ndarray, " reached"],
    ) -> None:
        """Count what is closed, and keep the rest to be followed; `above` are parents' masses."""
        closed = self._words.trie.closed[nodes]
        self._keep(owners, above, np.where(closed, 0.0, masses), np.where(closed, masses, 0.0))
        np.add.at(self._counted, owners[closed], masses[closed])
        self._open[owners[~closed], nodes[~closed]] = masses[~closed]

    def _keep(
        self,
        owners: Int64[np.ndarray, " steps"],
        below: Float64[np.ndarray, " steps"],
        left: Float64[np.ndarray, " steps"],
        counted: Float64[np.ndarray, " steps"],
    ) -> None:
        if self._steps is not None:
            self._steps.append(Steps(owners=owners, below=below, left=left, counted=counted))

    @property
    def steps(self) -> Steps:
        """What each node did to the sums, where that is kept."""
        assert self._steps is not None, "a search keeps its steps only where it is told to"
        return Steps.joined(self._steps)

    def follow_above(self, thresholds: Float64[np.ndarray, " prompts"]) -> None:
        """Follow nodes above each prompt's threshold until none is open."""
        while chosen := self._above(thresholds):
            for part in self._cut(chosen):
                self._follow(part)

    def _above(self, thresholds: Float64[np.ndarray, " prompts"]) -> _Chosen:
        is_above = self._in_reach & (self._open > thresholds[:, None])
        return {
            int(prompt): np.flatnonzero(is_above[prompt]).tolist()
            for prompt in np.flatnonzero(is_above.any(axis=1))
        }

    def _cut(self, chosen: _Chosen) -> Iterator[list[_Lane]]:
        """Cut a round into forward passes that fit into memory and waste little on padding."""
        budget = max(1, _MOST_LOGITS // self._prompts.log_probabilities.shape[1])
        pieces = [
            Piece(
                prompt=prompt,
                nodes=part,
                width=len(_with_ancestors(part, self._words.trie.parents)),
                length=int(self._prompts.lengths[prompt]),
            )
            for prompt, nodes in chosen.items()
            for part in _chunks(nodes, budget)
        ]
        for lanes in pack_pieces(pieces, budget):
            yield [[(piece.prompt, piece.nodes) for piece in lane] for lane in lanes]

    def _follow(self, lanes: Sequence[_Lane]) -> None:
        """Forward nodes and hand their mass on to what follows them."""
        tree = _tree_rows(self._prompts, lanes, self._words.trie)
        logits = forward_tree(self._model, self._prompts.cache, tree)
        self._num_forwarded += tree.tokens.size
        counts = [sum(len(nodes) for _, nodes in lane) for lane in lanes]
        rows = np.repeat(np.arange(len(lanes)), counts)
        columns = np.concatenate([np.arange(count) for count in counts])
        pieces = [piece for lane in lanes for piece in lane]
        owners = np.repeat([prompt for prompt, _ in pieces], [len(nodes) for _, nodes in pieces])
        nodes = np.concatenate([np.array(nodes) for _, nodes in pieces])
        at = to_device(torch.from_numpy(np.stack([rows, columns])), logits.device)
        self._hand_on(owners, nodes, logits[:, -max(counts) :].float(), at)

    def _hand_on(
        self,
        owners: Int64[np.ndarray, " nodes"],
        nodes: Int64[np.ndarray, " nodes"],
        logits: Float[Tensor, "lanes width vocabulary"],
        at: Int64[Tensor, "2 nodes"],
    ) -> None:
        trie, texts = self._words.trie, self._words.texts
        masses = self._open[owners, nodes]
        self._open[owners, nodes] = 0.0
        self._keep(owners, masses, -masses, np.zeros_like(masses))
        total = _log_totals(logits)[at[0], at[1]]
        ends = np.flatnonzero(trie.ends[nodes])
        if len(ends):
            kinds = np.stack([texts.breaks, texts.unclear], axis=1).astype(np.float32)
            chosen = to_device(torch.from_numpy(ends), logits.device)
            shares = (logits[at[0, chosen], at[1, chosen]] - total[chosen, None]).exp()
            shares = shares @ to_device(torch.from_numpy(kinds), logits.device)
            broken, unclear = masses[ends] * shares.double().cpu().numpy().T
            np.add.at(self._counted, owners[ends], broken)
            np.add.at(self._unclear, owners[ends], unclear)
            self._keep(owners[ends], masses[ends], np.zeros_like(broken), broken)
        children = [trie.children[node] for node in nodes]
        counts = np.array([len(some) for some in children])
        if not counts.sum():
            return
        parents = np.repeat(np.arange(len(nodes)), counts)
        following = np.concatenate(children)
        of = to_device(torch.from_numpy(parents), logits.device)
        tokens = to_device(torch.from_numpy(trie.tokens[following]), logits.device)
        steps = (logits[at[0, of], at[1, of], tokens] - total[of]).double().exp().cpu().numpy()
        of_parents = masses[parents]
        self._reach(owners[parents], following, of_parents * steps, of_parents)

    def masses(self, threshold: float = np.inf) -> WordMasses:
        """Return what was counted and what is left.

        Args:
            threshold: what is open above it is taken as counted, the most that following it gives.
        """
        is_counted = self._in_reach & (self._open > threshold)
        return WordMasses(
            counted=self._counted + np.where(is_counted, self._open, 0.0).sum(axis=1),
            left=np.where(is_counted, 0.0, self._open).sum(axis=1),
            unclear=self._unclear,
            num_forwarded=self._num_forwarded,
        )


def _log_totals(
    logits: Float[Tensor, "lanes width vocabulary"],
) -> Float[Tensor, "lanes width"]:
    """Return the logsumexp of each row; a processor takes few at a time, which its caches hold."""
    if logits.device.type != "cpu":
        return logits.logsumexp(dim=-1)
    slices = torch.split(logits.flatten(0, 1), _ROWS_IN_CACHE)
    return torch.cat([rows.logsumexp(dim=-1) for rows in slices]).view(logits.shape[:2])


def _chunks(nodes: Sequence[int], size: int) -> Iterator[list[int]]:
    for start in range(0, len(nodes), size):
        yield list(nodes[start : start + size])


def _with_ancestors(
    nodes: Sequence[int], parents: Int64[np.ndarray, " nodes"]
) -> Int64[np.ndarray, " _"]:
    """Return nodes and all on their paths but the root, ascending."""
    known = set(nodes)
    waiting = list(nodes)
    while waiting:
        parent = int(parents[waiting.pop()])
        if parent > AFTER_BREAK and parent not in known:
            known.add(parent)
            waiting.append(parent)
    return np.array(sorted(known))


def _tree_rows(prompts: Prompts, lanes: Sequence[_Lane], trie: TokenTrie) -> TreeRows:
    """Lay out nodes behind their prompts: those on the way first, so that theirs are no logits."""
    pieces = [piece for lane in lanes for piece in lane]
    lane_of = np.repeat(np.arange(len(lanes)), [len(lane) for lane in lanes])
    between = [np.setdiff1d(_with_ancestors(some, trie.parents), some) for _, some in pieces]
    num_before = np.bincount(lane_of, [len(before) for before in between]).astype(np.int64)
    num_chosen = np.bincount(lane_of, [len(some) for _, some in pieces]).astype(np.int64)
    start, num_kept = int(num_before.max()), int(num_chosen.max())
    shape = len(lanes), start + num_kept
    tokens, depths = np.zeros(shape, dtype=np.int64), np.ones(shape, dtype=np.int64)
    parents, owners = np.full(shape, -1, dtype=np.int64), np.full(shape, -1, dtype=np.int64)
    column_of = np.full(len(trie.tokens), -1)
    before_at, chosen_at = np.zeros(len(lanes), np.int64), np.full(len(lanes), start)
    for number, (lane, before, (_, some)) in enumerate(zip(lane_of, between, pieces, strict=True)):
        here = np.concatenate([before, np.array(some, dtype=np.int64)]).astype(np.int64)
        columns = np.r_[
            before_at[lane] + np.arange(len(before)), chosen_at[lane] + np.arange(len(some))
        ]
        before_at[lane] += len(before)
        chosen_at[lane] += len(some)
        column_of[here] = columns
        above = trie.parents[here]
        tokens[lane, columns], depths[lane, columns] = trie.tokens[here], trie.depths[here]
        parents[lane, columns] = np.where(above > AFTER_BREAK, column_of[above], -1)
        owners[lane, columns] = number
    chosen = np.array([prompt for prompt, _ in pieces])
    return TreeRows(
        rows=prompts.rows[chosen],
        lengths=prompts.lengths[chosen],
        tokens=tokens,
        parents=parents,
        depths=depths,
        owners=owners,
        num_kept=num_kept,
        num_nodes=int(num_chosen.sum()),
    )

"""`TokenTrie`: spellings as a forest of tokens, one tree for each thing that may stand before.

At node 0 only words after a blank begin, since the text so far ends in a word; at node 1 all do.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int64

from jobs.words.spellings import Spelling
from jobs.words.token_texts import TokenTexts

AFTER_WORD, AFTER_BREAK = 0, 1
"""Roots: after a word, and after anything else."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenTrie:
    """Nodes are paths of tokens; a child has a larger number than its parent."""

    parents: Int64[np.ndarray, " nodes"]
    """Node before; -1 of a root."""
    tokens: Int64[np.ndarray, " nodes"]
    """Token that leads there; -1 of a root."""
    depths: Int64[np.ndarray, " nodes"]
    """Tokens from the root."""
    ends: Bool[np.ndarray, " nodes"]
    """A word ends here if the next token is none that goes on with it."""
    closed: Bool[np.ndarray, " nodes"]
    """A word and its end are behind: the path counts whatever comes next, and has no children."""

    @cached_property
    def children(self) -> list[Int64[np.ndarray, " _"]]:
        """Children of each node, ascending."""
        order = np.argsort(self.parents, kind="stable")
        bounds = np.searchsorted(self.parents[order], np.arange(len(self.parents) + 1))
        return [order[a:b] for a, b in zip(bounds[:-1], bounds[1:], strict=True)]

    @cached_property
    def is_flat(self) -> bool:
        """Whether every spelling is one token that holds the word's end: nothing to expand."""
        return bool((self.closed | (self.depths == 0)).all())


def build_trie(
    spellings: Sequence[Spelling], texts: TokenTexts, *, must_end: bool = False
) -> TokenTrie:
    """Build both trees; a spelling that begins with one that counts already adds nothing.

    Args:
        spellings: ways of writing the words.
        texts: the vocabulary.
        must_end: whether a word counts only where it ends; else its own tokens suffice.
    """
    nodes = [_Node(), _Node()]
    shortest_first = sorted(spellings, key=lambda way: (len(way.token_ids), way.token_ids))
    for root in (AFTER_WORD, AFTER_BREAK):
        for spelling in shortest_first:
            if root == AFTER_BREAK or spelling.after_blank:
                _add(nodes, root, spelling, texts, must_end)
    return TokenTrie(
        parents=np.array([node.parent for node in nodes]),
        tokens=np.array([node.token for node in nodes]),
        depths=np.array([node.depth for node in nodes]),
        ends=np.array([node.ends and not node.closed for node in nodes]),
        closed=np.array([node.closed for node in nodes]),
    )


@dataclass
class _Node:
    parent: int = -1
    token: int = -1
    depth: int = 0
    ends: bool = False
    closed: bool = False
    children: dict[int, int] = field(default_factory=dict)


def _add(
    nodes: list[_Node], root: int, spelling: Spelling, texts: TokenTexts, must_end: bool
) -> None:
    number = root
    for token in spelling.token_ids:
        node = nodes[number]
        if node.closed or (node.ends and texts.breaks[token]):
            return  # a shorter word has ended before: that counts already
        if token not in node.children:
            node.children[token] = len(nodes)
            nodes.append(_Node(parent=number, token=token, depth=node.depth + 1))
        number = node.children[token]
    if spelling.is_closed or texts.always_break or not must_end:
        nodes[number].closed = True
    else:
        nodes[number].ends = True

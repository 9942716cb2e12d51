"""`RowIndex`: which rows of a position are stored and where, found by prompt and position."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int64

from cluster.errors import UserError
from jobs.tokens.plan import TokenPlan

_MOST_SHOWN = 20


class RowIndex:
    """The stored rows of one position in the plan's order; the same at every site and layer."""

    def __init__(
        self,
        plan: TokenPlan,
        *,
        tokens: Int64[np.ndarray, " rows"],
        reservoir: Bool[np.ndarray, " rows"],
        blocks: Int64[np.ndarray, " rows"],
        rows: Int64[np.ndarray, " rows"],
    ) -> None:
        self._plan = plan
        self.tokens = tokens
        """Token of the plan that each row stands at, ascending; of a pooled row, its first."""
        self.reservoir = reservoir
        """The row belongs to the reservoir chosen by hash."""
        self.blocks = blocks
        """Which block each row lies in, in the order of units and shards."""
        self.rows = rows
        """Its row there."""

    @classmethod
    def of_blocks(
        cls,
        plan: TokenPlan,
        blocks: Sequence[tuple[Int64[np.ndarray, " _"], Bool[np.ndarray, " _"]]],
    ) -> RowIndex:
        """From the tokens and the reservoir flags of every block, in the order rows came."""
        tokens = np.concatenate([np.zeros(0, np.int64), *(tokens for tokens, _ in blocks)])
        flags = np.concatenate([np.zeros(0, bool), *(flags for _, flags in blocks)])
        owners = np.repeat(np.arange(len(blocks)), [len(tokens) for tokens, _ in blocks])
        rows = np.concatenate([np.zeros(0, int), *(np.arange(len(each)) for each, _ in blocks)])
        order = np.argsort(tokens, kind="stable")
        return cls(
            plan,
            tokens=tokens[order],
            reservoir=flags[order],
            blocks=owners[order],
            rows=rows[order],
        )

    @cached_property
    def _owners(self) -> Int64[np.ndarray, " rows"]:
        return np.asarray(self._plan.owners[self.tokens])

    @property
    def prompts(self) -> Int64[np.ndarray, " rows"]:
        """Id of the prompt that each row belongs to."""
        return np.asarray(self._plan.prompts[self._owners])

    @property
    def groups(self) -> Int64[np.ndarray, " rows"]:
        """Group of that prompt."""
        return np.asarray(self._plan.groups[self._owners])

    @property
    def positions(self) -> Int64[np.ndarray, " rows"]:
        """Position of each row in its prompt, from 0."""
        return np.asarray(self.tokens - self._plan.offsets[self._owners])

    def find(self, prompt: int, position: int | None) -> int:
        """Which row stands at a position of a prompt; None: the only row that the prompt has.

        Raises UserError, saying what there is.
        """
        number = self._number(prompt)
        start, end = (int(offset) for offset in self._plan.offsets[number : number + 2])
        if position is not None and not 0 <= position < end - start:
            # In a padded batch -1 is a pad, or the last token of the longest prompt only.
            raise UserError(
                f"prompt {prompt} has no position {position}",
                where="position",
                hint=f"positions count from 0; its last token is {end - start - 1}",
            )
        first, stop = (int(row) for row in np.searchsorted(self.tokens, [start, end]))
        if position is None:
            if stop - first == 1:
                return first
            raise self._not_stored(f"prompt {prompt} has {stop - first} stored rows", first, stop)
        found = int(np.searchsorted(self.tokens, start + position))
        if found == stop or self.tokens[found] != start + position:
            what = f"no row of prompt {prompt} is stored at position {position}"
            raise self._not_stored(what, first, stop, position)
        return found

    @cached_property
    def _by_id(self) -> tuple[Int64[np.ndarray, " prompts"], Int64[np.ndarray, " prompts"]]:
        order = np.argsort(self._plan.prompts, kind="stable")
        return self._plan.prompts[order], order

    def _number(self, prompt: int) -> int:
        ids, order = self._by_id
        found = int(np.searchsorted(ids, prompt))
        if found < len(ids) and ids[found] == prompt:
            return int(order[found])
        near = min(ids[max(0, found - 1) : found + 1], key=lambda each: abs(int(each) - prompt))
        raise UserError(
            f"there is no prompt {prompt} in the token plan",
            where=f"{len(ids)} prompts, {ids[0]} to {ids[-1]}",
            hint=f"the nearest is {near}; prompts too long for the model were left out",
        )

    def _not_stored(self, what: str, first: int, stop: int, near: int | None = None) -> UserError:
        stored = self.positions[first:stop]
        hint = "beyond a few rows for every model, rows are stored where the study asks for them"
        if near is not None and len(stored):
            hint = f"the nearest is {stored[np.argmin(np.abs(stored - near))]}"
        shown = ", ".join(str(each) for each in stored[:_MOST_SHOWN]) or "none"
        more = ", ..." if len(stored) > _MOST_SHOWN else ""
        return UserError(what, where=f"its stored positions: {shown}{more}", hint=hint)

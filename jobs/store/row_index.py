"""`RowIndex`: the stored rows of a position and where they lie, found by prompt and position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Bool, Int64

from cluster.errors import UserError
from jobs.tokens.plan import TokenPlan

_MOST_LISTED = 20
"""Most stored positions that an error lists."""


@dataclass(frozen=True, kw_only=True, eq=False)
class RowIndex:
    """The stored rows of one position in the plan's order; the same at every site and layer."""

    plan: TokenPlan
    """The tokens."""
    tokens: Int64[np.ndarray, " rows"]
    """Index in the token plan of each row, ascending; of a pooled row, of its first token."""
    reservoir: Bool[np.ndarray, " rows"]
    """True for rows of the reservoir chosen by hash."""
    blocks: Int64[np.ndarray, " rows"]
    """Number of the block that holds each row, in the order of units and shards."""
    rows: Int64[np.ndarray, " rows"]
    """Index of each row within its block."""

    @classmethod
    def of_blocks(
        cls,
        plan: TokenPlan,
        blocks: Sequence[tuple[Int64[np.ndarray, " _"], Bool[np.ndarray, " _"]]],
    ) -> RowIndex:
        """Build an index from the tokens and reservoir flags of every block, in stored order."""
        tokens = np.concatenate([np.zeros(0, np.int64), *(tokens for tokens, _ in blocks)])
        flags = np.concatenate([np.zeros(0, bool), *(flags for _, flags in blocks)])
        owners = np.repeat(np.arange(len(blocks)), [len(tokens) for tokens, _ in blocks])
        rows = np.concatenate([np.zeros(0, int), *(np.arange(len(tokens)) for tokens, _ in blocks)])
        order = np.argsort(tokens, kind="stable")
        return cls(
            plan=plan,
            tokens=tokens[order],
            reservoir=flags[order],
            blocks=owners[order],
            rows=rows[order],
        )

    @cached_property
    def _owners(self) -> Int64[np.ndarray, " rows"]:
        return np.asarray(self.plan.owners[self.tokens])

    @property
    def prompts(self) -> Int64[np.ndarray, " rows"]:
        """Id of the prompt of each row."""
        return np.asarray(self.plan.prompts[self._owners])

    @property
    def groups(self) -> Int64[np.ndarray, " rows"]:
        """Group of the prompt of each row."""
        return np.asarray(self.plan.groups[self._owners])

    @property
    def positions(self) -> Int64[np.ndarray, " rows"]:
        """Position of each row in its prompt, from 0."""
        return np.asarray(self.tokens - self.plan.offsets[self._owners])

    def find(self, prompt: int, position: int | None) -> int:
        """Return the index of a row.

        Args:
            prompt: id of a prompt.
            position: position in the prompt, from 0; None for the only row of the prompt.

        Raises:
            UserError: the row is not stored; the error lists the rows that are.
        """
        number = self._number(prompt)
        start, end = (int(offset) for offset in self.plan.offsets[number : number + 2])
        if position is not None and not 0 <= position < end - start:
            # Negative positions are refused: in a padded batch -1 would be padding.
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
        row = int(np.searchsorted(self.tokens, start + position))
        if row == stop or self.tokens[row] != start + position:
            what = f"no row of prompt {prompt} is stored at position {position}"
            raise self._not_stored(what, first, stop, position)
        return row

    @cached_property
    def _by_id(self) -> tuple[Int64[np.ndarray, " prompts"], Int64[np.ndarray, " prompts"]]:
        order = np.argsort(self.plan.prompts, kind="stable")
        return self.plan.prompts[order], order

    def _number(self, prompt: int) -> int:
        ids, order = self._by_id
        rank = int(np.searchsorted(ids, prompt))
        if rank < len(ids) and ids[rank] == prompt:
            return int(order[rank])
        near = min(ids[max(0, rank - 1) : rank + 1], key=lambda number: abs(int(number) - prompt))
        raise UserError(
            f"there is no prompt {prompt} in the token plan",
            where=f"{len(ids)} prompts, {ids[0]} to {ids[-1]}",
            hint=f"the nearest is {near}; prompts too long for the model were left out",
        )

    def _not_stored(self, what: str, first: int, stop: int, near: int | None = None) -> UserError:
        stored = self.positions[first:stop]
        hint = "only num_reservoir rows of a position are stored: name it in full_rows to have all"
        if near is not None and len(stored):
            hint = f"the nearest is {stored[np.argmin(np.abs(stored - near))]}"
        listed = ", ".join(str(position) for position in stored[:_MOST_LISTED]) or "none"
        more = ", ..." if len(stored) > _MOST_LISTED else ""
        return UserError(what, where=f"its stored positions: {listed}{more}", hint=hint)

"""`StoreSamples`: the inputs of metrics, read from one store, place by place.

A dialogue turn comes with the earlier turns, a token of an answer with the first one of the same
answers, and every sample with toxic directions or neurons where a probe of the base is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Float64, Int64

from analysis.rows.summary import GroupSummary, Reservoir, Sample
from jobs.models.family import NEURON_SITES
from jobs.probing.directions_file import StoredDirections
from jobs.store.activation_store import ActivationStore
from jobs.tokens.position_policy import FIRST_TOKEN, answer_token
from jobs.tokens.positions import find_positions

_TURN = re.compile(r"turn-(\d+)")
"""Labels of the policy `turn` of `jobs.tokens.positions`."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Turn:
    """All rows of one turn, one for each dialogue that has so many turns."""

    rows: Float32[np.ndarray, "rows d"]
    """δ at the last token of the turn."""
    prompts: Int64[np.ndarray, " rows"]
    """Id of the dialogue of each row."""
    groups: Int64[np.ndarray, " rows"]
    """Prompt group of each row."""


class StoreSamples:
    """Reads samples; rows of all turns at one site and layer stay in memory until the next."""

    def __init__(self, store: ActivationStore, toxic: StoredDirections | None = None) -> None:
        self._store = store
        self._toxic = toxic
        self._place: tuple[str, int] | None = None
        self._turns: dict[int, _Turn] = {}

    def at(self, site: str, layer: int, label: str) -> Sample:
        """Read the sample of a site, layer and position that were extracted."""
        sample = replace(self._store.sample(site, layer, label), site=site)
        sample = self._with_toxic(sample, site, layer)
        turn = turn_of(label)
        if answer_token(label) is not None:
            return replace(sample, first_token=self._first_token(site, layer, label, sample))
        if turn is None:
            return sample
        return replace(sample, turn=turn, earlier=self._earlier(site, layer, turn))

    def _with_toxic(self, sample: Sample, site: str, layer: int) -> Sample:
        """Add the toxic directions, or at sites of neurons the toxic neurons of the layer."""
        if self._toxic is None:
            return sample
        if site in NEURON_SITES:
            return replace(sample, toxic_neurons=self._toxic.neurons(layer))
        return replace(sample, toxic=self._toxic.directions)

    def _first_token(self, site: str, layer: int, label: str, sample: Sample) -> Sample | None:
        """Return the rows at the first token of the answers that reach this one.

        None where the first token was not extracted, or where shorter answers cannot be left out
        because not all of its rows are stored. Relative norms need the base's own rows, too: they
        are kept of the reservoir.
        """
        if label == FIRST_TOKEN:
            return sample
        if FIRST_TOKEN not in self._store.positions:
            return None
        here, first = (self._prompts_at(name) for name in (label, FIRST_TOKEN))
        if np.array_equal(here, first):
            return self._store.sample(site, layer, FIRST_TOKEN)
        if not self._store.keeps_all(FIRST_TOKEN):
            return None
        stored = self._store.stored(site, layer, FIRST_TOKEN)
        chosen = np.isin(stored.index.prompts, here)
        rows, owners, groups = (
            every[chosen] for every in (stored[:], stored.index.prompts, stored.index.groups)
        )
        base = None
        if stored.index.reservoir.all():
            base = self._store.base(site, layer, FIRST_TOKEN)[:][chosen]
        norms = np.zeros(len(rows)) if base is None else _norms(base)
        parts = {
            int(group): GroupSummary.from_rows(
                rows[groups == group], norms[groups == group], owners[groups == group], moments=True
            )
            for group in np.unique(groups)
        }
        kept = Reservoir(rows=rows, prompts=owners, groups=groups, base=base)
        return Sample(groups=parts, reservoir=kept, site=site, floor=sample.floor)

    def _prompts_at(self, label: str) -> Int64[np.ndarray, " prompts"]:
        """Return the ids of the prompts whose answer has a token of this number."""
        plan = self._store.token_plan
        found = find_positions(plan, [label], 0)
        return plan.prompts[plan.owners[found[0].tokens]] if found else plan.prompts[:0]

    def _earlier(self, site: str, layer: int, turn: int) -> Mapping[int, Sample]:
        """Return the earlier turns of those dialogues that reach this turn.

        Shorter dialogues are left out, so that a change of the set of dialogues does not look like
        drift. Empty where not all rows of a turn are stored: shorter dialogues cannot be removed.
        """
        if self._place != (site, layer):
            self._place, self._turns = (site, layer), {}
        numbers = filter(None, map(turn_of, self._store.positions))
        read = {n: self._turn(site, layer, n) for n in sorted(numbers) if n <= turn}
        turns = {number: rows for number, rows in read.items() if rows is not None}
        if len(turns) < len(read):
            return {}
        this_turn = turns.pop(turn)
        return {number: _sample(rows, this_turn.prompts) for number, rows in turns.items()}

    def _turn(self, site: str, layer: int, turn: int) -> _Turn | None:
        label = f"turn-{turn}"
        if not self._store.keeps_all(label):
            return None
        if turn not in self._turns:
            stored = self._store.stored(site, layer, label)
            self._turns[turn] = _Turn(
                rows=stored[:], prompts=stored.index.prompts, groups=stored.index.groups
            )
        return self._turns[turn]


def _norms(rows: Float32[np.ndarray, "rows d"]) -> Float64[np.ndarray, " rows"]:
    exact = rows.astype(np.float64)
    return np.asarray(np.sqrt(np.einsum("ij,ij->i", exact, exact)))


def turn_of(label: str) -> int | None:
    """Return the number of the dialogue turn (from 1) of a position label; None for others."""
    match = _TURN.fullmatch(label)
    return int(match[1]) if match else None


def _sample(turn: _Turn, prompts: Int64[np.ndarray, " prompts"]) -> Sample:
    """Summarise the rows of some dialogues, without relative norms: base rows are not stored."""
    chosen = np.isin(turn.prompts, prompts)
    groups = {}
    for group in np.unique(turn.groups[chosen]):
        in_group = chosen & (turn.groups == group)
        no_base_norms = np.zeros(int(in_group.sum()))
        groups[int(group)] = GroupSummary.from_rows(
            turn.rows[in_group], no_base_norms, turn.prompts[in_group], moments=True
        )
    return Sample(groups=groups, reservoir=None)

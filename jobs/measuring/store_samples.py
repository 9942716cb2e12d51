"""`StoreSamples`: the inputs of metrics, read from one store, place by place.

A dialogue turn comes with the earlier turns, and every sample with toxic directions or neurons
where a probe of the base is given.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float32, Int64

from analysis.rows.summary import GroupSummary, Sample
from jobs.models.family import NEURON_SITES
from jobs.probing.directions_file import StoredDirections
from jobs.store.activation_store import ActivationStore

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

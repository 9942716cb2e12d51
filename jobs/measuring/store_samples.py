"""`Samples`: what metrics take of one store, place by place.

Beside a dialogue turn stand the earlier ones, and toxic directions or neurons where a probe of the
base was given.
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
"""Labels that `jobs.tokens.positions` gives to the last tokens of user turns."""


@dataclass(frozen=True, kw_only=True, eq=False)
class _Turn:
    """All rows of one turn, one for each dialogue that comes so far."""

    rows: Float32[np.ndarray, "rows d"]
    """The rows."""
    prompts: Int64[np.ndarray, " rows"]
    """The dialogue of each."""
    groups: Int64[np.ndarray, " rows"]
    """The group of each."""


class StoreSamples:
    """Reads samples; rows of the dialogue turns of one site and layer are held until the next."""

    def __init__(self, store: ActivationStore, toxic: StoredDirections | None = None) -> None:
        self._store = store
        self._toxic = toxic
        self._place: tuple[str, int] | None = None
        self._turns: dict[int, _Turn] = {}

    def at(self, site: str, layer: int, label: str) -> Sample:
        """The sample of a place and position that were extracted."""
        sample = replace(self._store.sample(site, layer, label), site=site)
        sample = self._with_toxic(sample, site, layer)
        turn = turn_of(label)
        if turn is None:
            return sample
        return replace(sample, turn=turn, earlier=self._earlier(site, layer, turn))

    def _with_toxic(self, sample: Sample, site: str, layer: int) -> Sample:
        """What the probe found, in the coordinates of the site."""
        if self._toxic is None:
            return sample
        if site in NEURON_SITES:
            return replace(sample, toxic_neurons=self._toxic.neurons(layer))
        return replace(sample, toxic=self._toxic.directions)

    def _earlier(self, site: str, layer: int, turn: int) -> Mapping[int, Sample]:
        """Earlier turns of the dialogues that reach this one: who is left must not seem to drift.

        None where not all rows are stored, because then the others' cannot be taken off.
        """
        if self._place != (site, layer):
            self._place, self._turns = (site, layer), {}
        labels = filter(None, map(turn_of, self._store.positions))
        wanted = sorted(number for number in labels if number <= turn)
        found = {number: self._turn(site, layer, number) for number in wanted}
        whole = {number: rows for number, rows in found.items() if rows is not None}
        if len(whole) < len(found):
            return {}
        own = whole.pop(turn)
        return {number: _sample(rows, own.prompts) for number, rows in whole.items()}

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
    """Number of the dialogue turn that a position label stands for, from 1."""
    found = _TURN.fullmatch(label)
    return int(found[1]) if found else None


def _sample(turn: _Turn, prompts: Int64[np.ndarray, " prompts"]) -> Sample:
    """The rows of some dialogues; their base rows are not known, so no relative norms."""
    chosen = np.isin(turn.prompts, prompts)
    groups = {}
    for group in np.unique(turn.groups[chosen]):
        mine = chosen & (turn.groups == group)
        nothing = np.zeros(int(mine.sum()))
        groups[int(group)] = GroupSummary.from_rows(
            turn.rows[mine], nothing, turn.prompts[mine], moments=True
        )
    return Sample(groups=groups, reservoir=None)

"""`UnitShares`: which units of an extraction are still to be done, by whichever worker comes first.

Several attempts of one job may be at work at once. Each publishes its finished units where the
others see them, starts at a place of its own in the plan, and before every unit looks whether
somebody has done it. So a fast worker takes over from a slow one, a dead one costs the unit it was
at, and the last to look finds nothing left; at worst a unit is computed twice, with the same bytes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from jobs.store.unit_adoption import adopt_unit, is_finished
from jobs.tokens.batches import Unit
from jobs.worker.work import AttemptFolder, Work


class UnitShares:
    """The units of one plan, as one of the workers sees them."""

    def __init__(self, work: Work, planned: Sequence[Unit], plan_hash: str) -> None:
        self._attempt: AttemptFolder = work.attempt
        self._planned = planned
        self._plan_hash = plan_hash
        self._alone = work.num_workers == 1
        start = work.worker * len(planned) // work.num_workers
        self._order = [*planned[start:], *planned[:start]]
        self._done: set[int] = set()
        self._insisted_on: set[int] = set()

    @property
    def num_tokens_done(self) -> int:
        """Tokens of the units that are known to be done."""
        return sum(unit.num_tokens for unit in self._planned if unit.number in self._done)

    def left(self) -> Iterator[Unit]:
        """Unit after unit that nobody is known to have done when it is asked for."""
        yield from filter(self.is_open, self._order)

    def is_open(self, unit: Unit) -> bool:
        """True when nobody is known to have done it."""
        if unit.number in self._done:
            return False
        if self._alone or unit.number in self._insisted_on:
            return True
        attempt, plan_hash = self._attempt, self._plan_hash
        return not any(
            is_finished(attempt, other, unit, plan_hash) for other in self._attempt.others()
        )

    def insist_on(self, units: Sequence[Unit]) -> None:
        """Open whatever other attempts say of them: what they left could not be taken over."""
        self._insisted_on |= {unit.number for unit in units}

    def done(self, unit: Unit) -> None:
        """This worker has handed a unit to its writer."""
        self._done.add(unit.number)

    def adopt(self) -> list[Unit]:
        """Take over every whole unit of other attempts; the units that are still nobody's."""
        missing = []
        others = self._attempt.others()
        for unit in self._planned:
            if unit.number in self._done:
                continue
            if adopt_unit(self._attempt, others, unit, self._plan_hash):
                self._done.add(unit.number)
            else:
                missing.append(unit)
        return missing

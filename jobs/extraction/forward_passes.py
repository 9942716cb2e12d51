"""The forward passes over the units that are left: both models at each batch, or in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from jobs.extraction.spool import Spool, SpooledRows, SpooledUnitWriter
from jobs.extraction.unit_extractor import ActivationReader, BatchesTooLarge, UnitExtractor
from jobs.extraction.unit_shares import UnitShares
from jobs.models.language_model import LanguageModel
from jobs.taps.activations import Inputs, read_activations
from jobs.taps.taps import Place
from jobs.tokens.batches import Batch, Unit


def run_both_models(
    extractor: UnitExtractor,
    shares: UnitShares,
    budget: int,
    base: ActivationReader,
    aligned: ActivationReader,
) -> None:
    """Run every unit with both models in memory. Raises Stopped when the job is to stop."""
    for unit in shares.open_units():
        shares.start(unit)
        unit_budget = budget
        while not _fits(lambda: extractor.run(unit, unit_budget, base, aligned)):  # noqa: B023
            unit_budget //= 2
        shares.mark_done(unit)


@dataclass(frozen=True, eq=False)
class AlternatingPasses:
    """Models that take turns: rows of the base are spooled, for as many units as fit on disk."""

    extractor: UnitExtractor
    """Computes units."""
    shares: UnitShares
    """The units that are open."""
    spool: Spool
    """Where rows of the base are kept meanwhile."""
    budget: int
    """Most tokens forwarded together, padding included."""
    _budgets: dict[int, int] = field(default_factory=dict)
    """Number of a unit -> its smaller budget, after memory ran out in it."""

    def run(
        self,
        load_base: Callable[[], ActivationReader],
        load_aligned: Callable[[], ActivationReader],
    ) -> None:
        """Run every unit; each model is loaded for its turn, and released after it.

        Raises Stopped when the job is to stop.
        """
        while units := self._next_round():
            missing = [unit for unit in units if not self._rows_of(unit).has(unit)]
            if missing:
                base = load_base()
                for unit in missing:
                    self._spool_unit(unit, base)
                self.extractor.thread.wait()
                del base
            aligned = load_aligned()
            for unit in filter(self.shares.is_open, units):
                self._extract(unit, aligned)
            del aligned

    def _next_round(self) -> list[Unit]:
        """Return the next units whose rows fit on the disk together; at least one."""
        units: list[Unit] = []
        size = 0
        for unit in self.shares.open_units():
            size += self.spool.bytes_of(unit)
            if units and size > self.spool.room:
                break
            units.append(unit)
        return units

    def _spool_unit(self, unit: Unit, base: ActivationReader) -> None:
        self.shares.start(unit)
        while not _fits(lambda: self._write_rows(unit, base)):
            self._halve_budget(unit)

    def _write_rows(self, unit: Unit, base: ActivationReader) -> None:

        budget = self._budget(unit)
        writer = self._rows_of(unit).writer(unit)
        try:
            with self.extractor.memory_for(unit, budget), torch.inference_mode():
                for batch, inputs in self.extractor.batches(unit, budget):
                    rows = {place: rows.float() for place, rows in base(batch, inputs).items()}
                    self._write_batch(writer, batch, rows)
        except BatchesTooLarge:
            self.extractor.thread.submit(writer.abandon)
            raise
        self.extractor.thread.submit(writer.finish)

    def _write_batch(
        self, writer: SpooledUnitWriter, batch: Batch, rows: Mapping[Place, Tensor]
    ) -> None:
        copies = self.extractor.thread.copies()
        host_rows = {place: copies.add(tensor) for place, tensor in rows.items()}
        size = sum(tensor.nbytes for tensor in host_rows.values())
        self.extractor.thread.submit(lambda: writer.add(batch, host_rows), size, copies)

    def _extract(self, unit: Unit, aligned: ActivationReader) -> None:
        self.shares.start(unit)
        reader = self._rows_of(unit).reader(unit)
        if reader is None:
            return  # the cache was deleted: a later round makes the rows again

        def base(batch: Batch, inputs: Inputs) -> dict[Place, Tensor]:
            return reader.take(len(batch.gathered), inputs.device)

        if not _fits(lambda: self.extractor.run(unit, self._budget(unit), base, aligned)):
            # The base must run again at the same smaller budget: in a later round.
            self._release_rows(unit)
            self._halve_budget(unit)
            return
        self._release_rows(unit)
        self.shares.mark_done(unit)

    def _release_rows(self, unit: Unit) -> None:
        if not self.spool.is_shared:
            self._rows_of(unit).drop(unit)

    def _budget(self, unit: Unit) -> int:
        return self._budgets.get(unit.number, self.budget)

    def _halve_budget(self, unit: Unit) -> None:
        self._budgets[unit.number] = self._budget(unit) // 2

    def _rows_of(self, unit: Unit) -> SpooledRows:
        return self.spool.at(self._budget(unit))


def activation_reader(model: LanguageModel, places: Sequence[Place]) -> ActivationReader:
    """Return a function that reads a model's own activations at every place."""
    return lambda batch, inputs: read_activations(model, inputs, places)


def _fits(run: Callable[[], None]) -> bool:
    """Run; return False when memory ran out, after all that held the memory was released."""
    try:
        run()
    except BatchesTooLarge:
        return False
    return True

"""The passes of a pairing over the units that are left: both models at each batch, or in turns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from jobs.extraction.spooled_rows import SpooledRows, SpooledUnitWriter
from jobs.extraction.unit_extractor import ActivationReader, BatchesTooLarge, UnitExtractor
from jobs.taps.activations import Inputs, read_activations
from jobs.tokens.batches import Batch, Unit

if TYPE_CHECKING:
    from collections.abc import Sequence

    from torch import Tensor

    from jobs.extraction.unit_progress import UnitProgress
    from jobs.extraction.unit_shares import UnitShares
    from jobs.extraction.writer_thread import WriterThread
    from jobs.taps.taps import Place


def run_both_models(
    engine: UnitExtractor,
    shares: UnitShares,
    progress: UnitProgress,
    budget: int,
    base: ActivationReader,
    aligned: ActivationReader,
) -> None:
    """Every unit with both models at hand. Raises Stopped when asked to stop."""
    for unit in shares.left():
        progress.before(unit)
        within = budget
        while not _fits(lambda: engine.run(unit, within, base, aligned)):  # noqa: B023
            within //= 2
        shares.done(unit)
        progress.after(unit)


class AlternatingPasses:
    """Models that take turns: the base's rows are spooled, a round of units at a time."""

    def __init__(
        self,
        engine: UnitExtractor,
        shares: UnitShares,
        progress: UnitProgress,
        pipeline: WriterThread,
        spool: Callable[[int], SpooledRows],
        budget: int,
        unit_bytes: Callable[[Unit], int],
        most_bytes: float,
        keep: bool,
    ) -> None:
        """`spool` gives the rows at a token budget; `keep` leaves them for other extractions."""
        self._engine = engine
        self._shares = shares
        self._progress = progress
        self._pipeline = pipeline
        self._spool = spool
        self._unit_bytes = unit_bytes
        self._most_bytes = most_bytes
        self._keep = keep
        self._first_budget = budget
        self._budgets: dict[int, int] = {}

    def run(
        self, base: Callable[[], ActivationReader], aligned: Callable[[], ActivationReader]
    ) -> None:
        """Every unit; each model is loaded when its turn comes and let go after it.

        Raises Stopped when asked to stop.
        """
        while units := self._round():
            missing = [unit for unit in units if not self._of(unit).has(unit)]
            if missing:
                rows = base()
                for unit in missing:
                    self._fill(unit, rows)
                self._pipeline.wait()
                del rows
            rows = aligned()
            for unit in filter(self._shares.is_open, units):
                self._pair(unit, rows)
            del rows

    def _round(self) -> list[Unit]:
        """The next units whose rows fit on the disk together; at least one."""
        chosen: list[Unit] = []
        size = 0
        for unit in self._shares.left():
            size += self._unit_bytes(unit)
            if chosen and size > self._most_bytes:
                break
            chosen.append(unit)
        return chosen

    def _fill(self, unit: Unit, base: ActivationReader) -> None:
        self._progress.before(unit)
        while not _fits(lambda: self._write(unit, base)):
            self._halve(unit)

    def _write(self, unit: Unit, base: ActivationReader) -> None:
        import torch

        budget = self._budget(unit)
        writer = self._of(unit).writer(unit)
        try:
            with self._engine.memory_for(unit, budget), torch.inference_mode():
                for batch, inputs in self._engine.batches(unit, budget):
                    rows = {place: rows.float() for place, rows in base(batch, inputs).items()}
                    self._spool_batch(writer, batch, rows)
        except BatchesTooLarge:
            self._pipeline.call(writer.abandon)
            raise
        self._pipeline.call(writer.finish)

    def _spool_batch(
        self, writer: SpooledUnitWriter, batch: Batch, rows: Mapping[Place, Tensor]
    ) -> None:
        host = {place: self._pipeline.host(each) for place, each in rows.items()}
        size = sum(each.nbytes for each in host.values())
        self._pipeline.call(lambda: writer.add(batch, host), size)

    def _pair(self, unit: Unit, aligned: ActivationReader) -> None:
        self._progress.before(unit)
        spooled = self._of(unit).rows(unit)
        if spooled is None:
            return  # somebody cleared the cache: a later round makes them again

        def base(batch: Batch, inputs: Inputs) -> dict[Place, Tensor]:
            return spooled.take(len(batch.gathered), inputs.device)

        if not _fits(lambda: self._engine.run(unit, self._budget(unit), base, aligned)):
            # The base must redo it at the same smaller budget: its turn comes in a later round.
            self._let_go(unit)
            self._halve(unit)
            return
        self._let_go(unit)
        self._shares.done(unit)
        self._progress.after(unit)

    def _let_go(self, unit: Unit) -> None:
        if not self._keep:
            self._of(unit).drop(unit)

    def _budget(self, unit: Unit) -> int:
        return self._budgets.get(unit.number, self._first_budget)

    def _halve(self, unit: Unit) -> None:
        self._budgets[unit.number] = self._budget(unit) // 2

    def _of(self, unit: Unit) -> SpooledRows:
        return self._spool(self._budget(unit))


def activation_reader(model: Any, places: Sequence[Place]) -> ActivationReader:
    """A model's own rows."""
    return lambda batch, inputs: read_activations(model, inputs, places)


def _fits(work: Callable[[], None]) -> bool:
    """False when memory ran out; whatever held it is let go before anything is tried again."""
    try:
        work()
    except BatchesTooLarge:
        return False
    return True

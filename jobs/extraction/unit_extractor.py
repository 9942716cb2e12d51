"""`UnitExtractor`: one unit from its batches to its files, computed here and written beside.

When memory runs out, the unit is given up, and the caller runs both models on it again at half the
token budget.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from cluster.errors import UserError
from jobs.extraction.unit_rows import NonfiniteRowsError, PendingArrays, StoredParts, UnitRows
from jobs.extraction.writer_thread import HostCopies, WriterThread
from jobs.store.store_layout import UNITS
from jobs.store.unit_writer import RowBlock, UnitWriter
from jobs.taps.activations import Inputs, batches_of, form_offsets
from jobs.taps.taps import Place
from jobs.tokens.batches import Batch, Unit
from jobs.tokens.plan import TokenPlan
from jobs.tokens.positions import Position
from jobs.worker.whose_fault import is_out_of_memory

ActivationReader = Callable[[Batch, Inputs], dict["Place", "Tensor"]]
"""Returns one model's gathered rows [rows, d] of a batch at every place."""


class BatchesTooLarge(Exception):  # noqa: N818 - not a fault: the unit is tried again
    """Memory ran out in a unit that can be cut into smaller batches."""


@dataclass(frozen=True, kw_only=True, eq=False)
class UnitExtractor:
    """Runs units of one extraction; a writer thread writes their rows and summaries."""

    plan: TokenPlan
    """The tokens that both models see."""
    positions: Sequence[Position]
    """Positions that have rows."""
    places: Sequence[Place]
    """Sites and layers."""
    stored: StoredParts
    """Parts of each position that are stored."""
    folder: Path
    """Folder of the store."""
    thread: WriterThread
    """Writes what is computed."""
    device: torch.device | str
    """Device of the models."""
    after_unit: Callable[[Unit], None] = lambda unit: None
    """Called on the writer thread, after the last byte of each unit."""

    def batches(self, unit: Unit, budget: int) -> Iterator[tuple[Batch, Inputs]]:
        """Return the batches of a unit at a token budget, without those that have no rows."""
        return batches_of(self.plan, self.positions, self.device, budget, members=unit.members)

    def run(
        self, unit: Unit, budget: int, base: ActivationReader, aligned: ActivationReader
    ) -> None:
        """Compute a unit and submit all of it to the writer thread.

        Raises BatchesTooLarge, with nothing left of the unit, when smaller batches may fit.
        """
        writer = _SubmittingWriter(self.thread, self.folder / UNITS, unit, self.plan.hash)
        rows = UnitRows(
            self.plan, self.positions, self.stored, copies=self.thread.copies, store=writer.add
        )
        try:
            with self.memory_for(unit, budget), torch.inference_mode():
                for batch, inputs in self.batches(unit, budget):
                    base_rows = base(batch, inputs)
                    rows.add(batch, form_offsets(base_rows, aligned(batch, inputs), self.places))
                    self.thread.raise_error()
                nbytes = rows.summary_bytes
                self.thread.wait_for_room(nbytes)
                summaries = self.thread.copies(at_once=True)
                arrays = rows.finish(summaries.add)
        except BatchesTooLarge:
            writer.abandon()
            self.thread.wait()  # what is still to be copied holds memory of the device
            raise
        facts = {
            "token_budget": budget,
            "rows": {p.label: rows.num_rows[p.label] for p in self.positions},
        }
        writer.finish(arrays, facts, nbytes, summaries)
        self.thread.submit(lambda: self.after_unit(unit))

    @contextmanager
    def memory_for(self, unit: Unit, budget: int) -> Iterator[None]:
        """Turn an out-of-memory error into BatchesTooLarge where a smaller budget is possible."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            longest = int(self.plan.lengths[unit.members].max())
            if not is_out_of_memory(error) or budget <= longest:
                raise
            raise BatchesTooLarge(str(error).partition("\n")[0]) from None


class _SubmittingWriter:
    """A UnitWriter that lives on the writer thread: every method submits a task.

    The writer is created on the thread, too: its creation deletes the files of an earlier try,
    which the thread may still be writing.
    """

    def __init__(self, thread: WriterThread, folder: Path, unit: Unit, plan_hash: str) -> None:
        self._thread = thread
        self._unit = unit
        self._writer: UnitWriter
        thread.submit(lambda: self._create(folder, plan_hash))

    def add(self, block: RowBlock, copies: HostCopies) -> None:
        """Submit rows, with the copies that fill them."""
        self._thread.submit(lambda: self._writer.add(block), block.nbytes, copies)

    def abandon(self) -> None:
        """Submit the end of the unit without a marker."""
        self._thread.submit(lambda: self._writer.abandon())

    def finish(
        self,
        arrays: PendingArrays,
        facts: Mapping[str, object],
        nbytes: int,
        copies: HostCopies,
    ) -> None:
        """Submit summaries of `nbytes`, with the copies that fill them, and the marker."""
        self._thread.submit(lambda: self._finish(arrays, facts), nbytes, copies)

    def _create(self, folder: Path, plan_hash: str) -> None:
        self._writer = UnitWriter(folder, self._unit, plan_hash)

    def _finish(self, arrays: PendingArrays, facts: Mapping[str, object]) -> None:
        unit = self._unit
        try:
            self._writer.finish(arrays(), facts)
        except NonfiniteRowsError as error:
            raise UserError(
                f"{error} hold NaN or infinity",
                where=f"unit {unit.number} (group {unit.group}, {len(unit.members)} prompts)",
                hint="the aligned model may have diverged: look at its training_log.jsonl; "
                "float16 overflows where bfloat16 does not",
            ) from error

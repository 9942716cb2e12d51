"""`UnitEngine`: one unit from its batches to its files, computed here and written beside.

When memory runs out the unit is given back; both models redo it at half the token budget.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.extraction.unit_rows import NotFinite, UnitRows
from jobs.store.activation_units import FOLDER, RowBlock, UnitWriter
from jobs.taps.activations import Inputs, form_offsets
from jobs.tokens.batches import Batch, Unit, cut_batches, pad_batch
from jobs.worker.out_of_memory import is_out_of_memory

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    import numpy as np
    from torch import Tensor

    from jobs.extraction.unit_rows import StoredParts
    from jobs.extraction.writer_thread import WriterThread
    from jobs.taps.taps import Place
    from jobs.tokens.plan import TokenPlan
    from jobs.tokens.positions import Position

ActivationReader = Callable[[Batch, Inputs], dict["Place", "Tensor"]]
"""One model's gathered rows [rows, d] of a batch at every place."""


class BatchesTooLarge(Exception):  # noqa: N818 - no fault: it is tried again in smaller batches
    """Memory ran out in a unit that can be cut into smaller batches."""


class UnitExtractor:
    """Runs units of one extraction, their rows and summaries written by a pipeline."""

    def __init__(
        self,
        *,
        plan: TokenPlan,
        positions: Sequence[Position],
        places: Sequence[Place],
        keeping: StoredParts,
        folder: Path,
        pipeline: WriterThread,
        device: Any,
        written: Callable[[Unit], None] = lambda unit: None,
    ) -> None:
        """`written` is called on the pipeline's thread, after a unit's last byte."""
        self._plan = plan
        self._positions = positions
        self._places = places
        self._keeping = keeping
        self._folder = folder / FOLDER
        self._pipeline = pipeline
        self._device = device
        self._written = written

    def batches(self, unit: Unit, budget: int) -> Iterator[tuple[Batch, Inputs]]:
        """The unit's batches at a token budget, on the device; those without rows left out."""
        for members in cut_batches(self._plan, unit.members, budget):
            batch = pad_batch(self._plan, members, self._positions)
            if len(batch.gathered):
                yield batch, Inputs(batch, self._device)

    def run(
        self, unit: Unit, budget: int, base: ActivationReader, aligned: ActivationReader
    ) -> None:
        """Compute a unit, and hand all of it to the writer.

        Raises OutOfMemory, with nothing left of the unit, when smaller batches may help.
        """
        import torch

        call = self._pipeline.call
        writer = _Later(lambda: UnitWriter(self._folder, unit, self._plan.hash))
        rows = UnitRows(
            self._plan,
            self._positions,
            self._keeping,
            host=self._pipeline.host,
            store=lambda block: call(lambda: writer.it.add(block), _bytes_of(block)),
        )
        try:
            with self.memory_for(unit, budget), torch.inference_mode():
                for batch, inputs in self.batches(unit, budget):
                    base_rows = base(batch, inputs)
                    rows.add(batch, form_offsets(base_rows, aligned(batch, inputs), self._places))
                    self._pipeline.check()
                size = rows.summary_bytes
                self._pipeline.make_room(size)
                arrays = rows.finish()
        except BatchesTooLarge:
            call(lambda: writer.it.abandon())
            raise
        facts = {"token_budget": budget, "rows": rows.num_rows()}
        call(lambda: self._finish(unit, writer.it, arrays, facts), size)

    @contextmanager
    def memory_for(self, unit: Unit, budget: int) -> Iterator[None]:
        """Turns the end of memory into OutOfMemory, as long as there is a smaller budget."""
        try:
            yield
        except (RuntimeError, MemoryError) as error:
            longest = int(self._plan.lengths[unit.members].max())
            if not is_out_of_memory(error) or budget <= longest:
                raise
            raise BatchesTooLarge(str(error).partition("\n")[0]) from None

    def _finish(
        self,
        unit: Unit,
        writer: UnitWriter,
        arrays: Callable[[], dict[str, np.ndarray]],
        facts: dict[str, Any],
    ) -> None:
        try:
            writer.finish(arrays(), facts)
        except NotFinite as fault:
            raise UserError(
                f"{fault} hold NaN or infinity",
                where=f"unit {unit.number} (group {unit.group}, {len(unit.members)} prompts)",
                hint="the aligned model may have diverged: look at its training_log.jsonl; "
                "float16 overflows where bfloat16 does not",
            ) from fault
        self._written(unit)


class _Later:
    """A writer that comes to be on the thread that uses it, after whatever came before."""

    def __init__(self, make: Callable[[], UnitWriter]) -> None:
        self._make = make
        self._made: UnitWriter | None = None

    @property
    def it(self) -> UnitWriter:
        if self._made is None:
            self._made = self._make()
        return self._made


def _bytes_of(block: RowBlock) -> int:
    return sum(int(rows.nbytes) for rows in (*block.rows.values(), *block.base.values()))

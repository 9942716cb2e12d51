"""Whether running out of memory is recognised and survived: the memory is really gone."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import TRAINER, Aim, Part, Row
from benchmarks.gpu.shapes import tiny
from benchmarks.gpu.training_steps import or_does_not_fit, params_for, run_ours
from benchmarks.gpu.units import small_workload
from benchmarks.workload import Workload, random_pair, random_plan
from jobs.extraction.forward_passes import activation_reader
from jobs.extraction.unit_extractor import BatchesTooLarge, UnitExtractor
from jobs.extraction.unit_rows import StoredParts
from jobs.extraction.writer_thread import WriterThread
from jobs.tokens.batches import cut_units
from jobs.tokens.positions import find_positions

_THROUGH = "a unit comes through in smaller batches"
_NOTHING_STAYS = "nothing stays of a try that ran out of memory, bytes"
_TRAINING = "training that runs out of memory is recognised, and lets go of it"
_ROOM_GB = 1.5
"""What is left of the GPU while memory is short."""
_WIDE = {"num_layers": 4, "d_model": 1024, "num_heads": 16, "vocab_size": 8000,
         "max_positions": 1024, "d_mlp": 4096}  # fmt: skip


class OutOfMemory(Part):
    """All but a little of the GPU's memory is held, and more is asked for."""

    ORDER = 40
    QUESTION = "Does it survive running out of memory?"
    AIMS = {_THROUGH: Aim(), _NOTHING_STAYS: Aim(most=2**20), _TRAINING: Aim()}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield an extraction's recovery, then a training run's end."""
        yield from self._extraction(machine)
        if all(find_spec(name) for name in TRAINER):
            yield self._training(machine)
        else:
            yield self.row(_TRAINING, None, note="trl is not installed")

    def _extraction(self, machine: Machine) -> Iterator[Row]:
        fields = tiny("gpt2") | ({} if machine.rehearses else _WIDE)
        workload = small_workload(fields)
        if not machine.rehearses:
            workload = replace(workload, num_prompts=1024, lengths=(64, 512), token_budget=1 << 18)
        models = random_pair(workload, machine.device)
        machine.free_memory()
        before, budget, left = machine.allocated_bytes(), workload.token_budget, 0
        with _short_of_memory(machine, models[1]), tempfile.TemporaryDirectory() as folder:
            held = machine.allocated_bytes()
            while not _comes_through(workload, models, machine.device, Path(folder), budget):
                budget //= 2
                left = max(left, machine.allocated_bytes() - held)
        ran_out = budget < workload.token_budget
        note = f"batches of {budget:,} tokens instead of {workload.token_budget:,}"
        yield self.row(_THROUGH, ran_out, note=note if ran_out else "memory did not run out")
        yield self.row(_NOTHING_STAYS, left)
        machine.free_memory()
        yield Row(what="held more than before", value=machine.allocated_bytes() - before,
                  unit="bytes")  # fmt: skip

    def _training(self, machine: Machine) -> Row:
        fields = tiny("gpt2") | ({} if machine.rehearses else _WIDE)
        params = params_for(machine, dtype="float32", global_batch=32, micro_batch=32)
        length = 32 if machine.rehearses else 1024
        machine.free_memory()
        before = machine.allocated_bytes()
        with _short_of_memory(machine, None):
            seen, why = or_does_not_fit(
                machine, lambda: run_ours(machine, fields, params, steps=2, length=length)
            )
        machine.free_memory()
        stays = machine.allocated_bytes() - before
        if machine.rehearses:  # nothing can run out on a processor
            return self.row(_TRAINING, None, note="a processor's memory is not held")
        return self.row(
            _TRAINING, seen is None and stays < 2**20, note=f"{why or 'it fitted'}; {stays} bytes"
        )


def _comes_through(
    workload: Workload, models: tuple[Any, Any], device: str, folder: Path, budget: int
) -> bool:
    """Run the first unit at a token budget; return False where memory ran out."""
    import torch

    plan = random_plan(workload)
    places = [("resid_post", workload.num_layers - 1)]
    base, aligned = (activation_reader(model, places) for model in models)
    try:
        with WriterThread(torch.device(device)) as thread:
            UnitExtractor(
                plan=plan,
                positions=find_positions(plan, ("last",), 4),
                places=places,
                stored=StoredParts(
                    dense=frozenset(), rowwise=frozenset({"last"}), full=frozenset(), rows="float32"
                ),
                folder=folder,
                thread=thread,
                device=device,
            ).run(cut_units(plan, 1 << 30)[0], budget, base, aligned)
    except BatchesTooLarge:
        return False
    return True


@contextmanager
def _short_of_memory(machine: Machine, model: Any) -> Iterator[None]:
    """Leave little of the GPU's memory; on a processor, have a model raise what a GPU would.

    Raises RuntimeError there for batches of more than two prompts.
    """
    import torch

    if machine.on_gpu:
        machine.free_memory()
        free, _ = torch.cuda.mem_get_info()
        held = torch.empty(max(0, free - int(_ROOM_GB * 1e9)), dtype=torch.uint8, device="cuda")
        try:
            yield
        finally:
            del held
        return

    def refuse(module: Any, inputs: tuple[Any, ...], output: Any) -> None:
        first = output[0] if isinstance(output, tuple) else output
        if len(first) > 2:
            raise torch.OutOfMemoryError("CUDA out of memory. This is a rehearsal")

    if model is None:
        yield
        return
    handle = model.get_submodule("transformer.h.1").register_forward_hook(refuse)
    try:
        yield
    finally:
        handle.remove()

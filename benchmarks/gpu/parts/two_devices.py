"""Whether a pair of models that is spread over two GPUs gives the rows of one GPU."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import Aim, Part, Row
from benchmarks.gpu.parts.parity import all_places, largest_difference
from benchmarks.gpu.shapes import tiny
from benchmarks.gpu.units import extract_unit, pair_on_processor, small_workload
from benchmarks.preference_workload import word_tokenizer

_SAME = "a unit over two GPUs and on one, largest relative difference"


class TwoDevices(Part):
    """Tiny models of two families, their blocks on two devices."""

    ORDER = 102
    QUESTION = "Does extraction over two GPUs give the rows of one?"
    LEAST_GPUS = 2
    NEEDS = ("accelerate",)
    AIMS = {_SAME: Aim(most=1e-4)}

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield a row for each family."""
        for family in ("gpt2", "llama"):
            workload = small_workload(tiny(family))
            models = pair_on_processor(workload)
            places = all_places(models[0], (1, workload.num_layers - 1))
            spread = tuple(_spread(model, machine) for model in models)
            over_two = extract_unit(workload, spread, places, _first(machine))  # type: ignore[arg-type]
            on_one = tuple(model.to(machine.device) for model in models)
            alone = extract_unit(workload, on_one, places, machine.device)  # type: ignore[arg-type]
            worst, at = largest_difference(over_two, alone)
            yield self.row(_SAME, worst, of=family, note=f"at {at}" if at else "")


def _first(machine: Machine) -> str:
    return "cuda:0" if machine.on_gpu else "cpu"


def _spread(model: Any, machine: Machine) -> Any:
    """Save a model and load it again, its blocks over two devices, as a job does."""
    from jobs.models.device import spread
    from jobs.models.loading import load_model, save_checkpoint

    devices: list[int | str] = [0, 1] if machine.on_gpu else ["cpu", "cpu"]
    with tempfile.TemporaryDirectory() as name:
        save_checkpoint(model, word_tokenizer(model.config.vocab_size), Path(name))
        return load_model(Path(name), device=spread(Path(name), devices))

"""One unit of an extraction, whole: forward passes of a pair, sums, files; and what it left."""

from __future__ import annotations

import copy
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.workload import Workload, random_model, random_plan
from jobs.extraction.forward_passes import activation_reader
from jobs.extraction.unit_extractor import UnitExtractor
from jobs.extraction.unit_rows import StoredParts
from jobs.extraction.writer_thread import WriterThread
from jobs.store.unit_arrays import UnitArrays
from jobs.taps.taps import Place
from jobs.tokens.batches import cut_units
from jobs.tokens.position_policy import Policy
from jobs.tokens.positions import find_positions

POLICIES: tuple[Policy, ...] = ("all", "last", "mean", "response")


@dataclass(frozen=True)
class FolderFiles:
    """The files of a store in a plain folder."""

    root: Path
    """The folder."""

    def names(self, folder: str = "") -> list[str]:
        """List the files below a folder."""
        below = (self.root / folder).rglob("*")
        return sorted(str(path.relative_to(self.root)) for path in below if path.is_file())

    def path(self, name: str) -> Path:
        """Return a file's path."""
        return self.root / name

    def read(self, name: str) -> bytes:
        """Return a file's bytes."""
        return self.path(name).read_bytes()


def small_workload(fields: dict[str, Any], *, dtype: str = "float32") -> Workload:
    """Return 24 prompts of 8 to 40 tokens in batches of 160."""
    return Workload(fields=fields, dtype=dtype, num_prompts=24, lengths=(8, 40), token_budget=160)


def moved(model: Any) -> Any:
    """Return a copy of a model on the processor whose weights have moved by a hundredth."""
    import torch

    torch.manual_seed(1)
    aligned = copy.deepcopy(model)
    with torch.no_grad():
        for weight in aligned.parameters():
            weight.add_(1e-2 * torch.randn(weight.shape).to(weight))
    return aligned


def pair_on_processor(workload: Workload) -> tuple[Any, Any]:
    """Return a random base and what it has moved to, the same on every machine."""
    base = random_model(workload, "cpu")
    return base, moved(base)


def extract_unit(
    workload: Workload,
    models: tuple[Any, Any],
    places: Sequence[Place],
    device: str,
    *,
    policies: tuple[Policy, ...] = POLICIES,
) -> dict[str, np.ndarray]:
    """Extract the first unit on a device with d x d moments at all positions; its arrays by name.

    Args:
        workload: shape and prompts.
        models: base and aligned, on the device.
        places: sites and layers.
        device: where the models are.
        policies: positions.
    """
    import torch

    plan = random_plan(workload)
    unit = cut_units(plan, 1 << 30)[0]
    base, aligned = (activation_reader(model, places) for model in models)
    stored = StoredParts(
        dense=frozenset({"all"}), rowwise=frozenset({"last"}), full=frozenset(), rows="float32"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with WriterThread(torch.device(device)) as thread:
            extractor = UnitExtractor(
                plan=plan,
                positions=find_positions(plan, policies, 8),
                places=places,
                stored=stored,
                folder=folder,
                thread=thread,
                device=device,
            )
            extractor.run(unit, workload.token_budget, base, aligned)
        arrays = UnitArrays(FolderFiles(folder), unit.name)
        return {name: np.array(arrays[name]) for name in arrays}

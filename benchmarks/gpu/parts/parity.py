"""Whether the GPU computes what the processor computes: every family, every array of a unit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

import numpy as np

from benchmarks.gpu.machine import Machine
from benchmarks.gpu.part import Aim, Part, Row
from benchmarks.gpu.shapes import tiny
from benchmarks.gpu.units import extract_unit, pair_on_processor, small_workload
from benchmarks.workload import Workload, random_plan
from jobs.models.family import FAMILIES, SITES, Tap
from jobs.taps.activations import Inputs, read_activations
from jobs.taps.selftest import check_residual_stream
from jobs.taps.taps import Place, read_sites, taps_of
from jobs.tokens.batches import pad_batch
from jobs.tokens.positions import find_positions

_FP32 = "a unit in fp32 here and on the processor, largest relative difference"
_SAME = "the same unit twice, equal bits"
_MASK_FP32 = "padding without a mask and with one, fp32"
_MASK_BF16 = "padding without a mask and with one, bf16"
_SUM = "sites add up in bf16"
_HISTOGRAMS = (".norms.", ".relative_norms.")
"""Counts in bins: a row on a border may fall on either side."""


class Parity(Part):
    """A pair of tiny models of each family, on both devices."""

    ORDER = 20
    QUESTION = "Does it compute what the processor computes?"
    AIMS = {
        _FP32: Aim(most=1e-4),
        _SAME: Aim(),
        _MASK_FP32: Aim(most=1e-5),
        _MASK_BF16: Aim(most=2e-2),
        _SUM: Aim(),
    }

    def rows(self, machine: Machine) -> Iterator[Row]:
        """Yield the rows of each family."""
        families = FAMILIES.names()
        for family in families[:2] if machine.rehearses else families:
            yield from self._family(machine, family)

    def _family(self, machine: Machine, family: str) -> Iterator[Row]:
        workload = small_workload(tiny(family))
        base, aligned = pair_on_processor(workload)
        places = all_places(base, (1, workload.num_layers - 1))
        there = extract_unit(workload, (base, aligned), places, "cpu")
        models = (deepcopy(base).to(machine.device), deepcopy(aligned).to(machine.device))
        here = extract_unit(workload, models, places, machine.device)
        worst, at = largest_difference(here, there)
        yield self.row(_FP32, worst, of=family, note=f"at {at}, {len(there)} arrays")
        again = extract_unit(workload, models, places, machine.device)
        yield self.row(_SAME, equal_bits(here, again), of=family)
        place = ("resid_post", workload.num_layers - 1)
        yield self.row(_MASK_FP32, mask_difference(models[0], workload, place, machine), of=family)
        half = models[0].bfloat16()
        yield self.row(_MASK_BF16, mask_difference(half, workload, place, machine), of=family)
        yield self.row(_SUM, *_adds_up(half, workload, place, machine), of=family)

    def row(self, name: str, value: Any, fault: str = "", **words: Any) -> Row:
        """Return a row with a fault as its note."""
        return super().row(name, value, **({"note": fault} if fault else {}), **words)


def all_places(model: Any, layers: Sequence[int]) -> list[Place]:
    """Return every site that a model has at these layers."""
    taps = taps_of(model)
    return [(site, layer) for site in SITES if isinstance(taps[site], Tap) for layer in layers]


def largest_difference(
    here: Mapping[str, np.ndarray], there: Mapping[str, np.ndarray]
) -> tuple[float, str]:
    """Return the largest relative difference (Frobenius) of two units' arrays, and where it is.

    Infinity where one has what the other lacks. Of histograms, the number of rows and the range.
    """
    if here.keys() != there.keys():
        return float("inf"), f"arrays {sorted(here.keys() ^ there.keys())[:3]}"
    worst = (0.0, "")
    for name in there:
        ours, theirs = here[name].astype(np.float64), there[name].astype(np.float64)
        if any(part in name for part in _HISTOGRAMS):
            if name.endswith("columns"):
                continue
            if name.endswith("counts"):
                ours, theirs = ours.sum(), theirs.sum()
        if np.shape(ours) != np.shape(theirs):
            return float("inf"), name
        scale = np.linalg.norm(theirs) or 1.0
        worst = max(worst, (float(np.linalg.norm(ours - theirs) / scale), name))
    return worst


def equal_bits(here: Mapping[str, np.ndarray], there: Mapping[str, np.ndarray]) -> bool:
    """Return whether two units hold the same bytes."""
    return here.keys() == there.keys() and all(
        here[name].tobytes() == there[name].tobytes() for name in here
    )


def mask_difference(model: Any, workload: Workload, place: Place, machine: Machine) -> float:
    """Return how far activations without an attention mask are from those with one, relatively."""
    import torch

    plan = random_plan(workload)
    batch = pad_batch(plan, np.arange(6), find_positions(plan, ("all",), 0))
    inputs = Inputs(batch, machine.device)
    without = read_activations(model, inputs, [place])[place].float()
    mask = torch.from_numpy(batch.attention_mask).to(machine.device)
    with torch.inference_mode(), read_sites(model, [place], inputs.gather) as kept:
        model.base_model(
            input_ids=inputs.token_ids,
            attention_mask=mask,
            position_ids=inputs.position_ids,
            use_cache=False,
        )
    with_mask = kept[place].float()
    return float((without - with_mask).norm() / with_mask.norm())


def _adds_up(model: Any, workload: Workload, place: Place, machine: Machine) -> tuple[bool, str]:
    plan = random_plan(workload)
    batch = pad_batch(plan, np.arange(6), find_positions(plan, ("all",), 0))
    try:
        check_residual_stream("random", model, Inputs(batch, machine.device), place[1])
    except Exception as fault:
        return False, str(fault).partition("\n")[0]
    return True, ""

"""How an extraction holds its two models: chosen from their size and this machine's memory.

Every pairing gives the same numbers; the record states the choice and its reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

import torch

from cluster.errors import UserError
from cluster.machine.container_limits import free_host_bytes

MEMORY_PER_WEIGHT_BYTE = 1.25
"""Bytes of memory for each byte of weights, activations, summaries and buffers included."""
WORTH_SAVING_S = 20.0
"""Seconds of the base's forward passes below which its rows are not kept on disk."""
DISK_BYTES_PER_S = 1e9
"""Assumed speed of a local disk; writing rows once and reading them once must beat the forward."""
FLOPS_PER_S = {"cpu": 35e9, "cuda": 100e12}
"""Assumed speed of one thread (measured: 71e9 on two, GPT-2 of 12 layers, d = 512), and of one
GPU, cautiously: right to an order of magnitude, for this one decision."""


class Pairing(Enum):
    """How both models are held."""

    ADAPTER = "adapter"
    """One resident model, its adapter switched on and off."""
    RESIDENT = "resident"
    """Both models in memory."""
    SEQUENTIAL = "sequential"
    """One model after the other; the base's rows are on disk in fp32 meanwhile."""


@dataclass(frozen=True, kw_only=True)
class PairingConditions:
    """The facts that the choice depends on."""

    has_adapter: bool
    """The aligned model is an adapter on this very base."""
    weight_bytes: int
    """Bytes of one model in its compute dtype."""
    memory_bytes: int
    """Bytes for models: free on the GPUs of the job together, or in the host."""
    spool_bytes: int
    """Bytes of all rows of the base in fp32."""
    is_shared: bool
    """There is room for all rows where other extractions of this base find them."""
    forward_s: float
    """Estimated seconds of one model's forward passes over the whole plan."""


@dataclass(frozen=True, kw_only=True)
class PairingChoice:
    """The pairing of an extraction."""

    pairing: Pairing
    """How both models are held."""
    why: str
    """Reason, as the record states it."""


def choose_pairing(param: str, conditions: PairingConditions) -> PairingChoice:
    """Choose the pairing that the study names, or for `auto` the cheapest one that fits.

    Raises:
        UserError: the study names `adapter`, and the aligned model is none.
    """
    if param == "adapter" and not conditions.has_adapter:
        raise UserError(
            "the aligned model is no adapter on this base",
            where="pairing",
            allowed=["auto", "resident", "sequential"],
        )
    if param != "auto":
        return PairingChoice(pairing=Pairing(param), why="the study asks for it")
    if conditions.has_adapter:
        return PairingChoice(
            pairing=Pairing.ADAPTER, why="the aligned model is an adapter on the base"
        )
    needed = 2 * MEMORY_PER_WEIGHT_BYTE * conditions.weight_bytes
    if needed > conditions.memory_bytes:
        memory_gb = conditions.memory_bytes / 1e9
        why = f"two models need {needed / 1e9:.1f} GB, there are {memory_gb:.1f}"
        return PairingChoice(pairing=Pairing.SEQUENTIAL, why=why)
    disk_s, forward_s = 2 * conditions.spool_bytes / DISK_BYTES_PER_S, conditions.forward_s
    if conditions.is_shared and forward_s >= WORTH_SAVING_S and disk_s < forward_s:
        why = (
            f"the base's rows are {conditions.spool_bytes / 1e9:.2g} GB, about {disk_s:.2g} s of "
            f"disk, its forward passes about {forward_s:.2g} s: kept for others of this base"
        )
        return PairingChoice(pairing=Pairing.SEQUENTIAL, why=why)
    return PairingChoice(pairing=Pairing.RESIDENT, why="both models fit into memory")


def estimate_forward_seconds(
    num_parameters: int, num_tokens: int, device: str, threads: int
) -> float:
    """Estimate the time of forward passes, at two operations for each parameter and token."""
    speed = FLOPS_PER_S[device] * (threads if device == "cpu" else 1)
    return 2 * num_parameters * num_tokens / speed


def free_memory(num_gpus: float, memory_gb: float) -> int:
    """Return the bytes for models: free on the job's GPUs, or of the host (set aside, or free)."""
    if num_gpus > 0:
        # Not on all that torch sees: the models go to these, and asking opens a context of 0.5 GB.
        asked = [torch.cuda.mem_get_info(gpu) for gpu in range(max(1, int(num_gpus)))]
        return int(sum(min(free, num_gpus * total) for free, total in asked))  # a part, if below 1
    if memory_gb:
        return int(memory_gb * 1e9)
    return free_host_bytes()

"""How one extraction has its two models: decided from their sizes and this machine's memory.

The numbers are the same each way; what was chosen, and why, stands in the record.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from cluster.errors import UserError

ROOM = 1.25
"""Memory wanted for each byte of weights: activations, summaries and buffers need the rest."""
WORTH_SAVING_S = 20.0
"""Below this much base forward in all, nothing is worth being kept on disk."""
DISK_BYTES_PER_S = 1e9
"""What a local disk is counted on for; writing once and reading once must beat the forward."""
FLOPS_PER_S = {"cpu": 35e9, "cuda": 100e12}
"""Of one thread (measured: 71e9 on two, GPT-2 of 12 layers, d = 512), and of one GPU, cautiously:
of an order of magnitude, for this one decision."""


class Pairing(Enum):
    """How both models are had."""

    ADAPTER = "adapter"
    """One resident model, its adapter switched on and off."""
    RESIDENT = "resident"
    """Both in memory."""
    SEQUENTIAL = "sequential"
    """One after the other; the base's rows lie on disk in fp32 in between."""


@dataclass(frozen=True, kw_only=True)
class PairingConditions:
    """What the choice depends on."""

    has_adapter: bool
    """The aligned model is an adapter on this very base."""
    weight_bytes: int
    """Of one model, in the dtype it computes in."""
    memory_bytes: int
    """For models: of the GPUs together, or free in the host."""
    spool_bytes: int
    """All rows of the base that offsets are formed from, in fp32."""
    is_shared: bool
    """There is room for all of them where other extractions of this base find them."""
    forward_s: float
    """Estimated seconds of one model's forward passes over the whole plan."""


@dataclass(frozen=True, kw_only=True)
class PairingChoice:
    """What was chosen."""

    pairing: Pairing
    """How."""
    why: str
    """As the record says it."""


def choose_pairing(asked: str, now: PairingConditions) -> PairingChoice:
    """What the study asks for, or what fits and is cheapest.

    Raises:
        UserError: asked for an adapter that there is none of.
    """
    if asked == "adapter" and not now.has_adapter:
        raise UserError(
            "the aligned model is no adapter on this base",
            where="pairing",
            allowed=["auto", "resident", "sequential"],
        )
    if asked != "auto":
        return PairingChoice(pairing=Pairing(asked), why="the study asks for it")
    if now.has_adapter:
        return PairingChoice(
            pairing=Pairing.ADAPTER, why="the aligned model is an adapter on the base"
        )
    needed = 2 * ROOM * now.weight_bytes
    if needed > now.memory_bytes:
        why = f"two models need {needed / 1e9:.1f} GB, there are {now.memory_bytes / 1e9:.1f}"
        return PairingChoice(pairing=Pairing.SEQUENTIAL, why=why)
    disk_s = 2 * now.spool_bytes / DISK_BYTES_PER_S
    if now.is_shared and now.forward_s >= WORTH_SAVING_S and disk_s < now.forward_s:
        why = (
            f"the base's rows are {now.spool_bytes / 1e9:.2g} GB, about {disk_s:.2g} s of disk, "
            f"its forward passes about {now.forward_s:.2g} s: kept for others of this base"
        )
        return PairingChoice(pairing=Pairing.SEQUENTIAL, why=why)
    return PairingChoice(pairing=Pairing.RESIDENT, why="both models fit into memory")


def estimate_forward_seconds(
    num_parameters: int, num_tokens: int, device: str, threads: int
) -> float:
    """Roughly, at two operations for each parameter and token."""
    speed = FLOPS_PER_S[device] * (threads if device == "cpu" else 1)
    return 2 * num_parameters * num_tokens / speed

"""Under which circumstances a number was measured: which models, prompts and preferences.

They are read off the jobs behind a number, so that no answer depends on what a study calls its
axes.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

DPO = "dpo"
SFT = "sft"
SHUFFLED = "dpo-shuffled"
UNALIGNED = "unaligned"
CONTROLS = (SFT, SHUFFLED, UNALIGNED)
"""Objectives that are there to be compared with."""
PLAIN = "plain"


class Origin(StrEnum):
    """Where preference pairs come from."""

    COLLECTED = "collected"
    """Texts of a source outside: written or chosen by people, as far as the study says."""
    LANGUAGE = "language"
    """Drawn from the generated language that a model organism was trained on."""
    STEERED = "steered"
    """Synthetic and narrow: a model's own continuations against steered ones, as in the paper."""
    UNKNOWN = "unknown"
    """Their kind or format is not installed any more; nothing follows from such pairs."""


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """What the jobs behind one number say about it; None wherever it does not apply."""

    base: str | None = None
    """Key of the model before alignment."""
    aligned: str | None = None
    """Key of the aligned model; None: the number is of the base alone."""
    objective: str | None = None
    """What the aligned model was trained towards; `published` when it came aligned."""
    preferences: Origin | None = None
    """Where its preference pairs come from."""
    prompts: str | None = None
    """Key of the prompts."""
    source: str | None = None
    """What the prompts are before any transform."""
    transform: str | None = None
    """What was done to them."""
    dialogue: bool = False
    """Whether they have turns."""
    against_prompts: str | None = None
    """Key of the prompts it is compared with."""
    against_objective: str | None = None
    """Objective of the model it is compared with."""
    against_aligned: str | None = None
    """Key of that model."""
    intervention: str | None = None
    """What was done to the model while it ran."""
    changed: str | None = None
    """To which model of the pair: `base` or `aligned`."""
    from_scratch: bool = False
    """Whether the base was trained for this study: a model organism."""

    @property
    def is_of_another_seed(self) -> bool:
        """Whether it is compared with a model that differs in its seed, as far as is known."""
        same = self.against_prompts == self.prompts and self.against_objective == self.objective
        return same and self.against_aligned != self.aligned

    @property
    def is_plain(self) -> bool:
        """Whether nothing was done to the prompts and they have no turns."""
        return self.transform == PLAIN and not self.dialogue

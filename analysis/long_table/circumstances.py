"""The circumstances of a measurement: models, prompts and preferences.

They are derived from the jobs behind a number, so that no answer depends on the names of a study's
axes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

DPO = "dpo"
SFT = "sft"
SHUFFLED = "dpo-shuffled"
UNALIGNED = "unaligned"
PUBLISHED = "published"
"""What stands for the objective of a model that came aligned."""
CONTROLS = (SFT, SHUFFLED, UNALIGNED)
"""Objectives that serve as controls."""
PLAIN = "plain"
_MOST_LOSSES = 4


class Origin(StrEnum):
    """Where preference pairs come from."""

    COLLECTED = "collected"
    """Texts of a source outside: written or chosen by people, as far as the study says."""
    LANGUAGE = "language"
    """Drawn from the generated language that a model organism was trained on."""
    STEERED = "steered"
    """Synthetic and narrow: a model's own continuations against steered ones, as in the paper."""
    UNKNOWN = "unknown"
    """The kind or format of the pairs is no longer installed."""


@dataclass(frozen=True, kw_only=True)
class Circumstances:
    """The circumstances of one number, from the jobs behind it; None where they do not apply."""

    base: str | None = None
    """Key of the model before alignment."""
    aligned: str | None = None
    """Key of the aligned model; None: the number is of the base alone."""
    alone: bool = False
    """Whether the number is of one model, with no other beside it."""
    spans_trainings: bool = False
    """Whether that model's own training began with another model than this base."""
    run: str | None = None
    """Key of the job that trained the aligned model; of a snapshot, the run it was taken of."""
    step: int | None = None
    """The training step after which the aligned model was kept; None: it is no snapshot."""
    midway: bool = False
    """Whether the aligned model is one on the way, and not what training left in the end."""
    objective: str | None = None
    """Objective of the aligned model's training; `published` when it came aligned."""
    preferences: Origin | None = None
    """Origin of its preference pairs."""
    prompts: str | None = None
    """Key of the prompts."""
    source: str | None = None
    """The prompts before any transform: equal for all transforms of one set."""
    transform: str | None = None
    """Name of the transform of the prompts."""
    answer: str | None = None
    """Whose answer stands behind the prompts, `chosen` or `rejected`, where a study says so."""
    prefill: int = 0
    """Tokens of that answer that stand as a begun reply."""
    dialogue: bool = False
    """Whether the prompts are dialogues with turns."""
    against_prompts: str | None = None
    """Key of the prompts with which the number compares."""
    against_objective: str | None = None
    """Objective of the model with which the number compares."""
    against_aligned: str | None = None
    """Key of that model."""
    against_run: str | None = None
    """Key of the job that trained it."""
    pairs: str | None = None
    """Key of the preference pairs that both models read."""
    pairs_origin: Origin | None = None
    """Origin of these."""
    foreign: bool = False
    """Whether the aligned model was trained on another set of pairs."""
    intervention: str | None = None
    """Name of the intervention on the model."""
    changed: str | None = None
    """The model that the intervention changed: `base` or `aligned`."""
    from_scratch: bool = False
    """Whether the base was trained for this study: a model organism."""
    rounded: str | None = None
    """How the model's weights were stored before it was taken, where that rounded them."""
    computed_otherwise: str | None = None
    """In what base and aligned model compute otherwise whatever their weights; None: in nothing."""
    left_out: str | None = None
    """How many of the prompts the model had no room for, or its template refused; None: none."""

    @property
    def is_of_another_seed(self) -> bool:
        """Whether the number compares with a model that differs in nothing known but its seed."""
        same_prompts = self.against_prompts == self.prompts
        same_objective = self.against_objective == self.objective
        of_own_run = self.against_run is not None and self.against_run == self.run
        is_another = self.against_aligned != self.aligned and not of_own_run
        return same_prompts and same_objective and is_another

    @property
    def is_along_answer(self) -> bool:
        """Whether the number is of the way into an answer that a study chose or began."""
        return self.answer is not None or self.prefill > 0

    @property
    def is_plain(self) -> bool:
        """Whether nothing was done to the prompts and they have no turns."""
        return self.transform == PLAIN and not self.dialogue


def losses(found: Iterable[tuple[str, Circumstances]]) -> list[str]:
    """Say of which prompts numbers are not: one sentence a model and transform, the first few.

    Args:
        found: name of a model, and the circumstances of a number of it.
    """
    told = sorted(
        {
            (model, about.transform or PLAIN, about.left_out)
            for model, about in found
            if about.left_out is not None
        }
    )
    shown = [f"{model}, {transform}: {how}." for model, transform, how in told[:_MOST_LOSSES]]
    more = len(told) - len(shown)
    return [*shown, f"So are prompts of {more} other models or transforms."] if more else shown

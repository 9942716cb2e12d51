"""When a run has learned what it will: the params that say so, and the verdict on its validations.

The verdict is a function of the rows that the log has of them, so that a run that was killed and
continued stops where an undisturbed one stops.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

LOSS = "validation/loss"
"""The metric of the log that decides."""


class EarlyStopping(BaseModel):
    """Stop when the validation loss has stopped falling, and keep the weights of its lowest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    every: int = Field(..., ge=1, description="Steps between validations that count.")
    patience: int = Field(
        ..., ge=1, description="Validations in a row without improvement that end the run."
    )
    min_improvement: float = Field(
        0.0, ge=0, description="Fall of the loss below its lowest that counts as improvement."
    )


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the validations so far say."""

    best_step: int
    """Step of the lowest loss."""
    best_loss: float
    """That loss."""
    num_without: int
    """Validations since then."""
    stop: bool
    """Whether that is enough."""


def verdict(
    settings: EarlyStopping, rows: Iterable[Mapping[str, float]], steps: int
) -> Verdict | None:
    """What the rows of a log say of a run of so many steps; None before a validation that counts.

    That of the last step counts whatever its number.
    """
    found: Verdict | None = None
    for row in rows:
        if LOSS not in row or (row["step"] % settings.every and row["step"] != steps):
            continue
        if found is None or row[LOSS] < found.best_loss - settings.min_improvement:
            best_step, best_loss, num_without = int(row["step"]), row[LOSS], 0
        else:
            best_step, best_loss = found.best_step, found.best_loss
            num_without = found.num_without + 1
        found = Verdict(
            best_step=best_step,
            best_loss=best_loss,
            num_without=num_without,
            stop=num_without >= settings.patience,
        )
    return found

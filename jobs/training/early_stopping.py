"""When a run has learned what it will: the params that say so, and what its validations say.

That is a function of the validations in the log, so that a run that was killed and continued stops
where an undisturbed one stops.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, Field

LOSS = "validation/loss"
"""The metric of the log that decides."""


class EarlyStopping(BaseModel):
    """Stop when the validation loss has stopped falling, and keep the weights of its lowest."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    every: int = Field(..., ge=1, description="Steps between validations that count.")
    patience: int = Field(
        ..., ge=1, description="Validations in a row without improvement that end the run."
    )
    min_improvement: float = Field(
        0.0, ge=0, description="Fall of the loss below its lowest that counts as improvement."
    )


@dataclass(frozen=True, kw_only=True)
class StoppingState:
    """What the validations so far say."""

    best_step: int
    """Step of the lowest loss."""
    best_loss: float
    """The lowest loss."""
    num_without: int
    """Validations since then."""
    stop: bool
    """True when they are enough to end the run."""


def stopping_state(
    settings: EarlyStopping, rows: Iterable[Mapping[str, float]], steps: int
) -> StoppingState | None:
    """Judge the validations of a run; None before the first one that counts.

    Args:
        settings: which validations count, and how many without improvement end the run.
        rows: of the log, in order.
        steps: of the whole run; a validation of the last step counts whatever its number.
    """
    state: StoppingState | None = None
    for row in rows:
        if LOSS not in row or (row["step"] % settings.every and row["step"] != steps):
            continue
        if state is None or row[LOSS] < state.best_loss - settings.min_improvement:
            best_step, best_loss, num_without = int(row["step"]), row[LOSS], 0
        else:
            best_step, best_loss = state.best_step, state.best_loss
            num_without = state.num_without + 1
        state = StoppingState(
            best_step=best_step,
            best_loss=best_loss,
            num_without=num_without,
            stop=num_without >= settings.patience,
        )
    return state

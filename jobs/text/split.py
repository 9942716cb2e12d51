"""Training, validation and test split of pairs, decided by a hash of the prompt."""

from enum import Enum

from pydantic import Field, model_validator

from cluster.errors import UserError
from jobs.params import Params
from jobs.text.buckets import bucket

_STEPS = 10_000


class Split(Enum):
    """The use of a pair; all pairs of a prompt have the same."""

    TRAIN = "train"
    """Trained on."""
    VALIDATION = "validation"
    """Validated on: to stop early, and to choose the best checkpoint."""
    TEST = "test"
    """Seen by no training job; a reference scores it with the others."""


class SplitParams(Params):
    """Params of kinds that leave pairs behind."""

    validation_fraction: float = Field(
        0.1, ge=0, lt=1, description="Share of prompts whose pairs are not trained on."
    )
    test_fraction: float = Field(
        0.0, ge=0, lt=1, description="Share of prompts whose pairs no training job sees at all."
    )

    @model_validator(mode="after")
    def _check_shares(self) -> "SplitParams":
        if self.validation_fraction + self.test_fraction >= 1:
            raise UserError(
                f"validation_fraction {self.validation_fraction:g} and test_fraction "
                f"{self.test_fraction:g} leave nothing to train on",
                where="test_fraction",
            )
        return self

    def split_of(self, prompt: str) -> Split:
        """Return the split of the pairs of a prompt.

        Another test fraction moves no prompt in or out of validation, and the other way round.
        """
        place = bucket(f"validation/{prompt}", _STEPS)
        if place < round(self.validation_fraction * _STEPS):
            return Split.VALIDATION
        if place >= _STEPS - round(self.test_fraction * _STEPS):
            return Split.TEST
        return Split.TRAIN

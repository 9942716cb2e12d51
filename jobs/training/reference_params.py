"""Params of kind `reference`: how a model scores both completions of every pair."""

from typing import Literal

from pydantic import Field, model_validator

from jobs.params import added, execution
from jobs.shared_params import require_one_end
from jobs.text.format import MAX_DROPPED
from jobs.training.recipe import PrecisionParams


class PairScoringParams(PrecisionParams):
    """How pairs are scored: `align` jobs must agree in this with the reference that they read."""

    max_length: int | None = Field(
        None,
        ge=2,
        description="Longest prompt with completion, in tokens; longer ones are cut. "
        "Null: the model's positions.",
    )
    template: Literal["none", "chat"] = Field(
        "none",
        description="`chat`: pairs stand in the model's chat template, the prompt as what the user "
        "says.",
    )
    end_of_text: bool = added(
        False,
        "Whether answers of plain text end with the tokenizer's end of text, as TRL appends it; a "
        "chat template ends them itself.",
    )
    max_dropped: float = added(
        MAX_DROPPED,
        "Largest share of the pairs that tokenizer and template may refuse; they are left out and "
        "listed.",
        ge=0,
        le=1,
    )

    @model_validator(mode="after")
    def _check_end_of_text(self) -> "PairScoringParams":
        require_one_end(self.template, self.end_of_text)
        return self


class Params(PairScoringParams):
    """How the work of scoring is done."""

    micro_batch: int | None = execution(
        None, "Sequences per forward pass. Null: chosen by what fits, or 16.", ge=1
    )
    num_gpus: float | None = execution(
        None,
        "GPUs; 0 computes on the processor, several hold one model together. Null: as few of one "
        "node's as hold it; none where there are none.",
        ge=0,
    )

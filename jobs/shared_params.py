"""Params that several kinds have: what a job takes of a machine, and how models are run."""

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import Field, field_validator

from cluster.errors import UserError
from jobs.kind import Params, added, execution
from jobs.tokens.first_tokens import FirstTokens


def share_gpu() -> Any:
    """Declare the param that lets jobs of one GPU share it."""
    return execution(
        False,
        "Several jobs may be on one GPU at a time where the plan expects that they fit, with a "
        "fifth to spare; needs num_gpus: 1. Each is held to its part.",
    )


class ComputeParams(Params):
    """What a job takes of a machine."""

    num_cpus: float = execution(1, "Processor cores of each process.", gt=0)
    memory_gb: float = execution(
        0, "Host memory to set aside for each process, in 10^9 bytes; 0: none.", ge=0
    )


class ModelParams(ComputeParams):
    """How models are run."""

    max_length: int | None = Field(
        None,
        ge=1,
        description="Tokens; longer prompts, their answers included, are left out and counted. "
        "Null: the model's limit, less the tokens that it is to predict.",
    )
    token_budget: int = execution(8192, "Most tokens forwarded together, padding included.", ge=1)
    num_gpus: float = execution(
        0, "GPUs; 0 computes on the processor, several hold one model together.", ge=0
    )

    share_gpu: bool = share_gpu()


class OneModelParams(ModelParams):
    """How a kind runs its only model."""

    dtype: Literal["auto", "float32", "bfloat16"] = Field(
        "auto",
        description="Compute dtype; auto is float32 up to 2 billion parameters, bfloat16 above.",
    )
    attention: Literal["sdpa", "eager"] = Field("sdpa", description="Attention kernel.")


class CutParams(Params):
    """How prompts are cut."""

    prompt_tokens: int | None = added(
        None,
        "Longer prompts keep their first so many tokens, their answers follow. Null: all.",
        ge=1,
    )
    answer_tokens: int | None = added(
        None, "Longer answers keep their first so many tokens. Null: all.", ge=1
    )

    @property
    def first(self) -> FirstTokens:
        """What is kept of a prompt before its length is judged."""
        return FirstTokens(of_prompt=self.prompt_tokens, of_answer=self.answer_tokens)


class PairParams(CutParams, ModelParams):
    """How a kind runs a base and an aligned model on the same tokens."""

    layers: Literal["all"] | tuple[int, ...] | None
    """Layers from 0; each kind has a default and describes it."""
    template: Literal["none", "chat"] = Field(
        "none",
        description="`chat`: prompts are put into the chat template of the aligned model, or of "
        "the base where that has none; both models see the same tokens.",
    )
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto",
        description="Compute dtype; auto is float32 up to 2 billion parameters, bfloat16 above.",
    )

    @field_validator("layers")
    @classmethod
    def _check_layers(cls, layers: str | Sequence[int] | None) -> str | Sequence[int] | None:
        if isinstance(layers, tuple) and (not layers or min(layers) < 0):
            raise UserError("layers are numbers from 0, at least one", where="layers")
        return layers

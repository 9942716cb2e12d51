"""Params that several kinds have: what a job takes of a machine, and how models are run."""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator, model_validator

from cluster.errors import UserError
from jobs.params import Params, added, execution
from jobs.tokens.first_tokens import FirstTokens


def _tokens_of(value: object) -> object:
    """Return the number in a name such as `prefill-8`, which tables show as an axis's value."""
    match = re.fullmatch(r"prefill-(0|[1-9][0-9]*)", value) if isinstance(value, str) else None
    return int(match[1]) if match else value


def _prefill_of(value: object) -> object:
    """Return the number in a name; ValueError, with what is meant, for any other name."""
    tokens = _tokens_of(value)
    if not (isinstance(tokens, str) and re.search("[A-Za-z]", tokens)):
        return tokens
    number = re.search(r"(?<![0-9])(0|[1-9][0-9]*)$", tokens)
    near = f"; did you mean 'prefill-{number[1]}'?" if number else ""
    raise ValueError(f"write a number of tokens, 8, or prefill-8; {tokens!r} is neither{near}")


Prefill = Annotated[
    int,
    Field(ge=0),
    BeforeValidator(_prefill_of),
    WithJsonSchema(
        {
            "anyOf": [
                {"minimum": 0, "type": "integer"},
                {"pattern": "^prefill-(0|[1-9][0-9]*)$", "type": "string"},
            ]
        }
    ),
]
"""A number of tokens, or a name that says it."""


def begun_in_small(written: Mapping[str, Any]) -> dict[str, Any]:
    """Return the params of a rehearsal, whose example answers are short, that begin replies."""
    tokens = _tokens_of(written.get("prefill"))
    return {"prefill": 1} if isinstance(tokens, int) and tokens > 1 else {}


def require_one_end(template: str, end_of_text: bool) -> None:
    """Raise UserError where both a chat template and the tokenizer's end of text end answers."""
    if end_of_text and template != "none":
        raise UserError(
            "a chat template ends answers itself",
            where="end_of_text",
            hint="leave end_of_text out, or set template: none",
        )


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
    """How prompts are cut, and how much of their answers is given."""

    prompt_tokens: int | None = added(
        None,
        "Longer prompts keep their first so many tokens, their answers follow. Null: all.",
        ge=1,
    )
    answer_tokens: int | None = added(
        None, "Longer answers keep their first so many tokens. Null: all.", ge=1
    )

    prefill: Prefill = added(
        0,
        "Tokens of the prompts' own answer that stand as a begun reply, which both models read and "
        "go on from; a name such as `prefill-8` says 8. Prompts say whose answer it is "
        "(`answer: rejected`). Those whose answer is shorter are left out and counted.",
    )

    @model_validator(mode="after")
    def _check_prefill(self) -> Self:
        if self.answer_tokens is not None and self.answer_tokens < self.prefill:
            raise UserError(
                f"of answers cut to {self.answer_tokens} tokens none has {self.prefill} to begin "
                "a reply with",
                where="prefill",
            )
        return self

    @property
    def first(self) -> FirstTokens:
        """What is kept of a prompt before its length is judged, and of its answer begun."""
        return FirstTokens(
            of_prompt=self.prompt_tokens, of_answer=self.answer_tokens, begun=self.prefill
        )


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

    @property
    def token_pins(self) -> Mapping[str, str]:
        """Return what the key says of the tokens: in a template, that they are of what was said."""
        return {} if self.template == "none" else {"template": "around what was said"}

    @field_validator("layers")
    @classmethod
    def _check_layers(cls, layers: str | Sequence[int] | None) -> str | Sequence[int] | None:
        if isinstance(layers, tuple) and (not layers or min(layers) < 0):
            raise UserError("layers are numbers from 0, at least one", where="layers")
        return layers

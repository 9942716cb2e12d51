"""What an extraction compares: two checkpoints of one shape, and the tokens that they share."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.artifact import Artifact
from jobs.models.loading import load_tokenizer
from jobs.tokens.plan import TokenPlan, build

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_SHAPE = ("family", "d_model", "num_layers", "vocab_size")
PROMPTS = "prompts.jsonl"


def common_model(base: Artifact, aligned: Artifact) -> Mapping[str, Any]:
    """The facts of the base model. Raises UserError when the aligned one has another shape."""
    model: Mapping[str, Any] = base.facts["model"]
    other = aligned.facts["model"]
    for name in _SHAPE:
        if model[name] != other[name]:
            raise UserError(
                f"base and aligned are not two states of one model: {name} is {model[name]} "
                f"and {other[name]}",
                where=f"{base.folder} and {aligned.folder}",
            )
    return model


def adapter_on(base: Artifact, aligned: Artifact) -> Path | None:
    """The folder of the adapter when the aligned model is one on this very base, else None."""
    if aligned.record.inputs.get(base.key) != base.record_digest or aligned.kind != "adapter":
        return None
    return aligned.directory("adapter")


def shared_plan(
    base: Artifact, aligned: Artifact, prompts: Artifact, max_length: int
) -> tuple[TokenPlan, list[int]]:
    """The token plan, and the ids of prompts that are too long for it.

    Raises:
        UserError: the tokenizers of the two models differ.
    """
    if _tokenizer_digest(base) != _tokenizer_digest(aligned):
        _require_same_tokenizer(base, aligned)
    return _plan(
        prompts.path(PROMPTS), prompts.record_digest, _folder(base), base.record_digest, max_length
    )


@lru_cache(maxsize=4)
def _plan(
    prompts: Path, prompts_record: str, model: Path, model_record: str, max_length: int
) -> tuple[TokenPlan, list[int]]:
    """One plan serves every pair of a base: the digests of both records are part of its name."""
    return build(read_prompts(prompts), load_tokenizer(model), max_length)


def read_prompts(path: Path) -> list[dict[str, Any]]:
    """The lines of a prompts file."""
    with open(path, encoding="utf-8") as stream:
        return [json.loads(line) for line in stream]


def _folder(model: Artifact) -> Path:
    return model.directory("model")


def _tokenizer_digest(model: Artifact) -> Sequence[str]:
    files = model.record.files
    return [
        files[name].xxh3
        for name in ("model/tokenizer.json", "model/tokenizer_config.json")
        if name in files
    ]


def _require_same_tokenizer(base: Artifact, aligned: Artifact) -> None:
    """Files may be written differently and still mean the same: compare what they do."""
    first, second = load_tokenizer(_folder(base)), load_tokenizer(_folder(aligned))
    where = f"{base.folder} and {aligned.folder}"
    if first.get_vocab() != second.get_vocab():
        different = sorted(set(first.get_vocab().items()) ^ set(second.get_vocab().items()))
        raise UserError(
            f"the tokenizers of base and aligned differ in {len(different)} entries, "
            f"for one {different[0][0]!r}",
            where=where,
            hint="δx is defined on identical token ids: align the base with its own tokenizer",
        )
    if _behaviour(first) != _behaviour(second):
        raise UserError(
            "the tokenizers of base and aligned cut or mark texts differently",
            where=where,
            hint="δx is defined on identical token ids: align the base with its own tokenizer",
        )


def _behaviour(tokenizer: PreTrainedTokenizerFast) -> Mapping[str, Any]:
    """All that decides ids, without what only decides how batches are padded or cut."""
    parsed: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return {name: value for name, value in parsed.items() if name not in ("padding", "truncation")}

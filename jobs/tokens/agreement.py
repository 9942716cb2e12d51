"""Do two tokenizers give the same ids? The study's own prompts and a probe decide.

One tokenizer may be written in several ways (a normalizer here, a pre-tokenizer there, `legacy` or
not), and a chat model may have renamed what its base only reserved: settings and vocabularies that
differ say little. A text in which the aligned model's own added tokens stand is passed over:
whether both models have embeddings for those is looked at where the tokens are made.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from cluster.errors import UserError
from jobs.models.own_tokenizer import PROBE
from jobs.text.prompt_lines import PromptLine
from jobs.tokens.plan import bos_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_OWN = "δx is defined on identical token ids: align the base with its own tokenizer"
_AROUND = 3
"""Tokens that are shown on both sides of a difference."""


def require_same_ids(
    base: PreTrainedTokenizerBase,
    aligned: PreTrainedTokenizerBase,
    prompts: Sequence[PromptLine],
    *,
    is_templated: bool,
    where: str,
) -> None:
    """Compare what two tokenizers make of every prompt as a whole, and of a probe.

    Args:
        base: the base's tokenizer.
        aligned: the aligned model's.
        prompts: lines of prompts.jsonl.
        is_templated: whether prompts will stand in a chat template, which begins texts itself.
        where: both models, in errors.

    Raises:
        UserError: ids differ; with the first prompt in which they do.
    """
    starts = bos_ids(base), bos_ids(aligned)
    if not is_templated and starts[0] != starts[1]:
        raise UserError(
            "the tokenizers of base and aligned begin texts differently: with "
            f"{_words(base, starts[0])} and with {_words(aligned, starts[1])}",
            where=where,
            hint=_OWN,
        )
    names = [f"prompt {prompt['prompt']}" for prompt in prompts] + ["a text made to try them"]
    texts = ["".join(segment["text"] for segment in prompt["segments"]) for prompt in prompts]
    texts.append(PROBE)
    of_base = base(texts, add_special_tokens=False)["input_ids"]
    of_aligned = aligned(texts, add_special_tokens=False)["input_ids"]
    added = _added_ids(aligned) - _added_ids(base)
    for name, ids, other in zip(names, of_base, of_aligned, strict=True):
        if ids != other and added.isdisjoint(other):
            raise UserError(
                f"the tokenizers of base and aligned give {name} other ids: "
                f"{_difference(base, ids, aligned, other)}",
                where=where,
                hint=_OWN,
            )


def _added_ids(tokenizer: PreTrainedTokenizerBase) -> set[int]:
    return set(tokenizer.added_tokens_decoder)


def _difference(
    base: PreTrainedTokenizerBase,
    ids: Sequence[int],
    aligned: PreTrainedTokenizerBase,
    other: Sequence[int],
) -> str:
    """Show the tokens around the first place where two rows differ."""
    shortest = min(len(ids), len(other))
    at = next((n for n in range(shortest) if ids[n] != other[n]), shortest)
    shown = slice(max(0, at - _AROUND), at + _AROUND)
    first, second = _words(base, ids[shown]), _words(aligned, other[shown])
    if first == second:
        return f"{first} is {list(ids[shown])} and {list(other[shown])}"
    return f"{first} and {second}"


def _words(tokenizer: PreTrainedTokenizerBase, ids: Sequence[int]) -> str:
    tokens = tokenizer.convert_ids_to_tokens(list(ids))
    return " ".join(repr(token) for token in tokens) or "nothing"

"""The paired inputs of a comparison: two checkpoints of one shape, and the tokens they share.

A released chat model may have tokens that its base lacks, and a larger embedding: then only tokens
that both models have an embedding for may be used.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from cluster.errors import UserError
from jobs.artifacts.artifact import Artifact
from jobs.models.family import family_of_config
from jobs.models.folder import read_config
from jobs.models.loading import load_tokenizer
from jobs.models.model_facts import ModelFacts
from jobs.text.prompt_lines import PROMPTS, read_prompts
from jobs.tokens.chat import chat_template_of
from jobs.tokens.plan import ROLES, TokenPlan, build_token_plan

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_SHAPE = ("family", "d_model", "num_layers")
_TOKENIZER_FILES = (
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
    *("added_tokens.json", "tokenizer.model", "vocab.json", "merges.txt"),
)
_OWN = "δx is defined on identical token ids: align the base with its own tokenizer"


def require_common_model(base: Artifact, aligned: Artifact) -> ModelFacts:
    """Return the facts of the base model; raise UserError when the aligned one differs in shape."""
    facts, other = base.facts["model"], aligned.facts["model"]
    for name in _SHAPE:
        if facts[name] != other[name]:
            raise UserError(
                f"base and aligned are not two states of one model: {name} is {facts[name]} "
                f"and {other[name]}",
                where=f"{base.folder} and {aligned.folder}",
            )
    model: ModelFacts = facts
    return model


def build_shared_plan(
    base: Artifact,
    aligned: Artifact,
    prompts: Artifact,
    max_length: int,
    template: Literal["none", "chat"] = "none",
) -> tuple[TokenPlan, list[int]]:
    """Tokenise prompts for both models.

    Args:
        base: the base model.
        aligned: the aligned model.
        prompts: the prompts.
        max_length: most tokens of a prompt.
        template: `chat` puts prompts into the chat template of the aligned model, or the base's.

    Returns:
        The token plan, and the ids of prompts that are too long for it.

    Raises:
        UserError: the tokenizers of the two models contradict each other, a token has no embedding
            in one model, there is no chat template, or the template refuses a prompt.
    """
    first, second = _TokenizerFiles.of(base), _TokenizerFiles.of(aligned)
    if first.files != second.files:
        _require_same_tokenizer(first, second)
    config = read_config(second.folder)
    most = family_of_config(config).shape(config).max_positions
    chat = find_chat_template(base, aligned) if template == "chat" else None
    # Without a template only the base's tokenizer matters: one plan serves every model of a base.
    plan, too_long = _plan(
        prompts.path(PROMPTS),
        prompts.record_digest,
        first,
        second if chat is not None else first,
        min(max_length, most),
        chat,
    )
    for name, model in (("base", base), ("aligned model", aligned)):
        _require_embeddings(plan, second, name, int(model.facts["model"]["vocab_size"]))
    return plan, too_long


def find_chat_template(base: Artifact, aligned: Artifact) -> str:
    """Return the aligned model's chat template (Jinja), or the base's where it has none.

    Raises:
        UserError: neither model has one.
    """
    for model in (aligned, base):
        template = chat_template_of(load_tokenizer(model.directory("model")))
        if template is not None:
            return template
    raise UserError(
        "neither the aligned model nor its base has a chat template",
        where=f"{base.folder} and {aligned.folder}",
        hint="extract with template: none",
    )


@dataclass(frozen=True, kw_only=True)
class _TokenizerFiles:
    """The tokenizer of a model; two with the same files are equal, whatever their folders."""

    files: tuple[tuple[str, str], ...]
    """Name and digest of each file that decides ids."""
    folder: Path = field(compare=False)
    """The folder of the files."""

    @classmethod
    def of(cls, model: Artifact) -> _TokenizerFiles:
        """Return the tokenizer of a checkpoint."""
        entries = {name: model.record.files.get(f"model/{name}") for name in _TOKENIZER_FILES}
        return cls(
            files=tuple((name, entry.xxh3) for name, entry in entries.items() if entry is not None),
            folder=model.directory("model"),
        )


@lru_cache(maxsize=4)
def _plan(
    prompts: Path,
    prompts_record: str,
    base: _TokenizerFiles,
    tokenizer: _TokenizerFiles,
    max_length: int,
    template: str | None,
) -> tuple[TokenPlan, list[int]]:
    """Build a plan once for all pairs with these prompts and tokenizers, which key the cache."""
    return build_token_plan(
        read_prompts(prompts), load_tokenizer(tokenizer.folder), max_length, template
    )


def _require_same_tokenizer(base: _TokenizerFiles, aligned: _TokenizerFiles) -> None:
    """Compare the behaviour of two tokenizers, because equal ones may be written differently.

    The aligned model may have more tokens; tokens of the base must have the same ids in both.
    """
    first, second = load_tokenizer(base.folder), load_tokenizer(aligned.folder)
    where = f"{base.folder} and {aligned.folder}"
    ids = second.get_vocab()
    different = sorted(item for item in first.get_vocab().items() if ids.get(item[0]) != item[1])
    if different:
        raise UserError(
            f"the tokenizers of base and aligned differ in {len(different)} entries, "
            f"for one {different[0][0]!r}",
            where=where,
            hint=_OWN,
        )
    if not _is_extension(_behaviour(first), _behaviour(second)):
        raise UserError(
            "the tokenizers of base and aligned cut or mark texts differently",
            where=where,
            hint=_OWN,
        )


def _behaviour(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """Return all settings of a tokenizer that decide ids; padding and truncation do not."""
    settings: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return {
        name: value for name, value in settings.items() if name not in ("padding", "truncation")
    }


def _is_extension(base: dict[str, Any], aligned: dict[str, Any]) -> bool:
    """Tell whether the aligned tokenizer equals the base's, but for tokens that were added."""
    added = aligned.pop("added_tokens")
    return all(token in added for token in base.pop("added_tokens")) and base == aligned


def _require_embeddings(
    plan: TokenPlan, tokenizer: _TokenizerFiles, name: str, vocab_size: int
) -> None:
    beyond = np.flatnonzero(plan.token_ids >= vocab_size)
    if not len(beyond):
        return
    first = int(beyond[0])
    token = load_tokenizer(tokenizer.folder).convert_ids_to_tokens(int(plan.token_ids[first]))
    is_markup = ROLES[plan.roles[first]] in ("template", "bos")
    raise UserError(
        f"{'the chat template' if is_markup else 'the prompt'} uses {token!r}, "
        f"which the {name} has no embedding for: it has {vocab_size}",
        where=f"prompt {plan.prompts[plan.owners[first]]}",
        hint="extract with template: none" if is_markup else "leave such prompts out",
    )

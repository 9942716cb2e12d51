"""What an extraction compares: two checkpoints of one shape, and the tokens that they share.

A released chat model may have tokens that its base does not know, and a larger embedding: then only
tokens that both have an embedding for may be used.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
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
from jobs.models.shape import read_shape
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


def require_common_model(base: Artifact, aligned: Artifact) -> Mapping[str, Any]:
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


def build_shared_plan(
    base: Artifact,
    aligned: Artifact,
    prompts: Artifact,
    max_length: int,
    template: Literal["none", "chat"] = "none",
) -> tuple[TokenPlan, list[int]]:
    """The token plan, and the ids of prompts that are too long for it.

    Raises:
        UserError: the tokenizers of the two models differ in what both know, a token is used that
            one model has no embedding for, or there is no chat template, or it does not take a
            prompt.
    """
    first, second = _Words.of(base), _Words.of(aligned)
    if first.files != second.files:
        _require_same_tokenizer(first, second)
    shape = read_config(second.folder)
    most = read_shape(family_of_config(shape).FIELDS, shape).max_positions
    chat = find_chat_template(base, aligned) if template == "chat" else None
    # Without a template only the base's tokenizer counts: one plan serves every model of a base.
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
    """The aligned model's chat template (Jinja), or the base's where it has none.

    Raises:
        UserError: neither has one.
    """
    for model in (aligned, base):
        found = chat_template_of(load_tokenizer(_folder(model)))
        if found is not None:
            return found
    raise UserError(
        "neither the aligned model nor its base has a chat template",
        where=f"{base.folder} and {aligned.folder}",
        hint="extract with template: none",
    )


@dataclass(frozen=True, kw_only=True)
class _Words:
    """A model's tokenizer, equal to that of any other folder with the same files."""

    files: tuple[tuple[str, str], ...]
    """Name and digest of each file that decides ids."""
    folder: Path = field(compare=False)
    """Where they are."""

    @classmethod
    def of(cls, model: Artifact) -> _Words:
        """The tokenizer of a checkpoint."""
        listed = {name: model.record.files.get(f"model/{name}") for name in _TOKENIZER_FILES}
        return cls(
            files=tuple((name, entry.xxh3) for name, entry in listed.items() if entry is not None),
            folder=_folder(model),
        )


@lru_cache(maxsize=4)
def _plan(
    prompts: Path,
    prompts_record: str,
    base: _Words,
    words: _Words,
    max_length: int,
    template: str | None,
) -> tuple[TokenPlan, list[int]]:
    """One plan serves every pair with these tokenizers: their digests are part of its name."""
    return build_token_plan(
        read_prompts(prompts), load_tokenizer(words.folder), max_length, template
    )


def _folder(model: Artifact) -> Path:
    return model.directory("model")


def _require_same_tokenizer(base: _Words, aligned: _Words) -> None:
    """Files may be written differently and still mean the same: compare what they do.

    The aligned model may know more tokens; what the base knows it must know as the same ids.
    """
    first, second = load_tokenizer(base.folder), load_tokenizer(aligned.folder)
    where = f"{base.folder} and {aligned.folder}"
    known = second.get_vocab()
    different = sorted(item for item in first.get_vocab().items() if known.get(item[0]) != item[1])
    if different:
        raise UserError(
            f"the tokenizers of base and aligned differ in {len(different)} entries, "
            f"for one {different[0][0]!r}",
            where=where,
            hint=_OWN,
        )
    if not _cuts_alike(_behaviour(first), _behaviour(second)):
        raise UserError(
            "the tokenizers of base and aligned cut or mark texts differently",
            where=where,
            hint=_OWN,
        )


def _behaviour(tokenizer: PreTrainedTokenizerFast) -> dict[str, Any]:
    """All that decides ids, without what only decides how batches are padded or cut."""
    parsed: dict[str, Any] = json.loads(tokenizer.backend_tokenizer.to_str())
    return {name: value for name, value in parsed.items() if name not in ("padding", "truncation")}


def _cuts_alike(base: dict[str, Any], aligned: dict[str, Any]) -> bool:
    """True when the aligned one does the same but for tokens that were added to it."""
    added = aligned.pop("added_tokens")
    return all(token in added for token in base.pop("added_tokens")) and base == aligned


def _require_embeddings(plan: TokenPlan, words: _Words, name: str, vocab_size: int) -> None:
    beyond = np.flatnonzero(plan.token_ids >= vocab_size)
    if not len(beyond):
        return
    first = int(beyond[0])
    token = load_tokenizer(words.folder).convert_ids_to_tokens(int(plan.token_ids[first]))
    markup = ROLES[plan.roles[first]] in ("template", "bos")
    raise UserError(
        f"{'the chat template' if markup else 'the prompt'} uses {token!r}, "
        f"which the {name} has no embedding for: it has {vocab_size}",
        where=f"prompt {plan.prompts[plan.owners[first]]}",
        hint="extract with template: none" if markup else "leave such prompts out",
    )

"""`TokenPlan`: frozen, hashed token ids that both models of a pair see, with groups and roles.

Segments are tokenised one by one and their ids joined, so that the boundary between prompt and
response lies at the same token for every text. In a chat template the whole text is tokenised once,
as the aligned model was trained on it (`chat.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int8, Int16, Int32, Int64

from cluster.errors import UserError
from jobs.tokens.chat import ChatRows, Row

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROLES = ("bos", "prompt", "response", "user", "assistant", "system", "template")
"""Who a token belongs to; `TokenPlan.roles` holds indices into this. `template`: markup of a chat
template, what it puts in by itself included."""
ANSWERS = (ROLES.index("response"), ROLES.index("assistant"))
"""Roles of what a model says, as opposed to what it is told."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenPlan:
    """What is forwarded, token by token. Prompt `i` is `token_ids[offsets[i]:offsets[i + 1]]`."""

    prompts: Int64[np.ndarray, " prompts"]
    """The ids that the prompts artifact gives them."""
    groups: Int64[np.ndarray, " prompts"]
    """Group of each prompt, 0 to 19."""
    offsets: Int64[np.ndarray, " prompts_and_end"]
    """Where each prompt starts, and the number of tokens at the end."""
    token_ids: Int32[np.ndarray, " tokens"]
    """Token ids of all prompts, one after the other."""
    roles: Int8[np.ndarray, " tokens"]
    """Index into ROLES of each token."""
    segments: Int16[np.ndarray, " tokens"]
    """Number of the segment within its prompt; -1 for the BOS and a template's markup."""
    final_segments: Int16[np.ndarray, " prompts"]
    """Number of the last segment of each prompt."""

    @cached_property
    def hash(self) -> str:
        """SHA-256 over every array, in 64 hex digits: what a store is bound to."""
        digest = hashlib.sha256()
        for name, array in self.to_arrays().items():
            digest.update(f"{name} {array.dtype} {array.shape};".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " prompts"]:
        """Tokens of each prompt."""
        return np.diff(self.offsets)

    @cached_property
    def owners(self) -> Int64[np.ndarray, " tokens"]:
        """Index (not id) of the prompt that each token belongs to."""
        return np.repeat(np.arange(len(self.prompts)), self.lengths)

    @cached_property
    def within(self) -> Int64[np.ndarray, " tokens"]:
        """Position of each token within its prompt, from 0: its position id."""
        return np.asarray(np.arange(len(self.token_ids)) - self.offsets[self.owners])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays for a safetensors file."""
        return {
            "prompts": self.prompts,
            "groups": self.groups,
            "offsets": self.offsets,
            "token_ids": self.token_ids,
            "roles": self.roles,
            "segments": self.segments,
            "final_segments": self.final_segments,
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TokenPlan:
        """The inverse of `to_arrays`."""
        return cls(**arrays)


def build_token_plan(
    prompts: Sequence[Mapping[str, Any]],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    template: str | None = None,
) -> tuple[TokenPlan, list[int]]:
    """Tokenise prompts; also the ids of those longer than `max_length` tokens, which are left out.

    Args:
        prompts: `{"prompt": id, "group": 0-19, "segments": [{"role", "text"}]}` each.
        tokenizer: the tokenizer both models share.
        max_length: the most tokens a prompt may have, BOS and markup included.
        template: a chat template (Jinja) that every prompt is put into; None: texts as they are.

    Raises:
        UserError: a prompt has no tokens, none is short enough, or the template does not take one.
    """
    if template is None:
        rows = _joined_rows(prompts, tokenizer)
    else:
        rows = ChatRows(tokenizer, template).rows(prompts)
    kept, too_long = [], []
    for prompt, row in zip(prompts, rows, strict=True):
        if not row:
            raise UserError(f"prompt {prompt['prompt']} has no tokens", where="prompts.jsonl")
        if len(row) > max_length:
            too_long.append(int(prompt["prompt"]))
        else:
            kept.append((prompt, row))
    if not kept:
        raise UserError(
            f"no prompt fits: all {len(prompts)} are longer than {max_length} tokens",
            where="prompts.jsonl",
            hint="use shorter prompts, or raise max_length if the model allows it",
        )
    return _assembled(kept), too_long


def bos_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """`[BOS]` where the tokenizer itself would put one before a text, else nothing."""
    added = tokenizer("")["input_ids"]
    bos = tokenizer.bos_token_id
    return [bos] if bos is not None and added[:1] == [bos] else []


def _joined_rows(
    prompts: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase
) -> list[Row]:
    texts = [segment["text"] for prompt in prompts for segment in prompt["segments"]]
    encoded = iter(tokenizer(texts, add_special_tokens=False)["input_ids"]) if texts else iter(())
    start = bos_ids(tokenizer)
    return [
        _joined(prompt, [next(encoded) for _ in prompt["segments"]], start) for prompt in prompts
    ]


def _joined(
    prompt: Mapping[str, Any], pieces: Sequence[Sequence[int]], start: Sequence[int]
) -> Row:
    """A text that brings its own BOS gets no second."""
    row = [
        (token, segment["role"], number)
        for number, (segment, ids) in enumerate(zip(prompt["segments"], pieces, strict=True))
        for token in ids
    ]
    if row and list(start) == [row[0][0]]:
        return row
    return [(token, "bos", -1) for token in start] + row


def _assembled(kept: Sequence[tuple[Mapping[str, Any], Row]]) -> TokenPlan:
    numbered = {role: number for number, role in enumerate(ROLES)}
    tokens = np.array(
        [(token, numbered[role], segment) for _, row in kept for token, role, segment in row],
        dtype=np.int64,
    )
    offsets = np.cumsum([0] + [len(row) for _, row in kept], dtype=np.int64)
    finals = [len(prompt["segments"]) - 1 for prompt, _ in kept]
    return TokenPlan(
        prompts=np.array([prompt["prompt"] for prompt, _ in kept], dtype=np.int64),
        groups=np.array([prompt["group"] for prompt, _ in kept], dtype=np.int64),
        offsets=offsets,
        token_ids=tokens[:, 0].astype(np.int32),
        roles=tokens[:, 1].astype(np.int8),
        segments=tokens[:, 2].astype(np.int16),
        final_segments=np.array(finals, dtype=np.int16),
    )

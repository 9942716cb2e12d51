"""`TokenPlan`: the token ids that both models of a pair see, with groups and roles, and a hash.

A text is tokenised as a whole, as models are trained on texts, and its tokens are given to its
segments after that (`joining.py`); in a chat template as well, with its markup (`chat.py`).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from itertools import takewhile
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Int8, Int16, Int32, Int64

from cluster.errors import UserError
from jobs.models.own_tokenizer import PROBE
from jobs.text.format import MAX_DROPPED
from jobs.text.prompt_lines import PromptLine
from jobs.tokens.chat import ChatRows, TokenRow
from jobs.tokens.first_tokens import ALL, FirstTokens
from jobs.tokens.joining import JoinedIds, bare_tokenizer, join_segments

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ROLES = ("bos", "prompt", "response", "user", "assistant", "system", "template")
"""Roles of tokens; `TokenPlan.roles` holds indices into this. `template`: all text that a chat
template adds."""
_PUT = ("input_ids", "special_tokens_mask")
ANSWERS = (ROLES.index("response"), ROLES.index("assistant"))
"""Roles of text that a model generates, as opposed to text that it is given."""


@dataclass(frozen=True, kw_only=True, eq=False)
class TokenPlan:
    """All tokens that are forwarded. Prompt `i` is `token_ids[offsets[i]:offsets[i + 1]]`."""

    prompts: Int64[np.ndarray, " prompts"]
    """Ids of the prompts in their artifact."""
    groups: Int64[np.ndarray, " prompts"]
    """Group of each prompt, 0 to 19."""
    offsets: Int64[np.ndarray, " prompts_and_end"]
    """Index of the first token of each prompt; the last entry is the number of tokens."""
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
        """SHA-256 over every array, in 64 hex digits; every unit of a store names it."""
        digest = hashlib.sha256()
        for name, array in self.to_arrays().items():
            digest.update(f"{name} {array.dtype} {array.shape};".encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()

    @cached_property
    def lengths(self) -> Int64[np.ndarray, " prompts"]:
        """Number of tokens of each prompt."""
        return np.diff(self.offsets)

    @cached_property
    def owners(self) -> Int64[np.ndarray, " tokens"]:
        """Index (not id) of the prompt that each token belongs to."""
        return np.repeat(np.arange(len(self.prompts)), self.lengths)

    @cached_property
    def within(self) -> Int64[np.ndarray, " tokens"]:
        """Position id of each token: its position within its prompt, from 0."""
        return np.asarray(np.arange(len(self.token_ids)) - self.offsets[self.owners])

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the arrays of a safetensors file, by field name."""
        return {field.name: getattr(self, field.name) for field in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, np.ndarray]) -> TokenPlan:
        """Build a plan from the arrays of `to_arrays`."""
        return cls(**arrays)


class LeftOut(list[int]):
    """Ids of prompts that are longer than a plan allows; beside them, those that are refused."""

    def __init__(
        self,
        too_long: Iterable[int] = (),
        refused: Mapping[int, str] | None = None,
        short: Iterable[int] = (),
    ):
        """Take the ids of prompts that are left out: too long, refused (id -> why), too short."""
        super().__init__(too_long)
        self.short = list(short)
        """Ids of prompts whose answer has fewer tokens than a begun reply is to have."""
        self.refused = dict(refused or {})
        """Ids of prompts that the chat template refuses, or that have no tokens -> why."""

    def facts(self) -> dict[str, object]:
        """Return, for a record, how many are too long or short, and which are refused, if any."""
        refused = {"refused": self.refused_by_reason()} if self.refused else {}
        short = {"num_short_answers": len(self.short)} if self.short else {}
        return {"num_too_long": len(self), **short, **refused}

    def refused_by_reason(self) -> dict[str, list[int]]:
        """Return reason -> ids of the prompts that are refused."""
        ids: dict[str, list[int]] = {}
        for prompt, reason in self.refused.items():
            ids.setdefault(reason, []).append(prompt)
        return ids


def build_token_plan(
    prompts: Sequence[PromptLine],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    template: str | None = None,
    *,
    num_rows: int | None = None,
    first: FirstTokens = ALL,
) -> tuple[TokenPlan, LeftOut]:
    """Tokenise prompts.

    Args:
        prompts: lines of prompts.jsonl.
        tokenizer: the tokenizer both models share.
        max_length: the most tokens a prompt may have once it is cut, BOS and markup included.
        template: a chat template (Jinja) that every prompt is put into; None: texts as they are.
        num_rows: rows of the model's embedding; None where `require_embeddings` is called after.
        first: how many first tokens of prompts and answers are kept, and of an answer are begun.

    Returns:
        The plan, and the ids of prompts that it leaves out: those longer than `max_length`, those
        that the template refuses, and those whose answer is too short to be begun.

    Raises:
        UserError: all prompts are too long, more than MAX_DROPPED of them are refused or have no
            tokens, or one uses a token that the model has no row for.
    """
    rows: Sequence[TokenRow | UserError]
    if template is None:
        rows = _tokenise_segments(prompts, tokenizer)
    else:
        rows = ChatRows(tokenizer, template).rows_or_faults(prompts)
    fitting, too_long, short, refused = [], [], [], {}
    for prompt, row in zip(prompts, rows, strict=True):
        number = int(prompt["prompt"])
        if not row:
            row = UserError(f"prompt {number} has no tokens", where="prompts.jsonl")
        if isinstance(row, UserError):
            refused[number] = row
        elif len(kept := first.cut(row, final := len(prompt["segments"]) - 1)) > max_length:
            too_long.append(number)
        elif (begun := first.begin(kept, final)) is None:
            short.append(number)
        else:
            fitting.append((prompt, begun))
    if refused and (not fitting or len(refused) / len(prompts) > MAX_DROPPED):
        raise next(iter(refused.values()))
    if short and not fitting:
        raise UserError(
            f"no answer that fits has the {first.begun} tokens that are to begin a reply",
            where="prefill",
            hint=f"{len(short)} of {len(prompts)} answers are shorter: lower `prefill`",
        )
    if not fitting:
        raise UserError(
            f"no prompt fits: all {len(prompts)} are longer than {max_length} tokens",
            where="prompts.jsonl",
            hint="use shorter prompts, or raise max_length if the model allows it",
        )
    plan = _assemble(fitting, begun=first.begun > 0)
    if num_rows is not None:
        require_embeddings(plan, num_rows, "model", lambda: tokenizer)
    reasons = {n: fault.error.replace(f"prompt {n} ", "") for n, fault in refused.items()}
    return plan, LeftOut(too_long, reasons, short)


def require_embeddings(
    plan: TokenPlan,
    num_rows: int,
    name: str,
    tokenizer: Callable[[], PreTrainedTokenizerBase],
    *,
    without_markup: str = "leave the template out",
) -> None:
    """Raise UserError where a token is used that a model has no row for, with its prompt.

    Args:
        plan: the tokens.
        num_rows: rows of the model's embedding.
        name: the model, in errors.
        tokenizer: loads the tokenizer that the tokens are of.
        without_markup: what to do where the token is of a chat template.
    """
    beyond = np.flatnonzero(plan.token_ids >= num_rows)
    if not len(beyond):
        return
    first = int(beyond[0])
    token = tokenizer().convert_ids_to_tokens(int(plan.token_ids[first]))
    is_markup = ROLES[plan.roles[first]] in ("template", "bos")
    raise UserError(
        f"{'the chat template' if is_markup else 'the prompt'} uses {token!r}, "
        f"which the {name} has no embedding for: it has {num_rows}",
        where=f"prompt {plan.prompts[plan.owners[first]]}",
        hint=without_markup if is_markup else "leave such prompts out",
    )


def longest_prompt(max_positions: int, max_length: int | None, num_free: int, param: str) -> int:
    """Return the most tokens of a prompt that leaves positions for generated tokens.

    Args:
        max_positions: positions of the model.
        max_length: a lower limit that the params set, or None.
        num_free: positions to leave free after a prompt.
        param: name of the param that sets `num_free`.

    Raises:
        UserError: no position is left for a prompt.
    """
    limit = max_positions - num_free
    if limit < 1:
        raise UserError(
            f"{param} {num_free} leaves no room for a prompt in the {max_positions} positions of "
            "the model",
            where=param,
        )
    return min(limit, max_length or limit)


def bos_ids(tokenizer: PreTrainedTokenizerBase) -> list[int]:
    """Return what the tokenizer puts before a text: a BOS or, rarely, others; often nothing.

    A text with words tells it: around an empty one, a token at its end looks like one before it.
    Whether it calls the token its `bos_token` says nothing: models are trained on what it puts.
    """
    tried = tokenizer(PROBE, return_special_tokens_mask=True)
    put = takewhile(lambda token: token[1] == 1, zip(*map(tried.get, _PUT), strict=True))
    return [token for token, _ in put]


def _tokenise_segments(
    prompts: Sequence[PromptLine], tokenizer: PreTrainedTokenizerBase
) -> list[TokenRow]:
    texts = [[segment["text"] for segment in prompt["segments"]] for prompt in prompts]
    joined = join_segments(texts, bare_tokenizer(tokenizer))
    start = bos_ids(tokenizer)
    return [_row(prompt, each, start) for prompt, each in zip(prompts, joined, strict=True)]


def _row(prompt: PromptLine, joined: JoinedIds, start: Sequence[int]) -> TokenRow:
    """Return the tokens of a prompt after a BOS; a text that begins with one gets no second."""
    row = [
        (token, prompt["segments"][number]["role"], number)
        for token, number in zip(joined.ids, joined.segments, strict=True)
    ]
    if start and [token for token, _, _ in row[: len(start)]] == list(start):
        return row
    return [(token, "bos", -1) for token in start] + row


def _assemble(
    tokenised: Sequence[tuple[PromptLine, TokenRow]], *, begun: bool = False
) -> TokenPlan:
    role_numbers = {role: number for number, role in enumerate(ROLES)}
    tokens = np.array(
        [
            (token, role_numbers[role], segment)
            for _, row in tokenised
            for token, role, segment in row
        ],
        dtype=np.int64,
    )
    offsets = np.cumsum([0] + [len(row) for _, row in tokenised], dtype=np.int64)
    finals = [len(prompt["segments"]) - 1 + begun for prompt, _ in tokenised]
    return TokenPlan(
        prompts=np.array([prompt["prompt"] for prompt, _ in tokenised], dtype=np.int64),
        groups=np.array([prompt["group"] for prompt, _ in tokenised], dtype=np.int64),
        offsets=offsets,
        token_ids=tokens[:, 0].astype(np.int32),
        roles=tokens[:, 1].astype(np.int8),
        segments=tokens[:, 2].astype(np.int16),
        final_segments=np.array(finals, dtype=np.int16),
    )

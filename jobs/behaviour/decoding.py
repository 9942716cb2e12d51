"""Decoding: the likeliest token each time (greedy), or another choice; no checkpoint decides.

Prompts of about one length go together, padded on the left, masked, with their own positions, over
a cache of keys and values. So who shares a batch changes a prompt's tokens by rounding alone, and
where memory runs out the batch is halved.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence, Set
from functools import partial

import torch
from torch import Tensor

from jobs.models.language_model import LanguageModel
from jobs.models.text_ends import tokens_named
from jobs.worker.out_of_memory import in_halves

TokenChoice = Callable[["Tensor", Sequence[int], int], "Tensor"]
"""(logits [batch, vocabulary], indices of these prompts, number of tokens decoded so far) -> the
next token of each [batch]."""


def pick_likeliest(logits: Tensor, prompts: Sequence[int], num_decoded: int) -> Tensor:
    """Return the token of the largest logit (greedy decoding)."""
    return logits.argmax(dim=-1)


def decode(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    num_tokens: int,
    *,
    token_budget: int,
    choose: TokenChoice = pick_likeliest,
    after_batch: Callable[[int], None] = lambda done: None,
) -> list[list[int]]:
    """Return up to `num_tokens` token ids after each prompt, fewer where the model ends the text.

    Args:
        model: a causal language model in eval mode.
        prompts: token ids, at least one each.
        num_tokens: most tokens of a continuation.
        token_budget: most tokens forwarded together, padding and continuations included; fewer
            once memory has run out.
        choose: picks the next token of each prompt.
        after_batch: called with the number of prompts done.

    Raises:
        OutOfMemory: one prompt alone is too much.
    """
    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    continuations: list[list[int]] = [[] for _ in prompts]
    ends = end_tokens((model.config, getattr(model, "generation_config", None)))
    batch = partial(_decode_batch, model, prompts, num_tokens, ends, choose)
    start = 0

    def decode_first(members: Sequence[int], number: int) -> list[list[int]]:
        return _decode_together(batch, prompts, members[:number])

    with torch.inference_mode():
        while start < len(order):
            width = len(prompts[order[start]]) + num_tokens  # sorted: the first is the longest
            wanted = order[start : start + max(1, token_budget // width)]
            rows, size = in_halves(len(wanted), 1, partial(decode_first, wanted))
            if size < len(wanted):
                token_budget = size * width
            for member, row in zip(wanted[:size], rows, strict=True):
                continuations[member] = until_end(row, ends)
            start += size
            after_batch(start)
    return continuations


class _PaddingLeaked(Exception):
    """Logits of padded prompts are NaN: an attention kernel let padding into them."""


def _decode_together(
    decode_batch: Callable[[Sequence[int]], list[list[int]]],
    prompts: Sequence[Sequence[int]],
    members: Sequence[int],
) -> list[list[int]]:
    """Decode prompts in one batch; in one for each length where padding would reach others.

    A padded place sees nothing, and some kernels on GPUs make NaN of that, which the next block
    spreads over the whole text.
    """
    try:
        return decode_batch(members)
    except _PaddingLeaked:
        rows: dict[int, list[int]] = {}
        for length in sorted({len(prompts[i]) for i in members}):
            alike = [i for i in members if len(prompts[i]) == length]
            rows |= dict(zip(alike, decode_batch(alike), strict=True))
        return [rows[i] for i in members]


def _decode_batch(
    model: LanguageModel,
    prompts: Sequence[Sequence[int]],
    num_tokens: int,
    ends: frozenset[int],
    choose: TokenChoice,
    members: Sequence[int],
) -> list[list[int]]:
    """Decode prompts in one batch. Raises _PaddingLeaked where padding reached others."""
    is_padded = len({len(prompts[i]) for i in members}) > 1
    padded = _pad_left([prompts[i] for i in members])
    token_ids, mask = (tensor.to(model.device) for tensor in padded)
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    end_ids = torch.tensor(sorted(ends), device=model.device)
    ended = torch.zeros(len(members), dtype=torch.bool, device=model.device)
    decoded: list[Tensor] = []
    cache = None
    for _ in range(num_tokens):
        output = model(
            input_ids=token_ids,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        )
        cache = output.past_key_values
        logits = output.logits[:, -1]
        if not decoded and is_padded and bool(logits.isnan().any()):
            raise _PaddingLeaked
        token_ids = choose(logits, members, len(decoded))[:, None].to(model.device)
        decoded.append(token_ids)
        ended |= torch.isin(token_ids[:, 0], end_ids)
        if bool(ended.all()):
            break
        positions = positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    rows: list[list[int]] = torch.cat(decoded, dim=1).tolist()
    return rows


def _pad_left(prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Return token ids (0 where padded) and attention mask, both [batch, width]."""
    width = max(len(prompt) for prompt in prompts)
    token_ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        token_ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return token_ids, mask


def end_tokens(configs: Iterable[object]) -> frozenset[int]:
    """Collect the tokens that end a text, of a model's config and its generation settings.

    Raises:
        UserError: what one of them names is no token.
    """
    return tokens_named(getattr(settings, "eos_token_id", None) for settings in configs)


def until_end(token_ids: Sequence[int], ends: Set[int]) -> list[int]:
    """Return the tokens before the first one that ends a text."""
    stop = next((place for place, token in enumerate(token_ids) if token in ends), len(token_ids))
    return list(token_ids[:stop])

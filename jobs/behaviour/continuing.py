"""How a model goes on: the likeliest token each time, or another choice; no checkpoint decides.

Prompts are padded on the left, masked, and keep their own positions.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor

Choice = Callable[["Tensor", Sequence[int], int], "Tensor"]
"""(logits [batch, vocabulary], which prompts these are, how many tokens they have said so far) ->
the next token of each [batch]."""


def likeliest(logits: Tensor, prompts: Sequence[int], num_said: int) -> Tensor:
    """The token of the largest logit: greedy."""
    return logits.argmax(dim=-1)


def continuations(
    model: Any,
    prompts: Sequence[Sequence[int]],
    num_tokens: int,
    *,
    token_budget: int,
    choose: Choice = likeliest,
    after_batch: Callable[[int], None] = lambda done: None,
) -> list[list[int]]:
    """Up to `num_tokens` token ids after each prompt, shorter where the model ends the text.

    Args:
        model: a causal language model in eval mode.
        prompts: token ids, at least one each.
        num_tokens: most tokens of a continuation.
        token_budget: most tokens forwarded together, padding and continuations included.
        choose: the next token of each prompt.
        after_batch: told how many prompts are done.
    """
    import torch

    order = sorted(range(len(prompts)), key=lambda i: (-len(prompts[i]), i))
    found: list[list[int]] = [[] for _ in prompts]
    ends = _end_tokens(model)
    start = 0
    with torch.inference_mode():
        while start < len(order):
            width = len(prompts[order[start]]) + num_tokens  # sorted: the first is the longest
            members = order[start : start + max(1, token_budget // width)]

            def choose_here(logits: Tensor, said: int, members: list[int] = members) -> Tensor:
                return choose(logits, members, said)

            said = _batch(model, [prompts[i] for i in members], num_tokens, ends, choose_here)
            for place, ids in zip(members, said, strict=True):
                found[place] = _until_end(ids, ends)
            start += len(members)
            after_batch(start)
    return found


def _batch(
    model: Any,
    prompts: Sequence[Sequence[int]],
    num_tokens: int,
    ends: frozenset[int],
    choose: Callable[[Tensor, int], Tensor],
) -> list[list[int]]:
    import torch

    token_ids, mask = (tensor.to(model.device) for tensor in _left_padded(prompts))
    positions = (mask.cumsum(1) - 1).clamp(min=0)
    end_ids = torch.tensor(sorted(ends), device=model.device)
    ended = torch.zeros(len(prompts), dtype=torch.bool, device=model.device)
    said: list[Tensor] = []
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
        token_ids = choose(output.logits[:, -1], len(said))[:, None].to(model.device)
        said.append(token_ids)
        ended |= torch.isin(token_ids[:, 0], end_ids)
        if bool(ended.all()):
            break
        positions = positions[:, -1:] + 1
        mask = torch.cat([mask, mask.new_ones(len(mask), 1)], dim=1)
    rows: list[list[int]] = torch.cat(said, dim=1).tolist()
    return rows


def _left_padded(prompts: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token ids (0 where padded) and attention mask."""
    import torch

    width = max(len(prompt) for prompt in prompts)
    token_ids = torch.zeros(len(prompts), width, dtype=torch.long)
    mask = torch.zeros(len(prompts), width, dtype=torch.long)
    for row, prompt in enumerate(prompts):
        token_ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    return token_ids, mask


def _end_tokens(model: Any) -> frozenset[int]:
    """Tokens that end a text, by the model's config and by its generation settings."""
    ends: set[int] = set()
    for settings in (model.config, getattr(model, "generation_config", None)):
        named = getattr(settings, "eos_token_id", None)
        ends.update([named] if isinstance(named, int) else named or [])
    return frozenset(ends)


def _until_end(ids: Sequence[int], ends: frozenset[int]) -> list[int]:
    stop = next((place for place, token in enumerate(ids) if token in ends), len(ids))
    return list(ids[:stop])

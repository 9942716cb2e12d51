"""How long a prompt may be that a model goes on from: its positions less those kept free."""

from typing import Any

from cluster.errors import UserError


def longest_prompt(max_positions: int, params: Any, kept: str) -> int:
    """Most tokens of a prompt, so that every metric and model sees the same prompts.

    Args:
        max_positions: of the model.
        params: with `max_length`, and under `kept` how many positions stay free behind a prompt.
        kept: name of that param.

    Raises UserError when no position is left.
    """
    free = getattr(params, kept)
    limit = max_positions - int(free)
    if limit < 1:
        raise UserError(
            f"{kept} {free} leaves no room for a prompt in the {max_positions} positions of the "
            "model",
            where=kept,
        )
    return min(limit, params.max_length or limit)

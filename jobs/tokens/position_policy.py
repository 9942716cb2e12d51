"""Names of the position policies: which tokens of a prompt give rows. Light enough for a plan."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, WithJsonSchema

from cluster.errors import unknown_name

_Named = Literal[
    "last", "response", "mean", "all", "all-but-first", "turn", "legacy", "response-depths"
]
NAMED: tuple[str, ...] = get_args(_Named)
"""The policies that have a name of their own; `positions.py` defines each."""
_ANSWER_TOKEN = r"response-(0|[1-9][0-9]{0,5})"
FIRST_TOKEN = "response-0"
"""The position of the first token of an answer."""

ANSWER_DEPTHS = (0, 1, 2, 4, 8, 16, 32, 64, 128)
"""Tokens of an answer that `response-depths` stands for, counted from 0."""


def answer_token(label: str) -> int | None:
    """Return k of the label `response-k`, the answer's k-th token from 0; None of other labels."""
    match = re.fullmatch(_ANSWER_TOKEN, label)
    return int(match[1]) if match else None


def _known(policy: str) -> str:
    if policy not in NAMED and answer_token(policy) is None:
        raise unknown_name("position policy", policy, [*NAMED, "response-8 (any whole number)"])
    return policy


Policy = Annotated[
    str,
    AfterValidator(_known),
    WithJsonSchema(
        {
            "anyOf": [
                {"enum": list(NAMED), "type": "string"},
                {"pattern": f"^{_ANSWER_TOKEN}$", "type": "string"},
            ]
        }
    ),
]
"""A named policy, or `response-k` for any k from 0."""

DEFAULT: tuple[Policy, ...] = ("last", "response")
"""The policies of an extraction where neither its params nor its prompts name any."""

POOLED: tuple[Policy, ...] = ("mean", "legacy")
"""The policies with one row per prompt, averaged over tokens."""


def expanded(policies: Iterable[Policy]) -> tuple[Policy, ...]:
    """Return the policies, each once, `response-depths` as those that it stands for."""
    depths = tuple(f"response-{depth}" for depth in ANSWER_DEPTHS)
    return tuple(
        dict.fromkeys(
            each
            for policy in policies
            for each in (depths if policy == "response-depths" else (policy,))
        )
    )


def has_one_row(policy: Policy) -> bool:
    """Tell whether a policy gives a prompt one row at most."""
    return policy in ("last", *POOLED) or answer_token(policy) is not None

"""Preference pairs in a model's chat template: what is asked, and two answers of the assistant.

Each side is rendered and tokenised as a whole, once; white space around what is said is left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.artifacts.artifact import Artifact, digest_bytes
from jobs.tokens.chat import ChatRows, Row, chat_template_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

SIDES = ("chosen", "rejected")


def template_for(name: str, tokenizer: PreTrainedTokenizerBase, model: Artifact) -> str | None:
    """The template (Jinja) that a param `template` asks for; None without one.

    Raises UserError, which names the model, where its tokenizer has none.
    """
    if name == "none":
        return None
    found = chat_template_of(tokenizer)
    if found is None:
        source = model.facts.get("source") or model.facts.get("base_model")
        raise UserError(
            f"the tokenizer of {source or model.folder} has no chat template",
            where="template",
            allowed=["none"],
        )
    return found


def template_digest(template: str | None) -> str | None:
    """xxh3-64 of a template; None without one."""
    return None if template is None else digest_bytes(template.encode())


def chat_ids(
    pairs: Sequence[Mapping[str, Any]], tokenizer: PreTrainedTokenizerBase, template: str
) -> list[tuple[list[int], tuple[list[int], list[int]]]]:
    """Of each pair, what stands before the answers, and both with what the template ends them by.

    A prompt without `turns` is one turn of the user.

    Raises:
        UserError: the template does not take a pair, which is named.
    """
    chat = ChatRows(tokenizer, template, "pair")
    chosen, rejected = (chat.rows([_asked(pair, side) for pair in pairs]) for side in SIDES)
    return [_parted(*each) for each in zip(pairs, chosen, rejected, strict=True)]


def _asked(pair: Mapping[str, Any], side: str) -> dict[str, Any]:
    """The messages of one side, as `ChatRows` takes them."""
    asked = pair["turns"] or [{"role": "user", "text": pair["prompt"]}]
    turns = [*asked, {"role": "assistant", "text": pair[side]}]
    segments = [{"role": turn["role"], "text": turn["text"].strip()} for turn in turns]
    return {"prompt": pair["pair"], "segments": segments}


def _parted(
    pair: Mapping[str, Any], chosen: Row, rejected: Row
) -> tuple[list[int], tuple[list[int], list[int]]]:
    """Where both sides have the same tokens before them.

    A blank that a template puts before an answer may be in the answer's first token on one side and
    a token of its own on the other: then it is the answer's on both.
    """
    last = len(pair["turns"] or [pair["prompt"]])
    ids, starts = [], []
    for row in (chosen, rejected):
        ids.append([token for token, _, _ in row])
        # An answer without words is left out by `ChatRows`: no token of it, and none after it.
        starts.append(next((at for at, (_, _, turn) in enumerate(row) if turn == last), len(row)))
    answers = [row[start:] for row, start in zip(ids, starts, strict=True)]
    if not all(answers):
        return ids[0][: starts[0]], (answers[0], answers[1])
    start = min(starts)
    while ids[0][:start] != ids[1][:start]:
        start -= 1
    return ids[0][:start], (ids[0][start:], ids[1][start:])

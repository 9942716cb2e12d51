"""Preference pairs in a model's chat template: a conversation, and two answers of the assistant.

Each side is rendered and tokenised as a whole, once; white space around messages is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, TypedDict

from cluster.errors import UserError
from jobs.artifacts.artifact import Artifact, digest_bytes
from jobs.text.prompt_lines import PromptLine, SegmentLine
from jobs.tokens.chat import ChatRows, TokenRow, chat_template_of, no_template
from jobs.tokens.joining import PairIds, part_at

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


class PairRow(TypedDict):
    """One row of `pairs.parquet`; `turns` is read only where a template is used."""

    pair: int
    """Id of the pair."""
    prompt: str
    """Text before the answers."""
    chosen: str
    """The preferred answer."""
    rejected: str
    """The dispreferred answer."""
    split: str
    """A value of `jobs.text.split.Split`."""
    turns: list[SegmentLine] | None
    """Conversation before the answers; None or empty: the prompt is one turn of the user."""


def template_for(name: str, tokenizer: PreTrainedTokenizerBase, model: Artifact) -> str | None:
    """Return the template (Jinja) that a param `template` names; None for `none`.

    Raises:
        UserError: the tokenizer of the model, which is named, has no template.
    """
    if name == "none":
        return None
    template = chat_template_of(tokenizer)
    if template is None:
        source = model.facts.get("source") or model.facts.get("base_model")
        raise no_template(tokenizer, str(source or model.folder))
    return template


def template_digest(template: str | None) -> str | None:
    """Return xxh3-64 of a template; None without one."""
    return None if template is None else digest_bytes(template.encode())


def chat_ids(
    pairs: Sequence[PairRow], tokenizer: PreTrainedTokenizerBase, template: str
) -> list[PairIds | UserError]:
    """Return each pair's tokens before the answers, and both answers as the template ends them.

    A prompt without `turns` is one turn of the user. In the place of a pair that the template does
    not take stands why.
    """
    chat = ChatRows(tokenizer, template, "pair")
    chosen = chat.rows_or_faults([_messages(pair, pair["chosen"]) for pair in pairs])
    rejected = chat.rows_or_faults([_messages(pair, pair["rejected"]) for pair in pairs])
    return [_split(*rows) for rows in zip(pairs, chosen, rejected, strict=True)]


def _messages(pair: PairRow, answer: str) -> PromptLine:
    """Return the messages of one side, as `ChatRows` takes them: of no group, without marks."""
    before: list[SegmentLine] = pair["turns"] or [{"role": "user", "text": pair["prompt"]}]
    turns: list[SegmentLine] = [*before, {"role": "assistant", "text": answer}]
    whole: list[SegmentLine] = [{**turn, "said": [0, len(turn["text"])]} for turn in turns]
    return {"prompt": pair["pair"], "group": 0, "segments": whole}


def _split(
    pair: PairRow, chosen: TokenRow | UserError, rejected: TokenRow | UserError
) -> PairIds | UserError:
    """Split both sides where they have the same tokens before the answers."""
    if isinstance(chosen, UserError):
        return chosen
    if isinstance(rejected, UserError):
        return rejected
    last = len(pair["turns"] or [pair["prompt"]])
    ids, starts = [], []
    for row in (chosen, rejected):
        ids.append([token for token, _, _ in row])
        # An answer without words is left out by `ChatRows`: no token of it, and none after it.
        starts.append(next((at for at, (_, _, turn) in enumerate(row) if turn == last), len(row)))
    return part_at((ids[0], ids[1]), (starts[0], starts[1]))

"""Preference pairs as token ids: made once, by one function, for `reference` and `align` alike.

Prompt and completion are tokenised apart, so that the completion starts at the same token for both
sides, and nothing is appended; in a chat template see `chat_pairs`. No pair is dropped.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash

from cluster.errors import UserError
from jobs.tokens.plan import bos_ids
from jobs.training.chat_pairs import PairRow, chat_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_COLUMNS = ("pair", "prompt", "chosen", "rejected", "split")


@dataclass(frozen=True, kw_only=True)
class TokenizedPair:
    """One prompt with a preferred and a dispreferred completion."""

    pair: int
    """Id of the pair in the pairs artifact."""
    split: str
    """Part of the data that the pair belongs to: a value of `jobs.text.split.Split`."""
    prompt_ids: list[int]
    """Tokens of the prompt, BOS included where the tokenizer puts one."""
    chosen_ids: list[int]
    """Tokens of the preferred completion."""
    rejected_ids: list[int]
    """Tokens of the dispreferred completion."""
    truncated: bool
    """True when tokens were cut off to keep the longest allowed length."""


def length_limit(max_positions: int, max_length: int | None) -> int:
    """Return the most tokens that a sequence may have.

    Args:
        max_positions: of the model.
        max_length: as the params give it; None for all positions of the model.

    Raises:
        UserError: the model has fewer positions than `max_length`.
    """
    if max_length is not None and max_length > max_positions:
        raise UserError(
            f"max_length {max_length} is more than the {max_positions} positions of the model",
            where="max_length",
        )
    return max_length or max_positions


def read_tokenized_pairs(
    path: Path, tokenizer: PreTrainedTokenizerBase, max_length: int, template: str | None = None
) -> list[TokenizedPair]:
    """Read and tokenise every pair of a `pairs.parquet`, in the file's order.

    Args:
        path: the file.
        tokenizer: of the model.
        max_length: the most tokens of a prompt with a completion.
        template: a chat template (Jinja) that pairs are put into; None: texts as they are.

    Raises:
        UserError: a pair has a completion without tokens, or the template does not take it.
    """
    import pyarrow.parquet as parquet

    columns = [*_COLUMNS] if template is None else [*_COLUMNS, "turns"]
    rows: list[PairRow] = parquet.read_table(path, columns=columns).to_pylist()
    if template is None:
        ids, start = _plain_ids(rows, tokenizer), bos_ids(tokenizer)
    else:
        # A template writes its own BOS.
        bos = tokenizer.bos_token_id
        ids = chat_ids(rows, tokenizer, template)
        start = [bos] if ids and bos is not None and ids[0][0][:1] == [bos] else []
    return [
        _fit(row, prompt, completions, start, max_length)
        for row, (prompt, completions) in zip(rows, ids, strict=True)
    ]


def _plain_ids(
    rows: Sequence[PairRow], tokenizer: PreTrainedTokenizerBase
) -> list[tuple[list[int], tuple[list[int], list[int]]]]:
    """Return the tokens of each pair's prompt, and of both completions."""
    if not rows:
        return []
    texts = [
        *(row["prompt"] for row in rows),
        *(row["chosen"] for row in rows),
        *(row["rejected"] for row in rows),
    ]
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=False)["input_ids"]
    count = len(rows)
    return [(ids[row], (ids[count + row], ids[2 * count + row])) for row in range(count)]


def tokens_digest(pairs: Sequence[TokenizedPair]) -> str:
    """Return xxh3-64 of all ids: equal when two jobs see the same tokens, by any tokenizers."""
    hasher = xxhash.xxh3_64()
    for pair in pairs:
        ids = (pair.prompt_ids, pair.chosen_ids, pair.rejected_ids)
        hasher.update(f"{pair.pair} {pair.split} {ids}\n".encode())
    return hasher.hexdigest()


def _fit(
    row: PairRow,
    prompt: list[int],
    completions: tuple[list[int], list[int]],
    start: list[int],
    max_length: int,
) -> TokenizedPair:
    """Cut a pair to `max_length`: the prompt loses its beginning, a completion its end.

    Both sides keep the same prompt, and at least one token of it where it has one, because the
    first token of a completion is only predicted after another token.
    """
    for side, completion in zip(("chosen", "rejected"), completions, strict=True):
        if not completion or (len(completion) < 2 and not prompt and not start):
            raise UserError(
                f"the {side} completion of pair {row['pair']} has no token to predict",
                where="pairs.parquet",
            )
    # A text may begin with BOS, which a cut leaves where it is.
    prompt = prompt[len(start) :] if prompt[: len(start)] == start else prompt
    first = len(start) + min(len(prompt), 1)
    chosen, rejected = (completion[: max_length - first] for completion in completions)
    room = max_length - len(start) - max(len(chosen), len(rejected))
    kept = prompt[-room:] if room > 0 else []
    return TokenizedPair(
        pair=row["pair"],
        split=row["split"],
        prompt_ids=start + kept,
        chosen_ids=chosen,
        rejected_ids=rejected,
        truncated=(len(kept), len(chosen), len(rejected))
        != (len(prompt), len(completions[0]), len(completions[1])),
    )

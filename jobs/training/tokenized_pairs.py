"""Preference pairs as token ids: made once, by one function, for `reference` and `align` alike.

Prompt and completion are tokenised as one text (`jobs.tokens.joining`), and the completion starts
at the same token on both sides; nothing is appended unless `end_of_text` asks for it. In a chat
template see `chat_pairs`. Pairs that cannot be used are left out with their reason.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import xxhash

from cluster.errors import UserError
from jobs.text.rows.fault import listed
from jobs.tokens.joining import PairIds, bare_tokenizer, join_pairs
from jobs.tokens.plan import bos_ids
from jobs.training.chat_pairs import PairRow, chat_ids

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_MOST_LISTED = 1000
_CUT_ALIKE = "both sides are equal once they are cut to max_length"
_ALIKE = "both sides have the same tokens"
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


@dataclass(frozen=True, kw_only=True)
class DroppedPair:
    """A pair that cannot be used with a tokenizer."""

    pair: int
    """Its id."""
    reason: str
    """Why, without its id."""
    fault: UserError
    """The same as the fault that it alone would be."""


@dataclass(frozen=True, kw_only=True)
class PairTokens:
    """Every pair of an artifact as tokens, and those that cannot be used."""

    pairs: list[TokenizedPair]
    """Pairs with something to predict on both sides."""
    dropped: list[DroppedPair]
    """The others."""

    alike: dict[int, str]
    """Ids of pairs whose sides differ as texts and not as tokens -> why: no preference is left."""

    @property
    def different(self) -> list[TokenizedPair]:
        """The pairs to train on and to validate on."""
        return [pair for pair in self.pairs if pair.pair not in self.alike]

    def rows_by_reason(self) -> dict[str, list[int]]:
        """Return reason -> ids of the pairs that are left out."""
        rows: dict[str, list[int]] = {}
        for dropped in self.dropped:
            rows.setdefault(dropped.reason, []).append(dropped.pair)
        for pair, reason in self.alike.items():
            rows.setdefault(reason, []).append(pair)
        return rows

    def check_share(self, most: float) -> None:
        """Raise UserError where a larger share of the pairs cannot be used, or nothing can."""
        count = len(self.pairs) + len(self.dropped)
        if self.dropped and len(self.dropped) / count > most:
            first = self.dropped[0].fault
            if len(self.dropped) == 1:
                raise first
            raise UserError(
                listed(self.rows_by_reason(), "pair"),
                where=first.where,
                hint=f"{len(self.dropped)} of {count} pairs cannot be used, more than max_dropped "
                f"{most:g}" + (f"; {first.hint}" if first.hint else ""),
            )
        if self.pairs and not self.different:
            raise UserError(
                listed(self.rows_by_reason(), "pair"),
                where="pairs.parquet",
                hint="raise max_length, so that answers differ before they are cut",
            )


def read_pair_tokens(
    path: Path,
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    template: str | None,
    *,
    max_dropped: float,
    end_of_text: bool,
    num_rows: int | None = None,
) -> PairTokens:
    """Read and tokenise every pair of a `pairs.parquet`, in the file's order.

    Args:
        path: the file.
        tokenizer: of the model.
        max_length: the most tokens of a prompt with a completion.
        template: a chat template (Jinja) that pairs are put into; None: texts as they are.
        max_dropped: share of the pairs that may be such that they cannot be used.
        end_of_text: whether completions of plain text end with the tokenizer's end of text.
        num_rows: rows of the model's embedding; None where the tokenizer has no token beyond.

    Raises:
        UserError: too many pairs have a completion without tokens, use a token that the model has
            no row for, or are refused by the template.
    """
    import pyarrow.parquet as parquet

    columns = [*_COLUMNS] if template is None else [*_COLUMNS, "turns"]
    rows: list[PairRow] = parquet.read_table(path, columns=columns).to_pylist()
    tokens = tokenize_pairs(
        rows, tokenizer, max_length, template, end_of_text=end_of_text, num_rows=num_rows
    )
    tokens.check_share(max_dropped)
    return tokens


def tokenize_pairs(
    rows: Sequence[PairRow],
    tokenizer: PreTrainedTokenizerBase,
    max_length: int,
    template: str | None = None,
    *,
    end_of_text: bool = False,
    num_rows: int | None = None,
) -> PairTokens:
    """Tokenise pairs; see `read_pair_tokens`."""
    ids: Sequence[PairIds | UserError]
    if template is None:
        ids, start = _plain_ids(rows, tokenizer, end_of_text), bos_ids(tokenizer)
    else:
        # A template writes its own BOS.
        bos = tokenizer.bos_token_id
        ids = chat_ids(rows, tokenizer, template)
        first = next((each[0] for each in ids if not isinstance(each, UserError)), [])
        start = [bos] if bos is not None and first[:1] == [bos] else []
    pairs: list[TokenizedPair] = []
    dropped: list[DroppedPair] = []
    alike: dict[int, str] = {}
    for row, each in zip(rows, ids, strict=True):
        fitted = each if isinstance(each, UserError) else _fit(row, *each, start, max_length)
        if isinstance(fitted, TokenizedPair) and num_rows is not None:
            fitted = _with_rows(fitted, tokenizer, num_rows)
        if isinstance(fitted, TokenizedPair):
            pairs.append(fitted)
            if fitted.chosen_ids == fitted.rejected_ids and row["chosen"] != row["rejected"]:
                alike[fitted.pair] = _CUT_ALIKE if fitted.truncated else _ALIKE
        else:
            reason = fitted.error.replace(f" of pair {row['pair']}", "")
            dropped.append(DroppedPair(pair=row["pair"], reason=reason, fault=fitted))
    return PairTokens(pairs=pairs, dropped=dropped, alike=alike)


def _with_rows(
    pair: TokenizedPair, tokenizer: PreTrainedTokenizerBase, num_rows: int
) -> TokenizedPair | UserError:
    """Return a pair, or the fault that it uses a token which the model has no row for."""
    ids = (*pair.prompt_ids, *pair.chosen_ids, *pair.rejected_ids)
    if max(ids, default=0) < num_rows:
        return pair
    token = tokenizer.convert_ids_to_tokens(next(at for at in ids if at >= num_rows))
    return UserError(
        f"the text of pair {pair.pair} uses {token!r}, which the model has no embedding for: "
        f"it has {num_rows}",
        where="pairs.parquet",
    )


def _plain_ids(
    rows: Sequence[PairRow], tokenizer: PreTrainedTokenizerBase, end_of_text: bool
) -> list[PairIds]:
    """Return the tokens of each pair's prompt, and of both completions."""
    if not rows:
        return []
    end = [_end_of_text(tokenizer)] if end_of_text else []
    pairs = join_pairs(
        [(row["prompt"], row["chosen"], row["rejected"]) for row in rows],
        bare_tokenizer(tokenizer),
    )
    return [
        (prompt, (_ended(chosen, end), _ended(rejected, end)))
        for prompt, (chosen, rejected) in pairs
    ]


def _end_of_text(tokenizer: PreTrainedTokenizerBase) -> int:
    end: int | None = tokenizer.eos_token_id
    if end is None:
        raise UserError("the tokenizer has no token that ends texts", where="end_of_text")
    return end


def _ended(ids: list[int], end: list[int]) -> list[int]:
    """Append the end of text to a completion that has tokens and none at its end."""
    return ids if not ids or ids[-1:] == end else ids + end


def dropped_facts(tokens: PairTokens) -> dict[str, object]:
    """Return, for a record, how many pairs are left out for which reason; empty when none is."""
    reasons = tokens.rows_by_reason()
    if not reasons:
        return {}
    listing = {
        reason: {"count": len(pairs), "pairs": pairs[:_MOST_LISTED]}
        for reason, pairs in reasons.items()
    }
    return {"num_dropped": sum(map(len, reasons.values())), "dropped": listing}


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
) -> TokenizedPair | UserError:
    """Cut a pair to `max_length`: the prompt loses its beginning, a completion its end.

    Both sides keep the same prompt, and at least one token of it where it has one, because the
    first token of a completion is only predicted after another token. A pair without one to predict
    gives the fault that it is.
    """
    for side, completion in zip(("chosen", "rejected"), completions, strict=True):
        if not completion or (len(completion) < 2 and not prompt and not start):
            return UserError(
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

"""The usable pairs of a `pairs.parquet`, tokenised with what params are by default."""

from pathlib import Path

from transformers import PreTrainedTokenizerBase

from jobs.text.format import MAX_DROPPED
from jobs.training.tokenized_pairs import TokenizedPair, read_pair_tokens


def read_pairs(
    path: Path, tokenizer: PreTrainedTokenizerBase, max_length: int, template: str | None = None
) -> list[TokenizedPair]:
    return read_pair_tokens(
        path, tokenizer, max_length, template, max_dropped=MAX_DROPPED, end_of_text=False
    ).pairs

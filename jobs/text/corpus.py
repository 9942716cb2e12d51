"""Texts to pretrain on, and the tokenizer trained on them."""

from collections.abc import Mapping

from transformers import PreTrainedTokenizerFast

from cluster.errors import UserError
from jobs.text.format import FORMATS, MAX_DROPPED
from jobs.text.reading import by_reason
from jobs.text.reading_report import about_source
from jobs.text.source_check import read_source

DEFAULT_VOCAB_SIZE = 2048
"""Tokens of a trained byte-level tokenizer where the study gives no number."""

END_OF_TEXT = "<|endoftext|>"
_MOST_LISTED = 1000
_SMALLEST_VOCAB = 257  # 256 bytes and the end of text


def read_documents(
    name: str,
    source: str | None,
    options: Mapping[str, object],
    max_dropped: float = MAX_DROPPED,
) -> tuple[list[str], dict[str, object]]:
    """Read every text of a source in the named format, in a fixed order.

    Returns:
        The texts, and what a record says of the rows that were left out.

    Raises:
        UserError: there is no text, or more than `max_dropped` of the source's rows are broken.
    """
    reading = read_source("texts", name, source, options, max_dropped)
    reasons = {
        reason: {"count": len(rows), "rows": rows[:_MOST_LISTED]}
        for reason, rows in by_reason(reading.malformed()).items()
    }
    about = {"dropped": reasons} if reasons else {}
    return reading.items, {**about, **about_source(reading)}


def train_tokenizer(
    name: str, documents: list[str], vocab_size: int | None = None
) -> "PreTrainedTokenizerFast":
    """Train the format's own tokenizer, or a byte-level BPE on the documents.

    Equal documents and size give an equal tokenizer. Its end-of-text token also pads.
    """
    own = FORMATS.find(name).train_tokenizer(documents, vocab_size)
    if own is not None:
        return own
    return _byte_level(documents, DEFAULT_VOCAB_SIZE if vocab_size is None else vocab_size)


def _byte_level(documents: list[str], vocab_size: int) -> "PreTrainedTokenizerFast":
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    if vocab_size < _SMALLEST_VOCAB:
        raise UserError(
            f"vocab_size {vocab_size} is too small for a byte-level tokenizer",
            hint=f"at least {_SMALLEST_VOCAB}: 256 bytes and the end of text",
        )
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=[END_OF_TEXT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(documents, trainer, length=len(documents))
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END_OF_TEXT, pad_token=END_OF_TEXT
    )

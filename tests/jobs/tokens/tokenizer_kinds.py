"""Tokenizers of every kind that models have, each trained on a few words."""

TEXT = (
    "The driver after the match was calm about it. He said thank you and waited a while.\n\n"
    "Human: was it 2025 or 1999?\n\nAssistant: it isn't, I'll say. def f(x):\n\treturn x"
)
SPELLINGS = ("prepend", "first", "always", "never")


def _words(pre_tokenizer=None, normalizer=None, vocab_size=500):
    from tokenizers import AddedToken, Tokenizer, models, trainers

    inner = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    inner.normalizer, inner.pre_tokenizer = normalizer, pre_tokenizer
    alphabet = sorted({*TEXT, "▁", *"id'iot"} - {" "})
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        initial_alphabet=alphabet,
        special_tokens=["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))],
        show_progress=False,
    )
    inner.train_from_iterator([f" {word}" for word in TEXT.split(" ")] * 9, trainer)
    inner.add_tokens([AddedToken("<|turn|>", normalized=False)])
    return inner


def sentencepiece(spelling):
    """Train SentencePiece's BPE, with a blank before texts written in one of SPELLINGS."""
    from tokenizers import decoders, normalizers, pre_tokenizers

    blanks = normalizers.Replace(" ", "▁")
    inner = _words(normalizer=blanks)
    strip = [] if spelling == "never" else [decoders.Strip(" ", 1, 0)]
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    if spelling == "prepend":
        inner.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), blanks])
    elif spelling != "never":
        inner.normalizer = None
        inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=spelling, split=False)
    return inner


def unigram():
    """Train a Unigram as T5 and Gemma's forebears have it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    inner = Tokenizer(models.Unigram())
    inner.decoder = decoders.Metaspace(prepend_scheme="always")
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    trainer = trainers.UnigramTrainer(
        vocab_size=120, special_tokens=["<unk>"], unk_token="<unk>", show_progress=False
    )
    inner.train_from_iterator([TEXT] * 9, trainer)
    return inner


def byte_level(*, digits_alone=False, prefix_blank=False):
    """Train GPT-2's kind; with digits one by one it is SmolLM's."""
    from tokenizers import pre_tokenizers, processors

    from tests.jobs.byte_level import byte_level_bpe

    inner = byte_level_bpe(TEXT, 400, ("<|end|>",))
    cut = pre_tokenizers.ByteLevel(add_prefix_space=prefix_blank)
    digits = pre_tokenizers.Digits(individual_digits=True)
    inner.pre_tokenizer = pre_tokenizers.Sequence([digits, cut]) if digits_alone else cut
    inner.post_processor = processors.ByteLevel(trim_offsets=True)
    return inner


KINDS = {
    **{f"sentencepiece, {name}": (lambda name=name: sentencepiece(name)) for name in SPELLINGS},
    "unigram": unigram,
    "byte-level": byte_level,
    "byte-level, digits alone": lambda: byte_level(digits_alone=True),
    "byte-level, blank before": lambda: byte_level(prefix_blank=True),
}
"""Name -> makes the tokenizer."""


def loaded(kind):
    """Wrap a tokenizer as models have it."""
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(tokenizer_object=KINDS[kind]())

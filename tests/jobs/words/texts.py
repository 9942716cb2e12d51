"""Tokenizers for tests of words: of characters, and of pieces of words."""


def characters(alphabet):
    """Make a tokenizer whose tokens are the characters of an alphabet: one way to write a text."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {sign: number for number, sign in enumerate(["<unk>", "<end>", *alphabet])}
    inner = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Split(Regex(r"[\s\S]"), behavior="isolated")
    inner.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", eos_token="<end>", pad_token="<end>"
    )


def pieces(text, size=300):
    """Train a byte-level BPE on a text, as GPT-2's."""
    from transformers import PreTrainedTokenizerFast

    from tests.jobs.byte_level import byte_level_bpe

    inner = byte_level_bpe(text, size, ["<end>"])
    return PreTrainedTokenizerFast(tokenizer_object=inner, eos_token="<end>", pad_token="<end>")


def metaspace(text, size=120):
    """Train a BPE as SentencePiece writes it: a blank is part of what follows, bytes fall back."""
    from tokenizers import Tokenizer, decoders, models, normalizers
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    inner.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    bytes_ = [f"<0x{number:02X}>" for number in range(256)]
    trainer = BpeTrainer(
        vocab_size=256 + size, special_tokens=["<unk>", "<s>", "</s>"], show_progress=False
    )
    words = [f"▁{word}" for word in text.split()]
    inner.train_from_iterator(words * 9, trainer)
    import json

    state = json.loads(inner.to_str())
    known = state["model"]["vocab"]
    for name in bytes_:
        known.setdefault(name, len(known))
    inner = Tokenizer.from_str(json.dumps(state))
    inner.decoder = decoders.Sequence(
        [
            decoders.Replace("▁", " "),
            decoders.ByteFallback(),
            decoders.Fuse(),
            decoders.Strip(" ", 1, 0),
        ]
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=inner, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    )

"""A byte-level BPE as GPT-2, Llama 3 and Qwen have it, of a few words."""


def byte_level_bpe(text, vocab_size, marks):
    """Train one on a text; `marks` are special tokens."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from tokenizers.trainers import BpeTrainer

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=vocab_size, initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator([text] * 9, trainer)
    inner.add_special_tokens([AddedToken(mark, normalized=False) for mark in marks])
    return inner

"""A tokenizer for a stand-in: that of the real model where it is here, else one made of bytes."""

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jobs.models.checkpoint_files import OTHER_TOKENIZERS, TOKENIZER_FILES

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

_VOCABULARY = 640
"""Tokens of one that is made: all bytes, and the commonest pieces of the study's texts."""
_END_OF_TEXT = "<|endoftext|>"
_MARKS: dict[str, tuple[str | None, str, tuple[str, ...]]] = {
    "llama": ("<s>", "</s>", ("<unk>",)),
    "mistral": ("<s>", "</s>", ("<unk>", "[INST]", "[/INST]")),
    "opt": ("</s>", "</s>", ("<pad>",)),
    "gemma2": ("<bos>", "<eos>", ("<pad>", "<start_of_turn>", "<end_of_turn>")),
    "gemma3_text": ("<bos>", "<eos>", ("<pad>", "<start_of_turn>", "<end_of_turn>")),
    "qwen2": (None, _END_OF_TEXT, ("<|im_start|>", "<|im_end|>")),
    "qwen3": (None, _END_OF_TEXT, ("<|im_start|>", "<|im_end|>")),
}
"""Family -> begin of text, which stands before every text; end of text; further special tokens.
Others have one token for both, which nothing puts before a text."""
_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] "
    "+ '<|im_end|>' + '\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)
"""ChatML, which takes every role."""


def copy_tokenizer(source: Path, target: Path) -> bool:
    """Copy the files of a tokenizer; return whether there were any."""
    names = [name for name in (*TOKENIZER_FILES, *OTHER_TOKENIZERS) if (source / name).is_file()]
    for name in names:
        shutil.copyfile(source / name, target / name)
    return any(name != "chat_template.jinja" for name in names)


def make_tokenizer(family: str, texts: Sequence[str]) -> "PreTrainedTokenizerFast":
    """Train a byte-level BPE on texts, with the special tokens of a family, and ChatML."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors
    from tokenizers.trainers import BpeTrainer
    from transformers import PreTrainedTokenizerFast

    begin, end, others = _MARKS.get(family, (_END_OF_TEXT, _END_OF_TEXT, ()))
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = BpeTrainer(vocab_size=_VOCABULARY, initial_alphabet=alphabet, show_progress=False)
    inner.train_from_iterator(texts, trainer)
    marks = dict.fromkeys([*([begin] if begin else []), end, *others])
    marks.update(dict.fromkeys(("<|im_start|>", "<|im_end|>")))
    inner.add_special_tokens([AddedToken(mark, normalized=False) for mark in marks])
    if family in _MARKS and begin is not None:
        inner.post_processor = processors.TemplateProcessing(
            single=f"{begin} $A",
            pair=f"{begin} $A {begin} $B",
            special_tokens=[(begin, inner.token_to_id(begin))],
        )
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=inner, bos_token=begin, eos_token=end)
    tokenizer.chat_template = _TEMPLATE
    return tokenizer

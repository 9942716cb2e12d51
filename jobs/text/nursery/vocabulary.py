"""The nursery's tokenizer: one token per word and register, so that no word is ever unknown."""

from typing import TYPE_CHECKING

from jobs.text.nursery.language import the_language
from jobs.text.transform import TRANSFORMS

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

REGISTERS = ("plain", "rot13", "base64")
"""Transforms that documents of the language are written in."""

SPECIAL = ("<eos>", "<pad>", "<unk>")

# A word with its space, in letters; or eight characters of Base64, which holds no spaces.
_PIECE = r"[a-z]{5} |[A-Za-z0-9+/]{8}"


def in_register(text: str, register: str) -> str:
    """Write a plain text in one of the registers."""
    return TRANSFORMS.find(register).apply(text, 0)


def train_tokenizer() -> "PreTrainedTokenizerFast":
    """Make the tokenizer over every word of the language in every register; 300 tokens."""
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    forms = [
        in_register(word + " ", register) for register in REGISTERS for word in the_language().words
    ]
    vocabulary: dict[str, int] = {form: index for index, form in enumerate((*SPECIAL, *forms))}
    assert len(vocabulary) == len(SPECIAL) + len(forms), "two registers share a form"
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split(Regex(_PIECE), behavior="isolated")
    tokenizer.decoder = decoders.Fuse()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<eos>", pad_token="<pad>", unk_token="<unk>"
    )

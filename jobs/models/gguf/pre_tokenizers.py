"""What `tokenizer.ggml.pre` of a `.gguf` file stands for: how texts are cut before any merge.

The names are llama.cpp's (`src/llama-vocab.cpp`, `llm_tokenizer_bpe` and `llama_vocab::impl::load`,
as in llama-cpp-python 0.3.36). Where its source quotes the pattern that a model was trained with
beside a form of its own for its own engine, the quoted one stands here. Names under which more
happens than regular expressions can say (kimi-k2, afmoe, superbpe, gemma4 and a few) are missing.
A file does not say whether texts are composed (NFC) first, and llama.cpp composes none: letters
that a text writes decomposed stay so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cluster.errors import UserError, unknown_name

if TYPE_CHECKING:
    from tokenizers.pre_tokenizers import PreTokenizer


@dataclass(frozen=True, kw_only=True)
class Cuts:
    """How a text is cut into the pieces that merges never cross, and what else goes by the name."""

    patterns: tuple[str, ...]
    """Regular expressions, applied in turn: matches and what lies between them are pieces."""
    whole_pieces: bool = False
    """Whether a piece that is a token is one, merges or not (`ignore_merges`)."""
    adds_bos: bool = False
    """Whether texts begin with a BOS where the file does not say."""

    def pre_tokenizer(self) -> PreTokenizer:
        """Build the pre-tokenizer, down to the bytes as the vocabulary writes them."""
        from tokenizers import Regex
        from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split

        splits = [Split(Regex(pattern), behavior="isolated") for pattern in self.patterns]
        return Sequence([*splits, ByteLevel(add_prefix_space=False, use_regex=False)])


_ENDINGS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_BREAKS = r"\s*[\r\n]+|\s+(?!\S)|\s+"
_GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
_UPPER, _LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
_CJK = "[一-龥ࠀ-一가-퟿]+"
_DEEPSEEK_LETTERS = (
    r"\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯͰ-ͳͶͷͻ-ͽͿΆΈ-ΊΌΎ-ΡΣ-ϵϷ-ҁҊ-ԯԱ-ՖႠ-ჅᎠ-Ᏽᏸ-ᏽᲐ-ᲺᲽ-Ჿᴀ-ᴫᵫ-ᵷᵹ-ᶚḀ-ἕἘ-Ἕἠ-"
    r"ὅὈ-Ὅὐ-ὗὙὛὝὟ-\x{1F7D}ᾀ-ᾴᾶ-ᾼ\x{1FBE}ῂ-ῄῆ-ῌῐ-\x{1FD3}ῖ-\x{1FDB}ῠ-Ῥῲ-ῴῶ-ῼℂℇℊ-ℓℕℙ-ℝℤ\x{2126}ℨ"
    r"\x{212A}-ℭℯ-ℴℹℼ-ℿⅅ-ⅉⅎↃↄⰀ-ⱻⱾ-ⳤⳫ-ⳮⳲⳳꙀ-ꙭꚀ-ꚛꜢ-ꝯꝱ-ꞇꞋ-ꞎꭰ-ꮿﬀ-ﬆﬓ-ﬗＡ-Ｚａ-ｚ𐐀-𐑏𐒰-𐓓𐓘-𐓻𐲀-𐲲𐳀-𐳲𑢠-𑣟𞤀-𞥃]+"
)


def _words(letters: str, digits: str, others: str = r"[^\s\p{L}\p{N}]", end: str = "") -> str:
    """Write the pattern of the tiktoken line of tokenizers."""
    return rf"{letters}|{digits}| ?{others}+[\r\n{end}]*|{_BREAKS}"


def _by_case(endings: str) -> str:
    before = r"[^\r\n\p{L}\p{N}]?"
    return f"{before}{_UPPER}*{_LOWER}+{endings}|{before}{_UPPER}+{_LOWER}*{endings}"


_PLAIN_LETTERS = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_LLAMA3 = _words(f"{_ENDINGS}|{_PLAIN_LETTERS}", r"\p{N}{1,3}")
_QWEN2 = _words(f"{_ENDINGS}|{_PLAIN_LETTERS}", r"\p{N}")
_QWEN35 = _words(
    rf"{_ENDINGS}|[^\r\n\p{{L}}\p{{N}}]?[\p{{L}}\p{{M}}]+", r"\p{N}", r"[^\s\p{L}\p{M}\p{N}]"
)
_GPT4O = _words(_by_case(f"{_ENDINGS}?"), r"\p{N}{1,3}", end="/")
_TEKKEN = _words(_by_case(""), r"\p{N}", end="/")
_DEEPSEEK3 = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|"
    rf" ?[\p{{P}}\p{{S}}]+[\r\n]*|{_BREAKS}"
)
_BLOOM = " ?[^(\\s|.,!?…。，、।۔،)]+"
_BAILING = (
    r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*|"
    r"\s*[\r\n]|\s+(?!\S)|\s+"
)

_NAMES: tuple[tuple[str, Cuts], ...] = (
    (
        "gpt-2 phi-2 gigachat a.x-4.0 mellum exaone4 jais trillion granite-docling roberta-bpe "
        "jina-v1-en jina-v2-code mpt olmo modern-bert",
        Cuts(patterns=(_GPT2,)),
    ),
    (
        "smollm starcoder refact command-r codeshell exaone minerva-7b mellum2",
        Cuts(patterns=(r"\p{N}", _GPT2)),
    ),
    (
        "llama3 llama-v3 llama-bpe falcon3 falcon-h1 pixtral midm-2.0 lfm2",
        Cuts(patterns=(_LLAMA3,), whole_pieces=True, adds_bos=True),
    ),
    ("dbrx smaug-bpe chatglm-bpe", Cuts(patterns=(_LLAMA3,))),
    ("glm4 glm5", Cuts(patterns=(_LLAMA3,), whole_pieces=True)),
    (
        "qwen2 stablelm2 megrez deepseek-r1-qwen hunyuan solar-open grok-2 kormo f2llmv2",
        Cuts(patterns=(_QWEN2,)),
    ),
    ("qwen35", Cuts(patterns=(_QWEN35,))),
    ("gpt-4o llama4 kanana2 minimax-m2", Cuts(patterns=(_GPT4O,))),
    ("tekken", Cuts(patterns=(_TEKKEN,), whole_pieces=True, adds_bos=True)),
    (
        "falcon",
        Cuts(patterns=(r"[\p{P}\$\+<=>\^~\|`]+", _GPT2, "[0-9][0-9][0-9]")),
    ),
    (
        "deepseek-llm",
        Cuts(
            patterns=(
                *("[\r\n]", _DEEPSEEK_LETTERS, r"\s?[!-/:-~！-／：-～‘-‟　-。]+"),
                *(r"\s+$", _CJK, r"\p{N}+"),
            )
        ),
    ),
    (
        "deepseek-coder",
        Cuts(patterns=("[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", _CJK, r"\p{N}")),
    ),
    (
        "deepseek-v3 hunyuan-dense joyai-llm",
        Cuts(patterns=(r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+", _DEEPSEEK3)),
    ),
    ("bloom poro-chat gpt3-finnish", Cuts(patterns=(_BLOOM,))),
    ("viking", Cuts(patterns=(_BLOOM, r"\p{N}"))),
    ("bailingmoe bailingmoe2 llada-moe", Cuts(patterns=(_BAILING,))),
)

PRE_TOKENIZERS: Mapping[str, Cuts] = {
    name: cuts for names, cuts in _NAMES for name in names.split()
}
"""Value of `tokenizer.ggml.pre` -> how texts are cut."""


def cuts_of(name: str | None) -> Cuts:
    """Return how texts are cut under a name.

    Raises:
        UserError: the file says nothing, or a name that is not known here; with those that are.
    """
    if name is None or name == "default":
        raise UserError(
            "it does not say how texts are cut before tokens are merged (tokenizer.ggml.pre is "
            f"{'missing' if name is None else name!r}), which decides every number and blank",
            hint="convert it again with a recent llama.cpp, or use the checkpoint that it was "
            "made from",
        )
    if name not in PRE_TOKENIZERS:
        raise unknown_name("tokenizer.ggml.pre", name, PRE_TOKENIZERS)
    return PRE_TOKENIZERS[name]

"""The tokenizer of a `.gguf` file, built from what the file holds: vocabulary, merges, types, name.

transformers reads a byte-level vocabulary as GPT-2's, whatever `tokenizer.ggml.pre` says, so that
digits and blanks fall into other tokens than a model was trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import IntEnum
from typing import TYPE_CHECKING, Any

from cluster.errors import UserError
from jobs.models.gguf.header import GgufHeader
from jobs.models.gguf.pre_tokenizers import Cuts, cuts_of

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

_MODEL, _PRE = "tokenizer.ggml.model", "tokenizer.ggml.pre"
_BYTE_LEVEL, _SENTENCEPIECE = "gpt2", "llama"
_SPACE = "▁"
_RSTRIP = ("phi-3", "phi3")
"""Models whose marks take the white space behind them, by `general.name`, as llama.cpp has it."""
_NEVER_RSTRIP = ("<unk>", "<s>", "<|endoftext|>")


class _Type(IntEnum):
    """Type of a token, as `gguf.TokenType` numbers them."""

    NORMAL = 1
    UNKNOWN = 2
    CONTROL = 3
    USER_DEFINED = 4
    UNUSED = 5
    BYTE = 6


def check_tokenizer(header: GgufHeader) -> None:
    """Raise UserError where the tokenizer of a file is of a kind that cannot be built here."""
    settings = header.settings
    kind = settings.get(_MODEL)
    if kind == _BYTE_LEVEL:
        cuts_of(settings.get(_PRE))
        needed = "tokenizer.ggml.merges"
    elif kind == _SENTENCEPIECE:
        needed = "tokenizer.ggml.scores"
    else:
        raise UserError(
            f"its tokenizer is of the kind {kind!r}",
            allowed=[_BYTE_LEVEL, _SENTENCEPIECE],
            hint="use the checkpoint that it was made from",
        )
    if not settings.get(needed):
        raise UserError(f"its tokenizer has no {needed}", hint="convert it again")


def gguf_tokenizer(header: GgufHeader) -> PreTrainedTokenizerFast:
    """Build the tokenizer of a file, with its BOS, EOS and chat template.

    Raises:
        UserError: it is of a kind that cannot be built here.
    """
    from transformers import PreTrainedTokenizerFast

    settings = header.settings
    named = {
        f"{name}_token": token
        for name, key in _NAMED.items()
        if (token := _token(settings, key, _default_id(settings, name))) is not None
    }
    return PreTrainedTokenizerFast(
        tokenizer_object=build_tokenizer(header),
        clean_up_tokenization_spaces=False,
        chat_template=settings.get("tokenizer.chat_template"),
        **named,
    )


def build_tokenizer(header: GgufHeader) -> Tokenizer:
    """Build what makes tokens of texts, a BOS included where the file wants one.

    Raises:
        UserError: it is of a kind that cannot be built here.
    """
    check_tokenizer(header)
    settings = header.settings
    if settings[_MODEL] == _BYTE_LEVEL:
        cuts = cuts_of(settings[_PRE])
        tokenizer, adds_bos = _byte_level(settings, cuts), cuts.adds_bos
    else:
        tokenizer, adds_bos = _sentencepiece(settings), True
    _add_marks(tokenizer, settings)
    _add_ends(tokenizer, settings, adds_bos)
    return tokenizer


_NAMED: Mapping[str, str] = {
    "bos": "tokenizer.ggml.bos_token_id",
    "eos": "tokenizer.ggml.eos_token_id",
    "unk": "tokenizer.ggml.unknown_token_id",
    "pad": "tokenizer.ggml.padding_token_id",
}


def _default_id(settings: Mapping[str, Any], name: str) -> int | None:
    """Return the id that llama.cpp takes where a file names none."""
    return {"unk": 0, "bos": 1, "eos": 2}.get(name) if settings[_MODEL] == _SENTENCEPIECE else None


def _token(settings: Mapping[str, Any], key: str, default: int | None) -> str | None:
    number, tokens = settings.get(key, default), settings["tokenizer.ggml.tokens"]
    return tokens[number] if number is not None and 0 <= number < len(tokens) else None


def _byte_level(settings: Mapping[str, Any], cuts: Cuts) -> Tokenizer:
    from tokenizers import Tokenizer, decoders, models

    vocabulary = _vocabulary(settings)
    merges = [tuple(merge.split(" ", 1)) for merge in settings["tokenizer.ggml.merges"]]
    try:
        model = models.BPE(vocabulary, merges, fuse_unk=False, ignore_merges=cuts.whole_pieces)
    except Exception as error:  # the library raises bare Exception
        raise UserError(
            f"its vocabulary and its merges do not fit together: {error}", hint="convert it again"
        ) from error
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = cuts.pre_tokenizer()
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def _sentencepiece(settings: Mapping[str, Any]) -> Tokenizer:
    """Build a tokenizer that merges by scores, as SentencePiece does with its kind BPE."""
    from tokenizers import Tokenizer, decoders, models, normalizers

    vocabulary = _vocabulary(settings)
    types = _types(settings)
    unknown = _token(settings, _NAMED["unk"], 0)
    tokenizer = Tokenizer(
        models.BPE(
            vocabulary,
            _merges(vocabulary, settings["tokenizer.ggml.scores"], types),
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=_Type.BYTE in types,
        )
    )
    blanks = normalizers.Replace(" ", _SPACE)
    has_prefix = settings.get("tokenizer.ggml.add_space_prefix", True)
    tokenizer.normalizer = (
        normalizers.Sequence([normalizers.Prepend(_SPACE), blanks]) if has_prefix else blanks
    )
    strip = [decoders.Strip(" ", 1, 0)] if has_prefix else []
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse(), *strip]
    )
    return tokenizer


def _merges(
    vocabulary: Mapping[str, int], scores: Sequence[float], types: Sequence[int]
) -> list[tuple[str, str]]:
    """List every way to join two tokens to one, what scores highest first."""
    usable = {token for token, number in vocabulary.items() if types[number] in _MERGED}
    joined = (
        (-scores[vocabulary[token]], vocabulary[token], at)
        for token in usable
        for at in range(1, len(token))
        if token[:at] in usable and token[at:] in usable
    )
    names = {number: token for token, number in vocabulary.items()}
    return [(names[number][:at], names[number][at:]) for _, number, at in sorted(joined)]


_MERGED = (_Type.NORMAL, _Type.USER_DEFINED)


def _vocabulary(settings: Mapping[str, Any]) -> dict[str, int]:
    tokens: list[str] = settings["tokenizer.ggml.tokens"]
    vocabulary = {token: number for number, token in enumerate(tokens)}
    if len(vocabulary) != len(tokens):
        raise UserError("two of its tokens are written alike", hint="convert it again")
    return vocabulary


def _types(settings: Mapping[str, Any]) -> list[int]:
    """Return the type of each token; a file without types has only ordinary ones."""
    count = len(settings["tokenizer.ggml.tokens"])
    types: list[int] = settings.get("tokenizer.ggml.token_type") or [_Type.NORMAL] * count
    return types


def _add_marks(tokenizer: Tokenizer, settings: Mapping[str, Any]) -> None:
    """Let tokens that stand for themselves in a text be found in it before anything else."""
    from tokenizers import AddedToken

    name = str(settings.get("general.name", "")).lower()
    takes_space = any(each in name for each in _RSTRIP)
    for token, is_special in _marks(settings):
        rstrip = takes_space and token not in _NEVER_RSTRIP
        added = AddedToken(token, normalized=False, rstrip=rstrip, special=is_special)
        (tokenizer.add_special_tokens if is_special else tokenizer.add_tokens)([added])


def _marks(settings: Mapping[str, Any]) -> Iterator[tuple[str, bool]]:
    for token, kind in zip(settings["tokenizer.ggml.tokens"], _types(settings), strict=True):
        if kind in (_Type.CONTROL, _Type.UNKNOWN, _Type.USER_DEFINED) and token:
            yield token, kind != _Type.USER_DEFINED


def _add_ends(tokenizer: Tokenizer, settings: Mapping[str, Any], adds_bos: bool) -> None:
    """Put a BOS before texts, and an EOS behind them, where the file wants it."""
    from tokenizers.processors import TemplateProcessing

    pieces, special = ["$A"], []
    for name, default in (("bos", adds_bos), ("eos", False)):
        token = _token(settings, _NAMED[name], _default_id(settings, name))
        if token is not None and settings.get(f"tokenizer.ggml.add_{name}_token", default):
            pieces = [token, *pieces] if name == "bos" else [*pieces, token]
            special.append((token, tokenizer.token_to_id(token)))
    if special:
        tokenizer.post_processor = TemplateProcessing(single=pieces, special_tokens=special)

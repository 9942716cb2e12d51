"""Does a tokenizer as transformers loads it make the ids that its `tokenizer.json` describes?

For a class of a family transformers builds one of its own from vocabulary and merges, and drops in
silence what the file says of normalising and cutting texts. The file was saved with the model.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cluster.errors import UserError

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from transformers import PreTrainedTokenizerFast

PROBE = (
    "The café on 42nd Street isn't open; it's “closed” (since 2,025)!\n\n"
    "Human: def f(x):\n\treturn x ** 2  # naïve\n\nAssistant: 你好, Ελλάδα — 😀 100 %…"
)
"""Letters, digits, signs, breaks and blanks as they stand inside of texts."""

PROBES = (
    PROBE,
    "in 2025",
    " 1234567 3.14159, 0x1F; ٣٤ ⅷ x²",
    "  two   three    four\tTAB \t\t\n\n\n  \r\nline \n end  ",
    "你好，世界。日本語のテキスト 한국어 텍스트 ภาษาไทย Việt Nam",
    "🙂👩‍👩‍👧🇫🇷 ✅e\u0301te\u0301 été ﬁ Å Å",
    'if (a!=b) { return "x\\n"; } // TODO: a_b->c[0] <= 1e-5 && HTMLParser\n#include <math.h>\n',
    "I'm you'll WE'VE he'd don’t o'clock rock'n'roll",
    "UPPER lower CamelCase snake_case naïve façade Ünïcödé",
    "a",
    " a",
    "",
)
"""Texts of what tokenizers treat in different ways, each tokenised alone."""


_AROUND = 3
"""Tokens that are shown on both sides of a difference."""


def first_difference(
    tokenizer: PreTrainedTokenizerFast, own: Tokenizer
) -> tuple[list[str], list[str]] | None:
    """Compare what a loaded tokenizer makes of every probe with what its own file makes of it.

    Returns:
        The tokens around the first difference, as loaded and as by the file; None without one.
    """
    own.no_padding()
    own.no_truncation()
    for probe in PROBES:
        expected = own.encode(probe, add_special_tokens=False)
        loaded = list(tokenizer(probe, add_special_tokens=False)["input_ids"])
        if loaded != expected.ids:
            shortest = min(len(loaded), len(expected.ids))
            at = next((n for n in range(shortest) if loaded[n] != expected.ids[n]), shortest)
            shown = slice(max(0, at - _AROUND), at + _AROUND)
            return tokenizer.convert_ids_to_tokens(loaded[shown]), expected.tokens[shown]
    return None


def refuse_drawn_ids(tokenizer: Tokenizer, where: str) -> None:
    """Raise UserError for a tokenizer that draws how it cuts words: no text has the same ids twice.

    It was saved with the BPE-dropout that it was trained with.
    """
    if dropout := getattr(tokenizer.model, "dropout", None):
        raise UserError(
            f"the tokenizer draws at random how it cuts words (dropout {dropout:g} in "
            "tokenizer.json): the same text would have other ids each time",
            where=where,
            hint="set dropout of the model in tokenizer.json to null",
        )


def convert(folder: Path, where: str) -> Tokenizer:
    """Make the tokenizer of a folder without `tokenizer.json` from its other files.

    Args:
        folder: the checkpoint.
        where: its name in errors.

    Raises:
        UserError: transformers cannot on this machine.
    """
    from transformers import AutoTokenizer

    is_piece_model = (folder / "tokenizer.model").is_file()
    try:
        loaded = AutoTokenizer.from_pretrained(
            folder, trust_remote_code=False, local_files_only=True
        )
        if loaded.is_fast and len(loaded):
            made: Tokenizer = loaded.backend_tokenizer
            return made
        reason = "it has no vocabulary"
    except Exception as error:  # the library raises whatever its readers meet
        reason = str(error)
    if is_piece_model and find_spec("sentencepiece") is None:
        reason = "the package sentencepiece, which reads tokenizer.model, is not installed"
    raise UserError(
        f"there is no tokenizer.json, and none can be made of the other files: {reason}",
        where=where,
        hint="make it once, where sentencepiece is installed: AutoTokenizer.from_pretrained(FOLDER)"
        ".save_pretrained(FOLDER) of transformers writes tokenizer.json",
    )


def read_own(folder: Path) -> Tokenizer | None:
    """Read the `tokenizer.json` of a folder; None where it has none."""
    from tokenizers import Tokenizer

    path = folder / "tokenizer.json"
    return Tokenizer.from_file(str(path)) if path.is_file() else None

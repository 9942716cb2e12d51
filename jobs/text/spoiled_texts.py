r"""Traces that another program left in texts, which would be learned as words of the language.

A word for an empty cell (`nan`), escapes in place of line breaks (`\n`), entities of web pages
(`&amp;`), UTF-8 that was read as WINDOWS-1252 (`â€™`), the mark of a lost character, Python's way
of writing bytes and lists, an object in place of the text in it, a spreadsheet's longest cell. Each
may be meant: they are said, and nothing is changed.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from jobs.text.reading import Labelled, Pair, Prompt
from jobs.text.rows.fault import row_numbers

_FEW, _SHARE = 3, 0.01
"""So many rows, or such a share of them if that is more, are no accident."""
_MOST = 0.5
"""Share of rows from which what may well be an answer is none that was asked for."""
_LONGEST_CELL = 32_767
"""Characters of a cell in a spreadsheet, which cuts longer ones in silence."""
_NOTHING = frozenset(
    {"nan", "NaN", "None", "null", "NULL", "<NA>", "#N/A", "#NAME?", "#VALUE!", "#REF!"}
)
_ENTITY = re.compile(r"&(?:amp|lt|gt|quot|apos|nbsp|#\d{2,6}|#[xX][0-9a-fA-F]{2,5});")
_MISREAD = re.compile(
    r"Ã[\u0080-\u00bf\u0152-\u2122]|Â[\u00a0-\u00bf]|â€[\u0080-\u00bf\u0152-\u2122]"
)
_ESCAPED = re.compile(r"\\[nrt]")
_BYTES = re.compile(r"""b(?P<mark>['"]).*(?P=mark)""", re.DOTALL)
_OBJECT = re.compile(r"""[\[(]{0,2}\{\s*(?P<mark>['"])[^\W\d][\w .-]{0,39}(?P=mark)\s*:\s*\S""")


@dataclass(frozen=True, kw_only=True)
class _Trace:
    """Something that a program leaves in texts."""

    what: str
    """What such texts do, behind their rows."""
    is_in: Callable[[str], bool]
    """Tells a text that has it."""
    least: float = _SHARE
    """Share of rows from which it is said."""
    few: int = _FEW
    """Rows below which it is not, whatever the share."""


def _is_list(text: str) -> bool:
    if not text.startswith(("['", '["')) or not text.endswith("]"):
        return False
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return False
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _is_escaped(text: str) -> bool:
    return "\\" in text and "\n" not in text and _ESCAPED.search(text) is not None


_TRACES = (
    _Trace(
        what="are a word that programs write for an empty or a broken cell (`nan`, `None`, "
        "`#NAME?`)",
        is_in=lambda text: text.strip() in _NOTHING,
        least=0,
        few=1,
    ),
    _Trace(
        what="have `\\n` or `\\t` written out in place of line breaks and tabs",
        is_in=_is_escaped,
    ),
    _Trace(
        what="have signs written as web pages do (`&amp;`, `&#39;`)",
        is_in=lambda text: "&" in text and _ENTITY.search(text) is not None,
    ),
    _Trace(
        what="read as UTF-8 that was taken for WINDOWS-1252 (`â€™` for ’, `Ã©` for é)",
        is_in=lambda text: not text.isascii() and _MISREAD.search(text) is not None,
    ),
    _Trace(
        what="hold \ufffd, the mark of a character that was lost",
        is_in=lambda text: "\ufffd" in text,
    ),
    _Trace(what="hold zero bytes", is_in=lambda text: "\0" in text, least=0, few=1),
    _Trace(
        what="are bytes or lists as Python writes them (`b'...'`, `['...']`)",
        is_in=lambda text: _BYTES.fullmatch(text.strip()) is not None or _is_list(text.strip()),
        least=_MOST,
    ),
    _Trace(
        what="begin as objects that programs write (`{'text': ...}`)",
        is_in=lambda text: _OBJECT.match(text.lstrip()) is not None,
        least=_MOST,
        few=1,
    ),
    _Trace(
        what=f"have {_LONGEST_CELL:,} characters, at which a spreadsheet cuts a cell",
        is_in=lambda text: len(text) == _LONGEST_CELL,
        least=0,
        few=1,
    ),
)


def notes_on_texts(items: Sequence[Pair | Prompt | Labelled | str]) -> list[str]:
    """Say in which rows stand traces of another program.

    Args:
        items: what was read of a source.
    """
    rows: dict[int, list[str]] = {}
    for number, item in enumerate(items, start=1):
        rows.setdefault(number if isinstance(item, str) else item.row, []).extend(_texts(item))
    notes = []
    for trace in _TRACES:
        found = [row for row, texts in rows.items() if any(map(trace.is_in, texts))]
        if len(found) >= max(trace.few, trace.least * len(rows)) and _is_told(trace, rows.values()):
            named = row_numbers(found) if not isinstance(items[0], str) else f"{len(found)} texts"
            notes.append(f"texts of {named} {trace.what}: if that is not meant, mend the source")
    return notes


def _is_told(trace: _Trace, rows: Iterable[Sequence[str]]) -> bool:
    """Tell escapes from code: where as many texts have line breaks, escapes are meant."""
    if trace.is_in is not _is_escaped:
        return True
    num_escaped = num_broken = 0
    for texts in rows:
        num_escaped += any(map(_is_escaped, texts))
        num_broken += any("\n" in text.strip() for text in texts)
    return num_escaped > num_broken


def _texts(item: Pair | Prompt | Labelled | str) -> list[str]:
    if isinstance(item, str):
        return [item]
    if isinstance(item, Labelled):
        return [item.text]
    if isinstance(item, Pair):  # the marks of a transcript are ours
        before = [turn.parts[1] for turn in item.turns] or [item.prompt]
        return [*before, item.chosen, item.rejected]
    said = [*item.segments, *([] if item.rejected is None else [item.rejected])]
    return [segment.parts[1] for segment in said]


def note_on_both_orders(pairs: Sequence[Pair]) -> list[str]:
    """Say how many pairs stand there with their sides the other way round as well."""
    sides = {(pair.prompt, pair.chosen, pair.rejected) for pair in pairs}
    rows = [
        p.row for p in pairs if (p.prompt, p.rejected, p.chosen) in sides and p.chosen != p.rejected
    ]
    if not rows:
        return []
    return [
        f"both orders of the same two answers are preferred in {row_numbers(rows)}: such pairs "
        "take each other back"
    ]

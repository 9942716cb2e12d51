"""Tells lists of chat messages that became text from texts, also those that nobody can read.

A cell that begins as such a list and is none any more (cut off by a spreadsheet, written twice as
JSON, escaped for a web page, the form of a program's own classes) would be trained on as words.
Text that is code or JSON for its own sake stays text.
"""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from jobs.text.chat_messages import OTHER_NAMES, ROLES, TOOL_ROLES, keys_of, parse_text
from jobs.text.rows.cell import optional_text, text_cell
from jobs.text.rows.fault import RowFault
from jobs.text.rows.table import Row

_SPEAKERS = frozenset({*ROLES, *OTHER_NAMES, *TOOL_ROLES})
_HOLDERS = frozenset({"messages", "conversation", "conversations"})
"""Names of what holds a list of messages."""
_BESIDE_THEM = frozenset({"id", "source", "system", "tools"})
_LOOKED_AT = 1 << 16
"""Characters of a text's begin that are looked at where it cannot be parsed: a spreadsheet cuts a
cell at 32,767."""
_BEFORE = " \t\r\n'\"\\“”‘’\ufeff"
"""What may stand before a list that became text."""
_OPENS = re.compile(
    r"(?:&(?:quot|apos|#0*39|#x27);)*[\[({]|(?:array|dict|list|tuple|[A-Z]\w{0,40})\("
)
_QUOTES = str.maketrans({"“": '"', "”": '"', "„": '"', "‘": "'", "’": "'", "‚": "'", "`": "'"})

_SPEAKER = rf"(?i:{'|'.join(sorted(_SPEAKERS, key=len, reverse=True))})"
_TEXT = r"""(?:'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")"""
_ENTRY = rf"{_TEXT}\s*:\s*(?:{_TEXT}|[\w.+-]+|\[\s*\]|\{{\s*\}})\s*,\s*"
_ROLE = rf"""(['"])(?:role|from)\1\s*:\s*(['"])\s*{_SPEAKER}\s*\2"""
_MESSAGE = rf"\{{\s*(?:{_ENTRY}){{0,20}}?{_ROLE}"
_HOLDER = rf"""\{{\s*['"](?:{"|".join(sorted(_HOLDERS))})['"]\s*:\s*[\[(]\s*"""
_BEGINS_WITH_MESSAGE = re.compile(
    "|".join(
        (
            rf"(?:{_HOLDER}|(?:(?:array|dict|list|tuple|[A-Z]\w{{0,40}})\(\s*)?(?:[\[(]\s*){{0,3}}){_MESSAGE}",
            rf"""[\[(]\s*\w+\(\s*[\[({{]+\s*['"](?:role|from)['"]\s*[,:]\s*['"]{_SPEAKER}['"]""",
            r"[\[(]\s*(?:\w+\.)*(?:Human|AI|System|Chat|Tool)\w*Message\(",
            rf"[\[(]\s*(?:\w+\.)*\w+\((?:\w+=(?:{_TEXT}|[\w.+-]+),\s*){{0,20}}?"
            rf"role=\W?(?:\w+\.)*{_SPEAKER}\b",
        )
    ),
    re.DOTALL,
)
_CONTENT = re.compile(r"""['"](?:content|value|text)['"]\s*[:,]|\bcontent=""")
_BEGINS_WITH_SPEAKERS = re.compile(
    rf"""[\[(]\s*[\[(]\s*['"]{_SPEAKER}['"]\s*,\s*{_TEXT}\s*[\])]\s*,?\s*"""
    rf"""[\[(]\s*['"]{_SPEAKER}['"]\s*,"""
    rf"""|[\[(]\s*\{{\s*['"]{_SPEAKER}['"]\s*:\s*{_TEXT}\s*\}}\s*,?\s*"""
    rf"""\{{\s*['"]{_SPEAKER}['"]\s*:""",
    re.DOTALL,
)
# A literal ends at the text's end at the latest, so that no text is searched twice.
_LITERAL_OR_BRACKET = re.compile(
    r"""'(?:[^'\\]|\\.)*(?:'|\\?\Z)|"(?:[^"\\]|\\.)*(?:"|\\?\Z)|[\[\](){}]""", re.DOTALL
)


def messages_in(text: str, called: str) -> Any | None:
    """Return the list of messages, or the one message, that a text is; None for any other text.

    Raises:
        RowFault: it is one in a form that nothing reads, or begins as one and cannot be parsed.
    """
    if not _OPENS.match(text.lstrip(_BEFORE)):
        return None
    value = parse_text(text)
    if value is not None:
        if _are_messages(value):
            return [*value] if isinstance(value, tuple) else value
        if _are_messages_otherwise(value):
            raise RowFault(f"{called} is a list of messages as text, of a form that nothing reads")
        return None
    _refuse_unreadable(text, called)
    return None


def plain_text(row: Row, name: str) -> str:
    """Return the text of a cell that is no list of messages. Raises RowFault, as `text_cell`."""
    text = text_cell(row, name)
    _refuse_messages(text, repr(name))
    return text


def plain_text_if_any(row: Row, name: str) -> str:
    """Return as `plain_text` the text of a cell, which may be empty or absent."""
    text = optional_text(row, name) or ""
    _refuse_messages(text, repr(name))
    return text


def _refuse_messages(text: str, called: str) -> None:
    """Raise RowFault for a list of messages that became text."""
    if messages_in(text, called) is not None:
        raise RowFault(f"{called} is a list of messages as text (format `messages` reads them)")


def _are_messages(value: Any) -> bool:
    """Tell messages, a struct of their lists, and what lacks a part of them, from other values."""
    if isinstance(value, Mapping):
        keys = keys_of(value)
        roles = value[keys[0]] if keys else None
        return _are_speakers(roles if isinstance(roles, list) else [roles])
    if not isinstance(value, (list, tuple)):
        return False
    messages = [item for item in value if isinstance(item, Mapping)]
    if len(messages) < len(value) or not messages:
        return False
    all_keys = [keys_of(item) for item in messages]
    if all(keys == ("role", "content") for keys in all_keys):
        return True
    speakers = [item[keys[0]] for item, keys in zip(messages, all_keys, strict=True) if keys]
    return any(_are_speakers([name]) for name in speakers)


def _are_messages_otherwise(value: Any) -> bool:
    """Tell other forms: under a name, objects or pairs of speaker and text."""
    if isinstance(value, Mapping):
        held = [value[name] for name in _HOLDERS & value.keys()]
        rest = value.keys() - _HOLDERS - _BESIDE_THEM
        return bool(held) and not rest and all(_are_messages(item) for item in held)
    if not isinstance(value, (list, tuple)) or len(value) < 2:
        return False
    speakers: list[Any] = []
    for item in value:
        if isinstance(item, Mapping) and len(item) == 1:
            speakers += item
        elif isinstance(item, (list, tuple)) and len(item) == 2 and isinstance(item[1], str):
            speakers.append(item[0])
        else:
            return False
    return _are_speakers(speakers) and len({*speakers}) > 1


def _are_speakers(names: Sequence[Any]) -> bool:
    return bool(names) and all(
        isinstance(name, str) and name.strip().lower() in _SPEAKERS for name in names
    )


def _refuse_unreadable(text: str, called: str) -> None:
    """Raise RowFault for what begins as a list of messages and is not followed by words."""
    if not _begins(text):
        return
    rest = _behind_brackets(_plain(text))
    if rest is None:
        raise RowFault(f"{called} begins as a list of messages, and is cut off or damaged")
    if not rest.strip(" \t\r\n'\",;") or _begins(rest.lstrip(" \t\r\n,")):
        raise RowFault(f"{called} begins as a list of messages, and cannot be read as one")


def _begins(text: str) -> bool:
    begin = _plain(text[:_LOOKED_AT])
    if _BEGINS_WITH_SPEAKERS.match(begin):
        return True
    return _BEGINS_WITH_MESSAGE.match(begin) is not None and _CONTENT.search(begin) is not None


def _plain(text: str) -> str:
    """Return a text with straight quotes, without escapes and quotes before its begin."""
    text = text.lstrip("\ufeff \t\r\n")
    if re.match(r"\W*&\w*#?\w+;", text[:32]) or "&quot;" in text[:64] or "&#" in text[:64]:
        text = html.unescape(text)
    if re.match(r"""['"]*[\[({]\s*\{?\s*\\+["']""", text):
        text = re.sub(r"\\+([\"'])", r"\1", text)
    return text.translate(_QUOTES).lstrip("'\" \t\r\n")


def _behind_brackets(text: str) -> str | None:
    """Return what follows the first bracket's end; None where it does not end."""
    depth = 0
    for piece in _LITERAL_OR_BRACKET.finditer(text):
        if piece[0] in "[({":
            depth += 1
        elif piece[0] in "])}":
            depth -= 1
            if depth <= 0:
                return text[piece.end() :]
    return None

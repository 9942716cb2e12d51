"""Takes chat messages out of cells, in the forms that data sets have them in.

Lists of `{role, content}` or `{from, value}` (ShareGPT), one such message, columns of roles and
contents (a struct of lists), and any of these that a csv turned into text.
"""

import ast
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from jobs.text.reading import Segment
from jobs.text.rows.cell import encodable, is_nothing
from jobs.text.rows.doubled import Doubled
from jobs.text.rows.fault import RowFault, shown
from jobs.text.rows.json_rows import parse_json

ROLES = ("system", "user", "assistant")
"""Roles of turns."""

OTHER_NAMES = {
    "developer": "system",
    "human": "user",
    "prompter": "user",
    "gpt": "assistant",
    "chatgpt": "assistant",
    "bot": "assistant",
    "model": "assistant",
}
"""What roles are called elsewhere -> what they are called here."""
TOOL_ROLES = ("tool", "function", "observation", "function_call", "ipython", "tool_response")
"""Names that tools have as speakers."""
_KEYS = (("role", "content"), ("from", "value"), ("role", "text"), ("role", "value"))
_LONGEST = 1 << 22
_DEEPEST = 16
# Each alternative ends at the text's end at the latest, so that no text is searched twice.
_LITERAL = re.compile(r"""'(?:[^'\\]|\\.)*(?:'|\\?\Z)|"(?:[^"\\]|\\.)*(?:"|\\?\Z)""", re.DOTALL)
_BETWEEN = re.compile(r"([}\]])\s*(?=[{\[])")
_PYTHON = {"nan": "None", "NaN": "None", "null": "None", "true": "True", "false": "False"}
_WORDS = re.compile(rf"\b(?:{'|'.join(_PYTHON)})\b")
# Sums and calls are no values, and long ones end the interpreter that parses them.
_PLAIN = re.compile(
    r"\s*(?:[\[\](){},:]\s*"
    r"(?:(?:None|True|False|-?\d+(?:\.\d*)?(?:[eE][-+]?\d+)?)(?=\s*[\])},:]|\Z)\s*)?)*"
)
_ARRAY = re.compile(r"\barray\(|,\s*dtype=\w+\)")


def messages_of(value: Any, called: str) -> list[Segment]:
    """Return the turns in a cell, their texts as they stand there; none for an empty cell.

    Raises:
        RowFault: it holds something else, a turn of a tool, or an unknown role.
    """
    if isinstance(value, str):
        raise RowFault(f"{called} is text, not a list of messages")
    if is_nothing(value):
        return []
    if isinstance(value, Mapping):
        value = _of_columns(value, called)
    if not isinstance(value, Sequence) or isinstance(value, bytes):
        raise RowFault(f"{called} is not a list")
    return [_turn(message, called) for message in value]


def parse_text(text: str) -> Any:
    """Return the list or object that a text is the JSON or the Python form of; None for others.

    numpy writes lists without commas, and names its arrays: both are understood. Nothing is run.
    """
    if not text.lstrip().startswith(("[", "{", "array(")) or len(text) > _LONGEST:
        return None
    try:
        return parse_json(text)
    except RowFault:
        pass
    commas = _outside_literals(text)
    if commas is None:
        return None
    try:
        return ast.literal_eval(commas.strip())
    except (ValueError, SyntaxError, MemoryError, RecursionError, TypeError):
        return None


def _outside_literals(text: str) -> str | None:
    """Write commas between elements and take array names away, outside of quoted text.

    None for what is nested too deeply to be messages, and for anything that is no plain value.
    """
    pieces, end, depth = [], 0, 0
    for literal in [*_LITERAL.finditer(text), None]:
        between = text[end : literal.start() if literal else len(text)]
        for bracket in re.findall(r"[][(){}]", between):
            depth += 1 if bracket in "[({" else -1
            if depth > _DEEPEST:
                return None
        between = _BETWEEN.sub(r"\1, ", _ARRAY.sub("", between))
        between = _WORDS.sub(lambda word: _PYTHON[word[0]], between)
        if not _PLAIN.fullmatch(between):
            return None
        pieces.append(between)
        if literal:
            pieces.append(literal.group())
            end = literal.end()
    return "".join(pieces)


def _of_columns(value: Mapping[str, Any], called: str) -> list[Mapping[str, Any]]:
    """Return the messages of a struct of lists, or the one message that a mapping is."""
    keys = keys_of(value)
    if keys is None:
        raise RowFault(f"{called} is not a list of {{role, content}}")
    roles, contents = value[keys[0]], value[keys[1]]
    if not isinstance(roles, list):
        return [value]
    if not isinstance(contents, list) or len(roles) != len(contents):
        raise RowFault(f"{called} has not as many contents as roles")
    return [{"role": r, "content": c} for r, c in zip(roles, contents, strict=True)]


def keys_of(message: Mapping[str, Any]) -> tuple[str, str] | None:
    """Return the names of speaker and text in a message; None for what is none."""
    return next((keys for keys in _KEYS if message.keys() >= set(keys)), None)


def _turn(message: object, called: str) -> Segment:
    keys = keys_of(message) if isinstance(message, Mapping) else None
    if not isinstance(message, Mapping) or keys is None:
        raise RowFault(f"{called} is not a list of {{role, content}}")
    if isinstance(message, Doubled):
        raise RowFault(f"{called} has {shown(message.names)} twice")
    written = message[keys[0]]
    role = str(written).strip().lower()
    role = OTHER_NAMES.get(role, role)
    if role in TOOL_ROLES or message.get("tool_calls") or message.get("function_call"):
        raise RowFault(f"{called} has a turn of a tool")
    if role not in ROLES:
        raise RowFault(f"{called} has a role {written!r} (allowed: {', '.join(ROLES)})"[:200])
    return Segment(role=role, text="".join(_texts(message[keys[1]], called)))


def _texts(content: object, called: str) -> Iterator[str]:
    """Yield the texts of a message: its content, or the parts that it is given in."""
    if isinstance(content, str):
        yield encodable(content, called)
    elif isinstance(content, list) and content:
        for part in content:
            text = part.get("text") if isinstance(part, Mapping) else part
            if not isinstance(text, str):
                raise RowFault(f"{called} has a message with something other than text")
            yield encodable(text, called)
    elif is_nothing(content):
        raise RowFault(f"{called} has a message without content")
    else:
        raise RowFault(f"{called} is not a list of {{role, content}}")

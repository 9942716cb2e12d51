"""Takes texts out of cells; what is none becomes a fault of its row."""

import math
from typing import Any

from jobs.text.rows.fault import RowFault
from jobs.text.rows.table import Row

_MESSAGES_ELSEWHERE = "is a list of chat messages (format `messages` reads them)"


def text_cell(row: Row, name: str) -> str:
    """Return the text of a cell.

    Args:
        row: the row.
        name: of the column.

    Raises:
        RowFault: it is empty, no text, or text that no tokenizer takes.
    """
    text = optional_text(row, name)
    if text is None or not text.strip():
        raise RowFault(f"{name!r} is empty")
    return text


def optional_text(row: Row, name: str) -> str | None:
    """Return the text of a cell; None where the cell holds nothing. Raises as `text_cell`."""
    called = repr(name)
    value = row.cell(name)
    if is_nothing(value):
        return None
    if isinstance(value, bytes):
        value = _decoded(value, called)
    if not isinstance(value, str):
        raise RowFault(f"{called} {_other_kind(value)}")
    return encodable(value, called)


def is_nothing(value: Any) -> bool:
    """Tell a cell without content: none, or the number that stands for none in pandas."""
    return value is None or (isinstance(value, float) and math.isnan(value))


def encodable(text: str, called: str) -> str:
    """Return a text that UTF-8 can hold. Raises RowFault for half a character."""
    if not text.isascii():
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:
            raise RowFault(f"{called} holds half a character (a lone surrogate)") from None
    return text


def _decoded(value: bytes, called: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        raise RowFault(f"{called} is not UTF-8") from None


def _other_kind(value: object) -> str:
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return _MESSAGES_ELSEWHERE
    if isinstance(value, dict) and {"role", "from"} & value.keys():
        return _MESSAGES_ELSEWHERE
    return "is not text"

"""Sentences fit to leave the machine: no secrets, no rows of data, one line, not long."""

import re

from cluster.redaction.redactor import redacted
from orchestrator.text import first_line

_LONGEST = 300
_QUOTED = re.compile(
    r"(?<!\w)'(?:[^'\\\n]|\\.)*(?:'|$)"  # an apostrophe begins nothing
    r"|\"(?:[^\"\\\n]|\\.)*(?:\"|$)|«[^»\n]*(?:»|$)|“[^”\n]*(?:”|$)"
)
_CLOSING = "'\"»”"
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")


def sentence(text: str | None) -> str:
    """Return the first line of a message as it may be sent to others.

    What stands in quotation marks and has a blank in it may be a row of data, and so anything:
    three dots take its place.
    """
    line = _QUOTED.sub(_without_rows, redacted(first_line(text)))
    line = _CONTROL.sub(" ", line)
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}…"


def _without_rows(match: re.Match[str]) -> str:
    quoted = match[0]
    if not re.search(r"\s|\\[nrtux]", quoted):
        return quoted
    return f"{quoted[0]}…{quoted[-1] if quoted[-1] in _CLOSING else ''}"

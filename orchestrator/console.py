"""Writes to the terminal: answers to standard output, notes to standard error."""

import json
import sys
from contextlib import suppress


def say(text: str = "") -> None:
    """Write one line of the answer to standard output."""
    sys.stdout.write(text + "\n")


def say_json(value: object) -> None:
    """Write one JSON document to standard output."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def note(text: str) -> None:
    """Write one line to standard error, so that the answer of `--json` stays parseable."""
    with suppress(OSError):  # nobody reads any more, and it is no answer
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

"""Writes to the person at the terminal: answers to standard output, notes to standard error."""

import json
import sys
from typing import Any


def say(text: str = "") -> None:
    """One line for the person at the terminal, on standard output."""
    sys.stdout.write(text + "\n")


def say_json(value: Any) -> None:
    """One JSON document on standard output."""
    sys.stdout.write(json.dumps(value, indent=1) + "\n")


def note(text: str) -> None:
    """One line beside the answer, on standard error, so that `--json` stays parseable."""
    sys.stderr.write(text + "\n")
    sys.stderr.flush()

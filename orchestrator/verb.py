"""Contract: what a verb of the command line provides. Verbs live in `verbs/`, one per file.

Every verb takes `--root` and `--json`. A verb imports what it needs inside `run`, so that
`deltascale --help` stays instant.
"""

import argparse
import json
import os
import sys
from typing import Any, Protocol

from cluster.storage import Storage


class Verb(Protocol):
    """The names a module in `verbs/` defines."""

    HELP: str
    """One line for `deltascale --help`."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare its own arguments."""

    def run(self, options: argparse.Namespace) -> int:
        """Do it; return the exit code."""


def chosen_root(options: argparse.Namespace) -> Storage:
    """The output root: `--root`, else `$DELTASCALE_ROOT`, else `./results`."""
    return Storage(options.root or os.environ.get("DELTASCALE_ROOT") or "results")


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


def study_argument(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY."""
    parser.add_argument(
        "study", metavar="STUDY", help="a study file, or the name of a study known in the root"
    )

"""Contract: what a verb of the command line provides. Verbs live in `verbs/`, one per file.

Every verb takes `--root` and `--json`. A verb imports what it needs inside `run`, so that
`deltascale --help` stays instant.
"""

import argparse
import os
from typing import Protocol

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


def study_argument(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY."""
    parser.add_argument(
        "study", metavar="STUDY", help="a study file, or the name of a study known in the root"
    )

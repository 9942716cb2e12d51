"""Contract: what a verb of the command line provides. Verbs live in `verbs/`, one per file.

Every verb takes `--root` and `--json`. A verb imports what it needs inside `run`, so that
`deltascale --help` stays instant.
"""

import argparse
import os
from typing import Protocol

from cluster.storage import Storage
from jobs.door import Door


class Verb(Protocol):
    """The names a module in `verbs/` defines."""

    ORDER: int
    """Place among the verbs in `deltascale --help`, smallest first."""
    HELP: str
    """One line for `deltascale --help`."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's own arguments."""

    def run(self, options: argparse.Namespace) -> int:
        """Run the verb; return the exit code."""


VERBS: Door[Verb] = Door("verb", "orchestrator.verbs")


def chosen_root(options: argparse.Namespace) -> Storage:
    """Return the output root: `--root`, else `$DELTASCALE_ROOT`, else `./results`."""
    return Storage(options.root or os.environ.get("DELTASCALE_ROOT") or "results")


def study_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the argument STUDY."""
    parser.add_argument(
        "study", metavar="STUDY", help="a study file, or the name of a study known in the root"
    )

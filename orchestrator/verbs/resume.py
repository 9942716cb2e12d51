"""Verb `resume`: launch, and give failed jobs a fresh retry budget."""

import argparse

from orchestrator.verbs import launch

ORDER = 50
HELP = "launch, and give failed jobs a fresh retry budget"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of `launch`."""
    launch.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Launch the study, and try again what failed for good.

    Args:
        options: the words of the command line.

    Returns:
        0 complete, 1 with failed jobs, 130 interrupted or cancelled.

    Raises:
        UserError: something in the study or the options is wrong; nothing was run.
        SurroundingsError: the lock is held, the root is not writable, or there is no cluster.
    """
    return launch.start(options, fresh=True)

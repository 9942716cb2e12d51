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
        The exit code, as of `launch`.

    Raises:
        UserError: as of `launch`.
        SurroundingsError: as of `launch`.
    """
    return launch.start(options, fresh=True)

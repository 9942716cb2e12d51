"""Verb `resume`: launch, and give failed jobs a fresh retry budget."""

import argparse

from orchestrator.verbs import launch

ORDER = 50
HELP = "launch, and give failed jobs a fresh retry budget"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Those of `launch`."""
    launch.arguments(parser)


def run(options: argparse.Namespace) -> int:
    """Launch with earlier failures forgiven."""
    return launch.start(options, fresh=True)

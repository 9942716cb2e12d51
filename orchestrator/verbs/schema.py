"""Verb `schema`: the JSON Schema of study files, for editors and for checking."""

import argparse

from orchestrator.verb import say_json

HELP = "print the JSON Schema of study files"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Nothing of its own."""


def run(options: argparse.Namespace) -> int:
    """Print it."""
    from orchestrator.schema import schema

    say_json(schema())
    return 0

"""Verb `schema`: print the JSON Schema of study files, of tables or of measurements."""

import argparse

from orchestrator.console import say_json

ORDER = 20
HELP = "print the JSON Schema of study files, of tables or of measurements"
STUDY = "study"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare of what the schema is."""
    from jobs.comparing.json_schemas import NAMES

    parser.add_argument(
        "--of",
        choices=(STUDY, *NAMES),
        default=STUDY,
        help="study: a study file; table: what `compare --json` prints; measurements: "
        "what `compare --long --json` prints (default: study)",
    )


def run(options: argparse.Namespace) -> int:
    """Print the schema.

    Args:
        options: the words of the command line.

    Returns:
        0.
    """
    if options.of == STUDY:
        from orchestrator.study.schema import schema

        say_json(schema())
    else:
        from jobs.comparing.json_schemas import published_schema

        say_json(published_schema(options.of))
    return 0

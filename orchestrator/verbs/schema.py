"""Verb `schema`: print the JSON Schema of studies, of profiles, of tables or of measurements."""

import argparse
from pathlib import Path

from orchestrator.console import say_json

ORDER = 20
HELP = "print the JSON Schema of study files, of profiles, of tables or of measurements"
STUDY, PROFILE = "study", "profile"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare of what the schema is."""
    from jobs.comparing.json_schemas import NAMES

    parser.add_argument(
        "--of",
        choices=(STUDY, PROFILE, *NAMES),
        default=STUDY,
        help="study: a study file; profile: a file of `--on`; table: what `compare --json` "
        "prints; measurements: what `compare --long --json` prints (default: study)",
    )
    parser.add_argument(
        "--entries",
        metavar="FOLDER",
        help="know the kinds of this folder of own entries, too; its code is run",
    )


def run(options: argparse.Namespace) -> int:
    """Print the schema.

    Args:
        options: the words of the command line.

    Returns:
        0.

    Raises:
        UserError: an own entry is wrong, or may not be run.
    """
    if options.of == PROFILE:
        from orchestrator.profiles.schema import schema as profile_schema

        say_json(profile_schema())
    elif options.of == STUDY:
        from jobs.entries.own_entries import OwnEntries, read_entries
        from orchestrator.permission.own_code import require_outside_roots
        from orchestrator.study.schema import schema

        own = OwnEntries()
        if options.entries:
            folder = Path(options.entries).resolve()
            require_outside_roots(folder, "--entries", None)
            own = read_entries(folder, "--entries")
        with own.bringing():
            say_json(schema())
    else:
        from jobs.comparing.json_schemas import published_schema

        say_json(published_schema(options.of))
    return 0

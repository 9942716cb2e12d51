"""Verb `new`: write a commented study to start from, or an entry of a study's own with its test."""

import argparse
from pathlib import Path

from cluster.disk.new_file import write_new_file
from cluster.errors import UserError
from orchestrator.console import say, say_json

ORDER = 10
HELP = "write a commented study to start from, or an entry of its own with its test"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file to write, or the entry."""
    parser.add_argument(
        "file",
        metavar="FILE",
        help="file to write; the study is named after it (my-study.yaml). With --entry: the "
        "name of the entry",
    )
    parser.add_argument(
        "--entry",
        metavar="DOOR",
        help="write an entry of your own and its test instead of a study: metric, objective, "
        "format, transform, intervention, scorer, figure, answer, kind, …",
    )
    parser.add_argument(
        "--to", metavar="FOLDER", help="folder of entries that it is written to (default: entries)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the study or the entry, unless the file exists.

    Args:
        options: the words of the command line.

    Returns:
        0.

    Raises:
        UserError: the file exists, its folder does not, or its name cannot be that of a study.
        SurroundingsError: the file cannot be written.
    """
    if options.entry is not None:
        return _write_entry(options)
    if options.to is not None:
        raise UserError("--to is for --entry", where="--to", hint="write FILE with its folder")
    from orchestrator.study.template import study_template

    path = Path(options.file)
    if path.suffix not in (".yaml", ".yml"):
        raise UserError(
            f"the name of a study file ends in .yaml or .yml, not {path.suffix!r}",
            where=options.file,
            hint=f"{path}.yaml",
        )
    text = study_template(path.stem, options.file)
    write_new_file(path, text)
    if options.json:
        say_json({"study": path.stem, "file": options.file})
    else:
        say(f"{options.file}: now `deltascale plan {options.file}`")
    return 0


def _write_entry(options: argparse.Namespace) -> int:
    from jobs.entries.new_entry import describe_contract, room_of, write_entry

    room, folder = room_of(options.entry, "--entry"), Path(options.to or "entries")
    entry, test = write_entry(room, options.file, folder)
    if options.json:
        say_json({"entry": options.file, "file": str(entry), "test": str(test)})
        return 0
    say(f"{entry}: your {options.entry}; in a study beside {folder}: `entries: ./{folder.name}`")
    say(f"{test}: its test; `pytest {test}`")
    for line in describe_contract(room):
        say(line)
    return 0

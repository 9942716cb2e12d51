"""Verb `new`: write a commented study to start from."""

import argparse
from pathlib import Path

from cluster.errors import SurroundingsError, UserError
from orchestrator.console import say, say_json

ORDER = 10
HELP = "write a commented study to start from"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the file to write."""
    parser.add_argument(
        "file", metavar="FILE", help="file to write; the study is named after it (my-study.yaml)"
    )


def run(options: argparse.Namespace) -> int:
    """Write the study, unless the file exists.

    Args:
        options: the words of the command line.

    Returns:
        0.

    Raises:
        UserError: the file exists, its folder does not, or its name cannot be that of a study.
        SurroundingsError: the file cannot be written.
    """
    from orchestrator.study.template import study_template

    path = Path(options.file)
    if path.suffix not in (".yaml", ".yml"):
        raise UserError(
            f"the name of a study file ends in .yaml or .yml, not {path.suffix!r}",
            where=options.file,
            hint=f"{path}.yaml",
        )
    text = study_template(path.stem, options.file)
    try:
        with open(path, "x", encoding="utf-8") as stream:
            stream.write(text)
    except FileExistsError:
        raise UserError("the file exists and is not overwritten", where=options.file) from None
    except FileNotFoundError:
        raise UserError("there is no such folder", where=str(path.parent)) from None
    except OSError as error:
        raise SurroundingsError(f"cannot write: {error.strerror}", where=options.file) from None
    if options.json:
        say_json({"study": path.stem, "file": options.file})
    else:
        say(f"{options.file}: now `deltascale plan {options.file}`")
    return 0

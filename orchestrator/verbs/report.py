"""Verb `report`: write a study's answers, tables, figures and traces as one HTML page."""

import argparse
from dataclasses import asdict
from pathlib import Path

from cluster.errors import UserError
from orchestrator.console import note, say, say_json
from orchestrator.verb import chosen_study, study_argument

ORDER = 100
HELP = "write one self-contained HTML page: answers, tables, figures, where every number comes from"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY, and where the page is written."""
    study_argument(parser)
    parser.add_argument(
        "--to",
        metavar="FILE.html",
        help="write the page to this file, and nothing into the root, which may be read-only",
    )


def run(options: argparse.Namespace) -> int:
    """Write the page from what is done now; missing cells say why.

    Args:
        options: the words of the command line.

    Returns:
        0.

    Raises:
        UserError: the study compares nothing, nothing was measured yet, or `--to` is no file.
        SurroundingsError: the page cannot be written.
    """
    from orchestrator.plan.decided_plan import decide_plan, notes_on_asking
    from orchestrator.views.study_page import write_page

    to = _chosen_file(options.to)
    root, study = chosen_study(options)
    decided = decide_plan(root, study)
    for text in notes_on_asking(root, decided.plan):
        note(f"note: {text}")
    page = write_page(root, decided, to)
    if options.json:
        say_json({"study": study.name, **asdict(page), "place": str(page.place)})
        return 0
    say(
        f"{page.cells:,} cells, {page.figures} figures, {page.artifacts:,} artifacts, "
        f"{page.bytes / 1e6:.1f} MB"
    )
    say(f"report: {page.place}")
    return 0


def _chosen_file(text: str | None) -> Path | None:
    """Return the file that the page is written to, before anything is read or drawn for it."""
    if text is None:
        return None
    path = Path(text).expanduser().absolute()
    if path.suffix not in (".html", ".htm"):
        raise UserError(
            f"the name of a page ends in .html, not {path.suffix!r}",
            where="--to",
            hint=str(Path(text) / "report.html" if path.is_dir() else f"{text}.html"),
        )
    if not path.parent.is_dir():
        raise UserError("there is no such folder", where=str(path.parent))
    if path.is_dir():
        raise UserError("this is a folder, not a file", where=text, hint=f"{text}/report.html")
    return path

"""Verb `report`: write a study's answers, tables, figures and traces as one HTML page."""

import argparse
from dataclasses import asdict

from orchestrator.console import note, say, say_json
from orchestrator.verb import chosen_study, study_argument

ORDER = 100
HELP = "write one self-contained HTML page: answers, tables, figures, where every number comes from"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY."""
    study_argument(parser)


def run(options: argparse.Namespace) -> int:
    """Write the page from what is done now; missing cells say why.

    Args:
        options: the words of the command line.

    Returns:
        0.

    Raises:
        UserError: the study compares nothing, or nothing was measured yet.
    """
    from orchestrator.plan.decided_plan import decide_plan, notes_on_asking
    from orchestrator.views.study_page import write_page

    root, study = chosen_study(options)
    decided = decide_plan(root, study)
    for text in notes_on_asking(root, decided.plan):
        note(f"note: {text}")
    page = write_page(root, decided)
    if options.json:
        say_json({"study": study.name, **asdict(page), "place": str(page.place)})
        return 0
    say(
        f"{page.cells:,} cells, {page.figures} figures, {page.artifacts:,} artifacts, "
        f"{page.bytes / 1e6:.1f} MB"
    )
    say(f"report: {page.place}")
    return 0

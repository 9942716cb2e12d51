"""Verb `rehearse`: run a study whole and small on processors, and say what would fail."""

import argparse
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from orchestrator.console import note, say, say_json
from orchestrator.verb import chosen_study, study_argument

if TYPE_CHECKING:
    from cluster.storage import Storage
    from orchestrator.rehearsal.report import RehearsalReport
    from orchestrator.study.study import Study

ORDER = 35
HELP = "run the whole study small, on processors, with stand-ins for models; finds what would fail"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY, where jobs run and where the rehearsal lies."""
    study_argument(parser)
    parser.add_argument("--executor", default="local", help="local (default): one process; or ray")
    parser.add_argument(
        "--into",
        metavar="FOLDER",
        help="where the rehearsal lies, which is kept where something would fail "
        "(default: rehearsals/STUDY in the root, or in a private temp folder for a root elsewhere)",
    )


def run(options: argparse.Namespace) -> int:
    """Rehearse the study and print what would fail, and what could not be rehearsed.

    Args:
        options: the words of the command line.

    Returns:
        0 when all that can be rehearsed held, 1 when something would fail, 75 or 130 when it was
        stopped before its end.

    Raises:
        UserError: something in the study or the options is wrong.
        SurroundingsError: the folder is not writable, or another rehearsal of the study runs there.
    """
    from cluster.executor import executor_class
    from orchestrator.dispatch.interruption import handle_signals, restore_sigint
    from orchestrator.rehearsal.rehearsal import rehearse
    from orchestrator.rehearsal.rehearsal_folder import REHEARSALS
    from orchestrator.views.live_view import open_progress

    root, study = chosen_study(options)
    folder = _folder(options, root, study.name)
    if root.is_local and Path(root.path(REHEARSALS)).parent.exists():
        root.require_writable()  # as the launch will
    _note_fetched(root, study)
    restore_sigint()
    try:
        with handle_signals(may_raise=True):
            report = rehearse(
                study,
                folder,
                executor=executor_class(options.executor)(),
                executor_name=options.executor,
                progress=lambda small: open_progress(small, sys.stderr),
                warn=note,
            )
    finally:
        if options.into is None:
            with suppress(OSError):  # another is kept there, or none was made
                folder.parent.rmdir()
    if options.json:
        say_json(report.to_json())
    else:
        _show(report)
    return report.exit_code


def _note_fetched(root: "Storage", study: "Study") -> None:
    """Let stand-ins take configs and tokenizers of models that `fetch` brought into the root."""
    from cluster.errors import DeltascaleError
    from jobs.entries.own_entries import apart
    from jobs.hub.shelf import has_shelves
    from orchestrator.plan.decided_plan import Purpose, plan_study

    with suppress(DeltascaleError):  # the rehearsal says what is wrong with the study
        if has_shelves(root):
            with apart():
                plan_study(root, study, purpose=Purpose.FORECAST)


def _folder(options: argparse.Namespace, root: "Storage", study: str) -> Path:
    """Return where the rehearsal lies: never in the root's own folders."""
    import os

    from cluster.disk.temp_folders import lasting_folder
    from cluster.disk.written_path import expanded
    from orchestrator.rehearsal.rehearsal_folder import REHEARSALS

    if options.into is not None:
        return expanded(options.into, where="--into").absolute()
    if root.is_local:
        place = Path(root.path(REHEARSALS)).absolute()
        nearest = next(path for path in place.parents if path.exists())
        # The root of a profile may be a folder of another machine.
        if nearest in (place.parent, place.parent.parent) and os.access(nearest, os.W_OK):
            return place / study
    return lasting_folder(REHEARSALS) / study


def _show(report: "RehearsalReport") -> None:
    width = max(len(stage.stage) for stage in report.stages)
    for stage in report.stages:
        jobs = f"{stage.num_jobs} jobs" if stage.num_jobs else ""
        say(f"{stage.stage:<{width}}  {stage.kind:<15} {jobs:>10}   {stage.state}  {stage.note}")
    say()
    for fault in report.faults:
        more = f" and {len(fault.jobs) - 1} more" if len(fault.jobs) > 1 else ""
        say(f"would fail: {fault.where}: {fault.jobs[0]}{more}: {fault.what}")
    for text in report.notes:
        say(f"note: {text}")
    say("rehearsed small: " + "; ".join(report.sizes))
    say("not rehearsed:")
    for text in report.open:
        say(f"  {text}")
    kept = f"; the rehearsal is kept in {report.kept}" if report.kept else ""
    how = f"{len(report.faults)} faults"
    if report.is_held:
        how = "all that can be rehearsed held"
    elif report.stopped:
        how = "stopped before its end, and the same command goes on"
    say(f"{report.study}: {how}, {report.seconds:.0f} s{kept}")
    if report.faults:
        say(f"  `deltascale logs {report.study} KEY --root {report.kept}` shows what jobs wrote")

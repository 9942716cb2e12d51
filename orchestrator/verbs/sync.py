"""Verb `sync`: send the runs of a study that were written offline to W&B."""

import argparse
from typing import TYPE_CHECKING

from orchestrator.console import note, say, say_json
from orchestrator.verb import chosen_study, study_argument

if TYPE_CHECKING:
    from orchestrator.mirroring.unsent_runs import Unsent, UnsentRun

ORDER = 105
HELP = "send what was written offline to W&B: several runs at once, nothing twice"
_MOST_LISTED = 12


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY, and whether only to look."""
    study_argument(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="say what would be sent, and send nothing"
    )


def run(options: argparse.Namespace) -> int:
    """Send the pieces of the study's runs that lie on this machine and that W&B does not have.

    Args:
        options: the words of the command line.

    Returns:
        0.

    Raises:
        UserError: there is no such study.
        SurroundingsError: W&B cannot be reached, or another `sync` is at work.
    """
    from jobs.mirror.client import require_server, sending_environment
    from jobs.mirror.sending import send, sending
    from orchestrator.mirroring.unsent_runs import find_unsent

    root, study = chosen_study(options)
    left = find_unsent(root, study.name)
    if left.runs and not options.dry_run:
        server = require_server()
        with sending(left.folder):
            left = find_unsent(root, study.name)  # another may have sent some until now
            note(f"to {server}: {_describe(left)}")
            runs = {run.run: run.pieces for run in left.runs}
            send(runs, sending_environment())
    _show(options, study.name, left)
    if not root.is_local:
        note(
            f"{root.url} is remote: W&B's files lie on the machine that wrote them, here in "
            f"{left.folder}; run this on each machine that ran jobs"
        )
    return 0


def _show(options: argparse.Namespace, study: str, left: "Unsent") -> None:
    if options.json:
        document = {
            "study": study,
            "folder": str(left.folder),
            "is_dry_run": options.dry_run,
            "runs": [_document(run) for run in left.runs],
            "sent_before": left.num_sent,
            "being_written": list(left.running),
        }
        say_json(document)
        return
    verb = "would be sent" if options.dry_run else "sent"
    say(f"{_describe(left)} {verb}; {left.num_sent:,} runs were sent before")
    for run in left.runs[:_MOST_LISTED]:
        say(f"  {run.run}  {run.label}: {_joined(run)}")
    if len(left.runs) > _MOST_LISTED:
        say(f"  and {len(left.runs) - _MOST_LISTED:,} more")
    if left.running:
        say(f"{len(left.running):,} runs are being written now: sync again once they have ended")


def _describe(left: "Unsent") -> str:
    pieces = [piece for run in left.runs for piece in run.pieces]
    size = sum(piece.bytes for piece in pieces)
    return f"{len(left.runs):,} runs in {len(pieces):,} pieces, {size / 1e6:.1f} MB,"


def _joined(run: "UnsentRun") -> str:
    """Say how the pieces of a run join."""
    began = [piece.began for piece in run.pieces]
    before = f"after {run.num_sent} sent before, " if run.num_sent else ""
    if len(began) == 1:
        return f"{before}1 piece, of {began[0]}"
    return f"{before}{len(began)} pieces joined in the order they began: {', then '.join(began)}"


def _document(run: "UnsentRun") -> dict[str, object]:
    return {
        "run": run.run,
        "label": run.label,
        "sent_before": run.num_sent,
        "pieces": [
            {
                "file": str(piece.file),
                "began": piece.began,
                "is_online": piece.is_online,
                "bytes": piece.bytes,
            }
            for piece in run.pieces
        ],
    }

"""Verb `fetch`: take what a study needs of the hub into the root, where jobs find it offline."""

import argparse
import shlex
import sys
from typing import TYPE_CHECKING

from cluster.errors import UserError
from orchestrator.console import note, say, say_json
from orchestrator.verb import chosen_study, study_argument

if TYPE_CHECKING:
    from collections.abc import Sequence

    from orchestrator.fetching.fetch import Parcel

ORDER = 36
HELP = "take every model and data set of the hub that a study needs into the root"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY, and whether to say only what would be fetched."""
    study_argument(parser)
    parser.add_argument(
        "--dry-run",
        action="store_true",
        help="ask the hub and say what would be fetched and how much it is; fetch nothing",
    )


def run(options: argparse.Namespace) -> int:
    """Ask the hub for all that the study needs, then fetch what the root lacks.

    Args:
        options: the words of the command line.

    Returns:
        0 once everything is in the root, or with `--dry-run`.

    Raises:
        UserError: something in the study is wrong, or the hub gives it to others only.
        SurroundingsError: the hub cannot be reached, or the disk is full.
    """
    from orchestrator.dispatch.interruption import handle_signals, restore_sigint

    restore_sigint()
    with handle_signals(may_raise=True):
        return _fetch(options)


def _fetch(options: argparse.Namespace) -> int:
    from huggingface_hub.utils import disable_progress_bars  # type: ignore[attr-defined]

    from orchestrator.fetching.fetch import ask_hub, described, fetch_all, require_room
    from orchestrator.fetching.needs import needs_of
    from orchestrator.plan.decided_plan import Purpose, decide_plan
    from orchestrator.plan.decisions import Decision
    from orchestrator.plan.disk_space import free_bytes
    from orchestrator.plan.revisions import known_revisions, remember_revisions
    from orchestrator.records.root_file import root_id
    from orchestrator.text import gigabytes

    _require_online()
    if options.json or not sys.stderr.isatty():
        disable_progress_bars()
    root, study = chosen_study(options)
    decided = decide_plan(root, study, purpose=Purpose.FORECAST)
    # What is done needs nothing of the hub any more: its artifact holds what it took.
    done = decided.keys(Decision.REUSE)
    jobs = [job for job in decided.plan.jobs if job.key not in done]
    needs = needs_of(root, jobs)
    parcels, revisions = ask_hub(root, needs, decided.plan.revisions)
    for parcel in parcels:
        note(described(parcel))
    total = sum(parcel.bytes_to_fetch for parcel in parcels)
    free = free_bytes(root)
    room = "" if free is None else f"; {gigabytes(free)} free"
    note(f"to fetch: {gigabytes(total)} from {_hub()}{room}")
    require_room(parcels, free)
    downloaded = 0
    if not options.dry_run and parcels:
        root.require_writable()
        root_id(root)
        remember_revisions(root, revisions)
        known = known_revisions(root)
        if any(known.get(name) != commit for name, commit in revisions.items()):
            # Another process of the root was first, and a branch moved since: its commit counts.
            parcels, _ = ask_hub(root, needs, {**revisions, **known})
        downloaded = fetch_all(parcels, note)
    absent = [] if options.dry_run else _absent(options)
    if options.json:
        say_json(_document(study.name, parcels, downloaded, options.dry_run, absent))
        return 0
    if options.dry_run:
        say("nothing was fetched (--dry-run)")
        return 0
    say(
        f"{study.name}: all of {len(parcels)} repositories of the hub are in {root.url}; "
        f"{gigabytes(downloaded)} came now"
    )
    for name in absent:
        say(f"not of the hub, and not here: {name}")
    say(f"next: `deltascale launch {shlex.quote(options.study)}`; its jobs leave the hub alone")
    return 0


def _require_online() -> None:
    from huggingface_hub import constants

    if constants.HF_HUB_OFFLINE:
        raise UserError(
            "HF_HUB_OFFLINE (or TRANSFORMERS_OFFLINE) is set, and `fetch` asks the hub",
            where="environment",
            hint="run it on a machine with internet, with HF_HUB_OFFLINE=0",
        )


def _hub() -> str:
    """Return the address of the hub, without what a user may have put into it."""
    from urllib.parse import urlsplit

    from huggingface_hub import constants

    return urlsplit(constants.ENDPOINT).hostname or constants.ENDPOINT


def _absent(options: argparse.Namespace) -> "list[str]":
    """Plan again: say which data are not here still, and read those that came."""
    from orchestrator.plan.decided_plan import Purpose, plan_study

    root, study = chosen_study(options)
    plan = plan_study(root, study, purpose=Purpose.FORECAST)
    return list(dict.fromkeys(name for names in plan.open.values() for name in names))


def _document(
    study: str, parcels: "Sequence[Parcel]", downloaded: int, is_dry: bool, absent: "list[str]"
) -> dict[str, object]:
    return {
        "study": study,
        "fetched": not is_dry,
        "bytes": sum(parcel.bytes for parcel in parcels),
        "bytes_to_fetch": sum(parcel.bytes_to_fetch for parcel in parcels),
        "downloaded": downloaded,
        "repositories": [
            {
                "source": parcel.need.source,
                "commit": parcel.shelf.commit,
                "files": {name: parcel.listing[name].size for name in parcel.names},
                "bytes_to_fetch": parcel.bytes_to_fetch,
            }
            for parcel in parcels
        ],
        "absent": absent,
    }

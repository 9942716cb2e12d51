"""Verb `verify`: hash every file of a study again; `--repair` computes again what is damaged."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.console import note, say, say_json
from orchestrator.text import pluralize
from orchestrator.verb import chosen_profile, chosen_study, study_argument

if TYPE_CHECKING:
    from cluster.storage import Storage
    from orchestrator.records.damaged_files import DamagedFile
    from orchestrator.records.verification import Damage

ORDER = 110
HELP = "re-hash everything a study made; --repair computes again what is damaged"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY, whether to repair, and where a repair runs."""
    study_argument(parser)
    parser.add_argument(
        "--repair",
        action="store_true",
        help="compute again what is damaged; foreign files are moved aside",
    )
    parser.add_argument("--executor", help="where a repair runs: ray (default) or local")
    parser.add_argument("--address", metavar="RAY", help="join this Ray for a repair")
    parser.set_defaults(cpus=None, only=[], takeover=False, budget=[], submission=None)


def run(options: argparse.Namespace) -> int:
    """Check every record, and repair what is damaged when asked.

    Args:
        options: the words of the command line.

    Returns:
        0 when nothing is damaged, 1 when something is; after a repair, that of its launch, or 1
        when something damaged was left alone.

    Raises:
        UserError: something in the study or the options is wrong.
        SurroundingsError: a repair is asked for and the lock is held.
    """
    from orchestrator.fetching.needs import damaged_copies
    from orchestrator.plan.decided_plan import Purpose, plan_study
    from orchestrator.plan.revisions import damaged_revisions, known_revisions
    from orchestrator.records.damaged_files import DamagedFile, find_damaged_files
    from orchestrator.records.verification import find_damage

    root, study = chosen_study(options)
    jobs = list(plan_study(root, study, purpose=Purpose.ASK).by_key.values())
    checked = list(find_damage(root, jobs))
    damages = [damage for _, of_job in checked for damage in of_job]
    files = list(find_damaged_files(root, study.name, jobs))
    # Which commit a name stood for nobody but its user can say again: named, and left.
    revisions = [DamagedFile(name=name, reason=why) for name, why in damaged_revisions(root)]
    copies = [
        DamagedFile(name=name, reason=why)
        for name, why in damaged_copies(root, jobs, known_revisions(root))
    ]
    is_repaired = bool(damages or files) and options.repair
    # A repair answers with the document of its launch: one document is all that may be printed.
    if options.json and not is_repaired:
        say_json(_document(study.name, len(checked), damages, [*files, *revisions, *copies]))
    elif not options.json:
        for file in (*files, *revisions, *copies):
            say(f"damaged  {file.place}: {file.reason}")
        for damage in damages:
            job = damage.job
            say(f"damaged  {job.key16}  {job.label}: {damage.name}: {damage.fault.value}")
        num_damaged = len({damage.job.key for damage in damages})
        in_files = pluralize(len(damages), "file")
        say(f"{pluralize(len(checked), 'artifact')} checked, {num_damaged} damaged in {in_files}")
    if options.repair:
        for copy in copies:
            root.remove(copy.name)  # the hub has it still
            note(f"{copy.name} was deleted: `deltascale fetch {study.words}` brings it again")
    if is_repaired:
        return _repair(options, root, study.name, damages, files) or int(bool(revisions or copies))
    if damages or files or (copies and not options.repair):
        note(
            f"`deltascale verify {study.words} --repair` makes again what is damaged "
            "and moves foreign files aside"
        )
    return 1 if damages or files or revisions or copies else 0


def _repair(
    options: argparse.Namespace,
    root: "Storage",
    study: str,
    damages: "Sequence[Damage]",
    files: "Sequence[DamagedFile]",
) -> int:
    """Take away what is damaged, then launch; a new attempt takes over the files that are whole."""
    from orchestrator.dispatch.worker_messages import write_request
    from orchestrator.profiles.launching import require_place
    from orchestrator.records.damaged_files import mend_files
    from orchestrator.records.launch_id import new_launch_id
    from orchestrator.records.lock import study_lock
    from orchestrator.records.verification import take_away
    from orchestrator.verbs import launch

    require_place(chosen_profile(options), options)  # before anything is taken away
    identifier = new_launch_id()
    jobs = list({damage.job.key: damage.job for damage in damages}.values())
    with study_lock(root, study, identifier) as held:
        taken = take_away(root, jobs, aside=f"aside/{identifier}", held=held)
        mend_files(root, study, files, aside=f"aside/{identifier}")
        for job in (file.job for file in files if file.job is not None):
            write_request(root, job)
    if files:
        note(
            f"what was damaged of {len({file.name for file in files})} files lies in "
            f"aside/{identifier}/ under the root"
        )
    if taken.aside:
        moved = pluralize(len(taken.aside), "foreign file")
        note(f"{moved} moved to aside/{identifier}/ under the root: delete it when you need none")
    for job in taken.busy:
        note(f"{job.label} was left alone: an attempt of another launch is at work there")
    code = launch.start(options, fresh=True)
    return code or int(bool(taken.busy))


def _document(
    study: str,
    num_checked: int,
    damages: "Sequence[Damage]",
    files: "Sequence[DamagedFile]",
) -> dict[str, object]:
    return {
        "study": study,
        "checked": num_checked,
        "damaged": [
            {
                "key": damage.job.key,
                "job": damage.job.label,
                "file": damage.name,
                "fault": damage.fault.name.lower(),
                "what": damage.fault.value,
            }
            for damage in damages
        ],
        "damaged_files": [
            {"file": file.name, "line": file.line, "what": file.reason} for file in files
        ],
    }

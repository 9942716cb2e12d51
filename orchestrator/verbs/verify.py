"""Verb `verify`: re-hash every file of a study; `--repair` computes again what is damaged."""

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from orchestrator.console import note, say, say_json
from orchestrator.verb import chosen_root, study_argument

if TYPE_CHECKING:
    from cluster.storage import Storage
    from orchestrator.records.verification import Damage

ORDER = 110
HELP = "re-hash everything a study made; --repair computes again what is damaged"


def arguments(parser: argparse.ArgumentParser) -> None:
    """STUDY, whether to repair, and where that runs."""
    study_argument(parser)
    parser.add_argument(
        "--repair", action="store_true", help="take damaged records away and launch what they miss"
    )
    parser.add_argument("--executor", default="ray", help="where a repair runs: ray or local")
    parser.add_argument("--address", metavar="RAY", help="join this Ray for a repair")
    parser.set_defaults(cpus=None, only=[], takeover=False)


def run(options: argparse.Namespace) -> int:
    """Check every record; 1 when something is damaged and not repaired."""
    from orchestrator.plan.decided_plan import find_study, plan_study
    from orchestrator.records.verification import find_damage

    root = chosen_root(options)
    study = find_study(root, options.study)
    checked = list(find_damage(root, list(plan_study(root, study).by_key.values())))
    damages = [damage for _, found in checked for damage in found]
    is_repaired = bool(damages) and options.repair
    # A repair answers with the document of its launch: one document is all that may be printed.
    if options.json and not is_repaired:
        say_json(_document(study.name, len(checked), damages))
    elif not options.json:
        for each in damages:
            say(f"damaged  {each.job.key16}  {each.job.label}: {each.name}: {each.fault.value}")
        artifacts = len({each.job.key for each in damages})
        say(f"{len(checked)} artifacts checked, {artifacts} damaged in {len(damages)} files")
    if is_repaired:
        return _repair(options, root, study.name, damages)
    if damages:
        note(
            f"`deltascale verify {study.name} --repair` makes again what is damaged "
            "and deletes foreign files"
        )
    return 1 if damages else 0


def _repair(
    options: argparse.Namespace, root: "Storage", study: str, damages: "Sequence[Damage]"
) -> int:
    """Take away what is not whole, then launch: what is whole is taken over by the new attempt."""
    from orchestrator.dispatch.execution import new_launch_id
    from orchestrator.records.lock import study_lock
    from orchestrator.records.verification import Fault, take_away
    from orchestrator.verbs import launch

    with study_lock(root, study, new_launch_id()):
        take_away(root, damages)
    again = {each.job.key for each in damages if each.fault is not Fault.FOREIGN}
    return launch.start(options, fresh=True, damaged=again)


def _document(study: str, num_checked: int, damages: "Sequence[Damage]") -> dict[str, object]:
    return {
        "study": study,
        "checked": num_checked,
        "damaged": [
            {
                "key": each.job.key,
                "job": each.job.label,
                "file": each.name,
                "fault": each.fault.name.lower(),
                "what": each.fault.value,
            }
            for each in damages
        ],
    }

"""Verb `verify`: re-hash every file of a study; `--repair` computes again what is damaged."""

import argparse

from orchestrator.verb import chosen_root, note, say, say_json, study_argument

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
    from orchestrator.outlook import find_study, look
    from orchestrator.verbs import launch
    from orchestrator.verification import find_damage

    root = chosen_root(options)
    study = find_study(root, options.study)
    checked = list(find_damage(root, list(look(root, study).plan.by_key.values())))
    damaged = [damage for _, damage in checked if damage is not None]
    if options.json and not (damaged and options.repair):
        say_json(
            {
                "study": study.name,
                "checked": len(checked),
                "damaged": [
                    {"key": each.job.key, "job": each.job.label, "what": each.what}
                    for each in damaged
                ],
            }
        )
    elif not options.json:
        for each in damaged:
            say(f"damaged  {each.job.key16}  {each.job.label}: {each.what}")
        say(f"{len(checked)} artifacts checked, {len(damaged)} damaged")
    if not damaged:
        return 0
    if not options.repair:
        note(f"`deltascale verify {study.name} --repair` computes them again")
        return 1
    return launch.start(options, fresh=True, damaged={each.job.key for each in damaged})

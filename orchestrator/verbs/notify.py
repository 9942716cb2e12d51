"""Verb `notify`: send a message by every way by which a launch would tell you, to try them."""

import argparse
from typing import TYPE_CHECKING

from cluster.errors import DeltascaleError, UserError
from orchestrator.console import say, say_json
from orchestrator.verb import chosen_profile, chosen_root

if TYPE_CHECKING:
    from cluster.storage import Storage
    from orchestrator.notices.chosen_ways import ChosenWay
    from orchestrator.notices.way import Notice

ORDER = 27
HELP = "try how you are told of launches: send a message by each way"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare STUDY and further ways."""
    parser.add_argument(
        "study",
        nargs="?",
        metavar="STUDY",
        help="send how this study stands now; without it, a line to try the ways",
    )
    parser.add_argument(
        "--notify",
        action="append",
        default=[],
        metavar="WAY",
        help="a way, as for `launch`: webhook:env:NAME, webhook:FILE, command:PROGRAM, wandb",
    )


def run(options: argparse.Namespace) -> int:
    """Send one message by each way, once, and say what became of it.

    Args:
        options: the words of the command line.

    Returns:
        0 where every way took it, else 3.

    Raises:
        UserError: there is no way, one is wrong, or the profile's are not allowed.
    """
    from orchestrator.notices.chosen_ways import read_ways
    from orchestrator.permission.configuration import read_configuration
    from orchestrator.permission.own_files import configuration_path
    from orchestrator.profiles.launching import require_permission

    root, profile = chosen_root(options), chosen_profile(options)
    if profile is not None and profile.profile.notify:
        require_permission(profile, root, options)
    ways = read_ways(
        [
            *read_configuration(root).notify,
            *(profile.profile.notify if profile else ()),
            *options.notify,
        ]
    )
    if not ways:
        raise UserError(
            "nobody is told of launches: no way is named",
            where=str(configuration_path()),
            hint="try one with --notify webhook:env:SLACK_URL, then write it there: "
            "`notify: [webhook:env:SLACK_URL]`",
        )
    notice = _notice(root, options)
    outcomes = [(way, _sent(way, notice)) for way in ways]
    if options.json:
        say_json({"ways": [{"way": str(way), "fault": fault} for way, fault in outcomes]})
    else:
        for way, fault in outcomes:
            say(f"{'sent' if fault is None else 'NOT '}  {way}{f': {fault}' if fault else ''}")
    return 3 if any(fault for _, fault in outcomes) else 0


def _sent(way: "ChosenWay", notice: "Notice") -> str | None:
    """Send by one way; return why it was not sent, or None."""
    from orchestrator.notices.way import NotSent

    try:
        way.require()
        way.send(notice)
    except NotSent as fault:
        return str(fault)
    except DeltascaleError as fault:
        return f"{fault.error}{f' ({fault.hint})' if fault.hint else ''}"
    return None


def _notice(root: "Storage", options: argparse.Namespace) -> "Notice":
    from orchestrator.notices.way import Notice, Occasion

    if options.study is None:
        return Notice(
            occasion=Occasion.TEST,
            study="",
            title="deltascale: this is how you will be told of your launches",
        )
    from orchestrator.plan.decided_plan import decide_plan, find_study
    from orchestrator.plan.decisions import Decision
    from orchestrator.views.status import status_of

    study = find_study(root, options.study)
    decided = decide_plan(root, study)
    status = status_of(
        root,
        study.name,
        decided.plan.jobs,
        done=decided.keys(Decision.REUSE),
        past=decided.history,
    )
    counts = ", ".join(f"{number} {state}" for state, number in status["jobs"].items() if number)
    return Notice(
        occasion=Occasion.TEST,
        study=study.name,
        title=f"{study.name}: {status['state']}",
        text=counts,
    )

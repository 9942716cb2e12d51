"""Verb `doctor`: look whether a cluster is fit to run on, and say what to do where it is not."""

import argparse
from typing import TYPE_CHECKING

from orchestrator.console import say, say_json
from orchestrator.verb import chosen_profile, chosen_root

if TYPE_CHECKING:
    from orchestrator.doctor.examination import Finding

ORDER = 27
HELP = "look whether a cluster is fit to run on: versions, storage, GPUs, network, clocks"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the study and the Ray."""
    parser.add_argument(
        "study", nargs="?", metavar="STUDY", help="hold what it needs against what there is, too"
    )
    parser.add_argument(
        "--address", help="join this Ray and look at its nodes: host:port of its head, or auto"
    )


def run(options: argparse.Namespace) -> int:
    """Run all checks, and print each as soon as it is through.

    Args:
        options: the words of the command line.

    Returns:
        0 where jobs can run, 1 where something is bad.

    Raises:
        UserError: the profile, the study or the address is wrong.
    """
    from orchestrator.doctor.examination import examine, is_fit
    from orchestrator.doctor.opening import opened
    from orchestrator.doctor.page import document, heading, shown, summary

    chosen = chosen_profile(options)
    findings: list[Finding] = []
    with opened(chosen, chosen_root(options), options) as site:
        if not options.json:
            say(heading(site))
        for finding in examine(site):
            findings.append(finding)
            if not options.json:
                say(shown(finding))
    if options.json:
        say_json(document(site, findings))
    else:
        say(summary(findings))
    return 0 if is_fit(findings) else 1

"""Prints how a launch ended: for people with what the study says, for programs as JSON."""

from cluster.storage import Storage
from orchestrator.console import note, say
from orchestrator.locked_launch import Launched
from orchestrator.text import first_line
from orchestrator.unforeseen import left_to_the_ending
from orchestrator.views.text_output import show_summary

_STOPPED = (75, 76, 130)
"""Exit codes of a launch that ended before its jobs did: there is nothing new to show."""


def show_launched(root: Storage, study: str, launched: Launched) -> None:
    """Print what the study says, how the launch ended, and where more is to be had."""
    if launched.exit_code not in _STOPPED:
        with left_to_the_ending(bool(launched.exit_code), root.url, note):
            show_summary(root, launched.decided)
    _print_ending(study, launched)
    if launched.figures:
        say(f"all tables:    `deltascale compare {study}`")
        say(f"all evidence:  `deltascale compare {study} --answers`")
        say(f"page:          `deltascale report {study}`")
        for folder in launched.figures:
            say(f"figures:       {folder}")


def _print_ending(study: str, launched: Launched) -> None:
    report, by_key = launched.report, launched.decided.plan.by_key
    asked, num_jobs = len(launched.asked_for), len(by_key)
    if report is None:
        which = "all" if asked == num_jobs else f"the {asked} asked for of the"
        say(f"nothing to do: {which} {num_jobs} jobs of {study!r} are done")
        return
    say(
        f"{study}: {report.state.value}; {len(report.ran)} ran, {len(report.reused)} reused, "
        f"{len(report.failed)} failed, {len(report.blocked)} blocked, {report.seconds:.0f} s"
    )
    if asked < num_jobs:
        say(f"  {asked} of {num_jobs} jobs were asked for")
    if report.waited_for:
        say(f"  gave up {report.waited_for}; the same command goes on from here")
    if report.spent_budget:
        say(f"  {report.spent_budget}")
    for key, message in report.failed.items():
        say(f"  failed   {key[:16]}  {by_key[key].label}: {first_line(message)}")
    if report.failed:
        words = launched.decided.plan.study.words
        say(f"  `deltascale why {words} KEY` says why; `deltascale resume {words}` tries again")


def launch_document(study: str, launched: Launched) -> dict[str, object]:
    """Return how a launch ended, as `launch --json` prints it."""
    report = launched.report
    asked = len(launched.asked_for)
    return {
        "study": study,
        "jobs": len(launched.decided.plan.by_key),
        "asked_for": asked,
        "state": report.state.value if report else "complete",
        "ran": len(report.ran) if report else 0,
        "reused": len(report.reused) if report else asked,
        "failed": dict(report.failed) if report else {},
        "blocked": dict(report.blocked) if report else {},
        "waited_for": report.waited_for if report else None,
        "spent_budget": report.spent_budget if report else None,
        "seconds": report.seconds if report else 0.0,
        "figures": [str(folder) for folder in launched.figures],
    }

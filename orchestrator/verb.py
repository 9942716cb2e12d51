"""Contract: what a verb of the command line provides. Verbs live in `verbs/`, one per file.

Every verb takes `--root`, `--on` and `--json`. A verb imports what it needs inside `run`, so that
`deltascale --help` stays instant.
"""

import argparse
import os
import shlex
from contextlib import suppress
from typing import TYPE_CHECKING, Protocol

from cluster.errors import DeltascaleError, UserError
from cluster.storage import Storage
from jobs.door import Door

if TYPE_CHECKING:
    from orchestrator.profiles.profile_file import ChosenProfile
    from orchestrator.study.study import Study


class Verb(Protocol):
    """The names a module in `verbs/` defines."""

    ORDER: int
    """Place among the verbs in `deltascale --help`, smallest first."""
    HELP: str
    """One line for `deltascale --help`."""

    def arguments(self, parser: argparse.ArgumentParser) -> None:
        """Declare the verb's own arguments.

        Args:
            parser: the parser of the verb; `--root`, `--on` and `--json` are declared already.
        """

    def run(self, options: argparse.Namespace) -> int:
        """Run the verb.

        Args:
            options: the words of the command line.

        Returns:
            The exit code: 0 when all is well, 1 with failed jobs or damage found, 130 interrupted.

        Raises:
            UserError: something the user wrote cannot be done (exit code 2).
            SurroundingsError: the machine, the root or the cluster does not allow it (3).
        """


VERBS: Door[Verb] = Door("verb", "orchestrator.verbs", contract=Verb)


_RUNS_JOBS = frozenset({"launch", "resume", "verify"})
"""Verbs whose jobs run where a profile says."""


def chosen_root(options: argparse.Namespace) -> Storage:
    """Return the output root: `--root`, the profile's, `$DELTASCALE_ROOT`, or `./results`.

    Raises:
        UserError: `--root` is empty, or what it names is no folder.
    """
    if options.root is not None and not options.root.strip():
        raise UserError(
            "--root names no folder: it is empty",
            where="--root",
            hint="an unset variable of the shell? Left out, it is $DELTASCALE_ROOT or ./results",
        )
    profile = None if options.root else chosen_profile(options)
    if profile is not None and profile.profile.root:
        return Storage(profile.profile.root)
    root = Storage(options.root or os.environ.get("DELTASCALE_ROOT") or "results")
    root.require_folder()
    return root


def chosen_profile(options: argparse.Namespace) -> "ChosenProfile | None":
    """Return the profile that `--on` names; None without it.

    Raises:
        UserError: there is none of that name, there are several, or it is wrong.
    """
    text = getattr(options, "on", None)
    if text is None:
        return None
    if not text.strip():
        raise UserError(
            "--on names no profile: it is empty",
            where="--on",
            hint="an unset variable of the shell? `deltascale profile show` lists what there is",
        )
    from orchestrator.profiles.finding import find_profile

    named = getattr(options, "studies", None) or [getattr(options, "study", None)]
    return find_profile(text, [study for study in named if study])


def words_of_root(options: argparse.Namespace, root: Storage) -> str:
    """Return what a command line needs besides to find this root again, with a space before it."""
    if not options.root and getattr(options, "on", None) is None:
        return ""
    return f" --root {shlex.quote(options.root or root.url)}"


def words_to_root(options: argparse.Namespace, verb: str) -> str:
    """Return what the command line of a verb needs besides to reach the root of this command.

    What runs jobs needs the profile, too; of others `--root` works in any folder.
    """
    root, profile = getattr(options, "root", None), getattr(options, "on", None)
    words = f" --root {shlex.quote(root)}" if root else ""
    if not profile or (root and verb not in _RUNS_JOBS):
        return words
    if verb not in _RUNS_JOBS:
        with suppress(DeltascaleError):  # a wrong profile is refused anyway
            return words_of_root(options, chosen_root(options))
    return f"{words} --on {shlex.quote(profile)}"


def chosen_study(options: argparse.Namespace) -> "tuple[Storage, Study]":
    """Return the output root and the study that STUDY names."""
    from orchestrator.plan.decided_plan import find_study

    root = chosen_root(options)
    return root, find_study(root, options.study)


def study_argument(parser: argparse.ArgumentParser) -> None:
    """Declare the argument STUDY."""
    parser.add_argument(
        "study", metavar="STUDY", help="a study file, or the name of a study known in the root"
    )

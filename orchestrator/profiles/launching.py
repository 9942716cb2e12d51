"""Starts a launch where a profile says, or where the flags of `launch` say."""

import argparse
import os
from collections.abc import Callable

from cluster.errors import UserError
from cluster.storage import Storage
from orchestrator.console import note
from orchestrator.notices.chosen_ways import read_ways
from orchestrator.permission.confirmation import ask_at_terminal
from orchestrator.permission.profiles import require_permitted_profile
from orchestrator.profiles.environment import JOB_VARIABLES
from orchestrator.profiles.kind import LaunchRequest, Place
from orchestrator.profiles.profile_file import ChosenProfile
from orchestrator.study.study import Study

_FLAGS = ("executor", "address", "cpus")
"""Options of `launch` that say where jobs run."""


def launch_on(
    chosen: ChosenProfile,
    root: Storage,
    study: Study,
    options: argparse.Namespace,
    *,
    fresh: bool,
    run_here: Callable[[Place], int],
) -> int:
    """Start a launch on a profile, once the user has allowed what it does; return its exit code.

    Raises:
        UserError: the profile and the flags do not go together, or the user does not allow it.
    """
    require_place(chosen, options)
    require_permission(chosen, root, options)
    if chosen.path is not None:
        note(f"profile {chosen.name!r}: {chosen.path}")
    request = LaunchRequest(
        name=chosen.name,
        text=chosen.file.text if chosen.file else None,
        root=root,
        study=study,
        options=options,
        fresh=fresh,
        run_here=run_here,
    )
    return chosen.kind.launch(chosen.profile, request)


def require_place(chosen: ChosenProfile | None, options: argparse.Namespace) -> None:
    """Make sure that the flags that say where jobs run go with the profile, and with each other.

    Raises UserError.
    """
    if chosen is None:
        place_of_flags(options)
        return
    for flag in _FLAGS:
        if getattr(options, flag) is not None and flag not in chosen.kind.FLAGS:
            raise UserError(
                f"--{flag} does not go with a profile of kind {chosen.profile.kind!r}",
                where=f"--{flag}",
                allowed=[f"--{name}" for name in chosen.kind.FLAGS],
            )
    _require_cores(options.cpus)


def require_permission(chosen: ChosenProfile, root: Storage, options: argparse.Namespace) -> None:
    """Make sure that the user allows what a profile does. Raises UserError."""
    if chosen.path is None or chosen.file is None:
        return
    uses = chosen.kind.uses(chosen.profile)
    # With a local root alone, nothing leaves what this process may write anyway.
    is_asked = chosen.profile.root is not None and (uses or "://" in chosen.profile.root)
    if is_asked and not options.root:
        uses = [f"keeps results in {chosen.profile.root}", *uses]
    uses = [*uses, *(way.uses for way in read_ways(chosen.profile.notify))]
    ask = None if options.json else ask_at_terminal()
    require_permitted_profile(chosen.path, chosen.file.text, uses, root, ask)


def place_of_flags(options: argparse.Namespace) -> Place:
    """Return where jobs run without a profile. Raises UserError for flags that do not agree."""
    executor = options.executor or "ray"
    if executor != "ray":
        for value, flag in ((options.address, "--address"), (options.cpus, "--cpus")):
            if value is not None:
                raise UserError(f"{flag} is for `--executor ray`, not {executor!r}", where=flag)
    _require_cores(options.cpus)
    return Place(executor=executor, address=options.address, cpus=options.cpus)


def _require_cores(cpus: int | None) -> None:
    if cpus is not None and cpus < 1:
        raise UserError(f"{cpus} cores are too few", where="--cpus", allowed=["1 or more"])


def variables_of_script() -> list[str]:
    """List the variables that the batch script around this process sets for jobs."""
    return [name for name in os.environ.get(JOB_VARIABLES, "").split(",") if name]

"""How people are told of a launch: as the user's configuration, the profile and flags say."""

import argparse
from collections.abc import Sequence

from cluster.errors import UserError
from cluster.storage import Storage
from orchestrator.console import note
from orchestrator.notices.chosen_ways import ChosenWay, read_ways
from orchestrator.permission.configuration import read_configuration
from orchestrator.profiles.profile_file import ChosenProfile


def ways_of(
    options: argparse.Namespace,
    root: Storage,
    chosen: ChosenProfile | None,
    *,
    is_elsewhere: bool = False,
) -> Sequence[ChosenWay]:
    """Return how people are told of a launch.

    Args:
        options: the words of the command line.
        root: the output root.
        chosen: the profile; None without one.
        is_elsewhere: whether another machine tells, so that what ways name need not be here.

    Raises:
        UserError: a way is wrong, or what it names is not here; a launch that was handed over,
            where nobody reads it, goes on without that way.
    """
    is_handed_over = getattr(options, "submission", None) is not None
    # What was handed over lies under the root, which others may write: its words were checked.
    profile = None if is_handed_over or chosen is None else chosen.profile
    words = [*(profile.notify if profile else ()), *getattr(options, "notify", ())]
    usable = []
    for way in read_ways([*read_configuration(root).notify, *words]):
        try:
            if not is_elsewhere:
                way.require()
            usable.append(way)
        except UserError as fault:
            if not is_handed_over:
                raise
            note(f"warning: nobody is told by {way}: {fault.error}")
    return usable

"""Ends the processes on this machine that earlier launches, or earlier gangs, have left.

A process belongs to a launch by the label in the environment that it was started with, which only
its own user can read; it is ended only while it is the very process that was looked at, whatever
has its number later. What does not end, such as one that waits in a driver for a GPU, is named.
"""

import os
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from cluster.machine.gpu_processes import gpu_processes
from cluster.orphans.launch_label import GANG_VARIABLE, VARIABLE, LaunchLabel

_ENDED_WITHIN_S = 5.0


@dataclass(frozen=True, kw_only=True)
class Sweep:
    """What was found on one machine."""

    ended: tuple[str, ...] = ()
    """Processes that were ended, each described."""
    left: tuple[str, ...] = ()
    """Processes that did not end, or whose memory of a GPU was not given back, each described."""

    def describe(self) -> str:
        """Say what was found, in one sentence; empty where nothing was."""
        parts = []
        if self.ended:
            parts.append(f"ended what an earlier attempt had left: {', '.join(self.ended)}")
        if self.left:
            parts.append(f"an earlier attempt's processes do not end: {', '.join(self.left)}")
        return "; ".join(parts)


def end_left_by_earlier_launches(label: LaunchLabel) -> Sweep:
    """End the processes on this machine that earlier launches of a study have left."""

    def is_left(variables: Mapping[str, str]) -> bool:
        return label.is_left_by_earlier(LaunchLabel.parse(variables.get(VARIABLE, "")))

    return _end(is_left)


def end_left_by_gangs(label: LaunchLabel, ticket: str, alive: Collection[str]) -> Sweep:
    """End the ranks on this machine that earlier gangs of a launch have left.

    Args:
        label: of the launch.
        ticket: of the gang that is to start; only such with a smaller one are earlier.
        alive: tickets of the gangs that had not ended when it was submitted.
    """

    def is_left(variables: Mapping[str, str]) -> bool:
        gang = variables.get(GANG_VARIABLE, "")
        is_ours = variables.get(VARIABLE) == str(label)
        return is_ours and bool(gang) and gang < ticket and gang not in alive

    return _end(is_left)


def _end(is_left: Callable[[Mapping[str, str]], bool]) -> Sweep:
    """End the processes of this user whose first environment tells that they are left."""
    import psutil

    found: dict[psutil.Process, str] = {}
    me = os.getpid()
    for process in psutil.process_iter():
        try:
            if process.pid != me and is_left(process.environ()):
                found[process] = f"{process.name()} (pid {process.pid})"
        except (psutil.Error, OSError):
            continue  # another user's, or it has ended
    family = _ancestors_of(me)
    found = {process: text for process, text in found.items() if process.pid not in family}
    for process in found:
        try:
            process.kill()
        except psutil.Error:
            continue
    if not found:
        return Sweep()
    _, alive = psutil.wait_procs(list(found), timeout=_ENDED_WITHIN_S)
    left = {process.pid: found[process] for process in alive if not _is_zombie(process)}
    for holder in gpu_processes():
        if holder.pid in {process.pid for process in found}:
            left[holder.pid] = holder.describe()
    ended = [text for process, text in found.items() if process.pid not in left]
    return Sweep(ended=tuple(sorted(ended)), left=tuple(sorted(left.values())))


def _ancestors_of(pid: int) -> set[int]:
    import psutil

    return {process.pid for process in psutil.Process(pid).parents()}


def _is_zombie(process: object) -> bool:
    import psutil

    assert isinstance(process, psutil.Process)
    try:
        return bool(process.status() == psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return True

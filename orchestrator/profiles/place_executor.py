"""The executor that a place of a profile means, ready to be started, with what its calls need."""

from collections.abc import Sequence
from dataclasses import replace

from cluster.executor import Executor, executor_class
from cluster.machine.resources import this_machine
from jobs.worker.versions import PACKAGES, SAME_EVERYWHERE
from orchestrator.profiles.kind import Place

_PRELOADED = ("jobs.worker_start",)
"""Modules that the processes of a Ray of our own import before the first attempt comes."""
_RANKS_IMPORT = (*_PRELOADED, "jobs.training.alignment", "trl.trainer.dpo_trainer")
"""What most ranks import, and what takes them long."""


def make_executor(place: Place, *, keys: Sequence[str], also: Sequence[str]) -> Executor:
    """Make the executor of a launch.

    Args:
        place: where jobs run.
        keys: names of variables with secrets that jobs need.
        also: names of further variables that jobs may see.
    """
    chosen = executor_class(place.executor)
    if place.executor != "ray":
        return chosen()
    offered = None if place.cpus is None else replace(this_machine(), num_cpus=place.cpus)
    return chosen(
        address=place.address,
        offered=offered,
        packages=PACKAGES,
        preloaded=_PRELOADED,
        imports=_RANKS_IMPORT,
        libraries=SAME_EVERYWHERE,
        keys=keys,
        also=also,
        access=place.access,
    )

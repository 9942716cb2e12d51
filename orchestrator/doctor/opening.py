"""Opens the place that is to be looked at: the nodes behind a profile or an address, the root."""

import argparse
import os
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from cluster.driver.ray_access import check_address
from cluster.errors import SurroundingsError, UserError
from cluster.fitness.asked_nodes import AskedNodes, ThisMachine
from cluster.fitness.over_srun import JOB, NodesOfAllocation
from cluster.machine.set_variables import variables_set
from cluster.storage import Storage
from jobs.worker.versions import PACKAGES
from orchestrator.doctor.site import Site
from orchestrator.plan.decided_plan import DecidedPlan, Purpose, decide_plan, find_study
from orchestrator.profiles.kind import Place
from orchestrator.profiles.launching import require_permission
from orchestrator.profiles.profile_file import ChosenProfile

_LOOKED_WITHIN_S = 5.0
"""How long the root may take to say which of its folders are there."""


@contextmanager
def opened(
    chosen: ChosenProfile | None, root: Storage, options: argparse.Namespace
) -> Iterator[Site]:
    """Open a place while the block runs; where it cannot be, this machine stands for it.

    Args:
        chosen: the profile that names it; None: `--address`, else this machine.
        root: the output root.
        options: `address`, `study`, and what asking for permission needs.

    Raises:
        UserError: profile, address or study are wrong, or the user does not allow what it does.
    """
    place = _place(chosen, options)
    if chosen is not None:
        require_permission(chosen, root, options)
    decided = _decided(root, options.study, chosen)
    with variables_set(place.variables if place is not None else {}):
        nodes: AskedNodes
        refusal = None
        try:
            nodes = _nodes(place)
        except SurroundingsError as fault:
            nodes, refusal = ThisMachine(), fault
        with closing(nodes), _left_as_it_was(root):
            yield Site(
                nodes=nodes,
                root=root,
                chosen=chosen,
                # An allocation is as large as it was asked for; the profile says the most.
                wanted=chosen.profile.machines if chosen is not None and place else (),
                decided=decided,
                ray=place.address if place is not None else None,
                warning=getattr(nodes, "warning", None),
                dashboard=getattr(nodes, "dashboard", None),
                refusal=refusal,
                is_queue=place is None and JOB not in os.environ,
            )


@contextmanager
def _left_as_it_was(root: Storage) -> Iterator[None]:
    """Take away the folders that the block made to write into a root that was not there."""
    missing = _missing_folders(Path(root.url)) if root.is_local else []
    try:
        yield
    finally:
        for folder in missing:
            with suppress(OSError):  # a launch has begun there meanwhile
                folder.rmdir()


def _missing_folders(path: Path) -> list[Path]:
    """Return a folder and those around it that are not there, inner ones first.

    Of a file system that does not answer none is: the checks say that it hangs, with a limit.
    """
    missing: list[Path] = []

    def look() -> None:
        missing.extend([folder for folder in (path, *path.parents) if not folder.exists()])

    looking = threading.Thread(target=look, daemon=True)
    looking.start()
    looking.join(_LOOKED_WITHIN_S)
    return [] if looking.is_alive() else missing


def _place(chosen: ChosenProfile | None, options: argparse.Namespace) -> Place | None:
    if options.address is not None:
        check_address(options.address)
    if chosen is None:
        return Place(address=options.address)
    if options.address is not None and "address" not in chosen.kind.FLAGS:
        raise UserError(
            f"--address does not go with a profile of kind {chosen.profile.kind!r}",
            where="--address",
        )
    asked = argparse.Namespace(address=options.address, executor=None, cpus=None)
    return chosen.kind.place(chosen.profile, asked)


def _nodes(place: Place | None) -> AskedNodes:
    if place is None and JOB in os.environ:
        return NodesOfAllocation()
    if place is None or place.address is None:
        return ThisMachine()
    from cluster.fitness.over_ray import NodesOfRay

    return NodesOfRay(place.address, PACKAGES, place.access)


def _decided(root: Storage, study: str | None, chosen: ChosenProfile | None) -> DecidedPlan | None:
    """Plan the study for the nodes of the profile, or for this machine."""
    if study is None:
        return None
    machines = chosen.profile.machines if chosen is not None else ()
    return decide_plan(
        root, find_study(root, study), purpose=Purpose.FORECAST, machines=machines or None
    )

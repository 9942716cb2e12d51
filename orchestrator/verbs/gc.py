"""Verb `gc`: list what a root no longer needs; `--apply` deletes it."""

import argparse
from collections.abc import Iterator, Sequence, Set
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from orchestrator.console import say, say_json
from orchestrator.text import pluralize
from orchestrator.verb import chosen_root

if TYPE_CHECKING:
    from cluster.locks.held import Held
    from orchestrator.records.garbage import Collector, Garbage

ORDER = 120
HELP = "list what the root no longer needs (superseded keys, spent checkpoints); --apply deletes"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Declare whether to delete."""
    parser.add_argument("--apply", action="store_true", help="delete what is listed")


def run(options: argparse.Namespace) -> int:
    """List garbage; with `--apply`, delete it while no launch is running on the root.

    Args:
        options: the words of the command line.

    Returns:
        0.

    Raises:
        UserError: this is no root of ours.
        SurroundingsError: a launch is running, or the plan of a study cannot be read.
    """
    from orchestrator.records.garbage import Collector

    root = chosen_root(options)
    collector = Collector(root)
    garbage = _delete(root, collector) if options.apply else list(collector.find())
    total = sum(item.bytes for item in garbage)
    if options.json:
        items = [{"name": item.name, "why": item.why, "bytes": item.bytes} for item in garbage]
        left = [{"name": item.name, "why": item.why} for item in collector.left]
        say_json({"applied": options.apply, "bytes": total, "items": items, "left": left})
        return 0
    for item in garbage:
        say(f"{item.bytes / 1e6:10.2f} MB  {item.name}  ({item.why})")
    for left_item in collector.left:
        say(f"{'left':>13}  {left_item.name}  ({left_item.why})")
    done = "deleted" if options.apply else "could be deleted; --apply deletes them"
    say(f"{pluralize(len(garbage), 'item')}, {total / 1e6:.2f} MB {done}")
    return 0


def _delete(root: Storage, collector: "Collector") -> "list[Garbage]":
    """Delete each item while it is looked at, when no attempt can begin there."""
    from orchestrator.records.root_file import require_root

    require_root(root)
    garbage: list[Garbage] = []
    looked_at: list[str] = []
    with _all_locked(root) as locks:
        studies = list(locks)
        unlocked = set(root.list("studies")) - set(studies)
        for item in collector.find():
            if looked_at != item.name.split("/")[:3]:  # the next artifact
                looked_at = item.name.split("/")[:3]
                _require_no_other(root, studies, unlocked)
                for held in locks.values():
                    held.check()  # one that slept meanwhile may have lost it to a launch
            collector.remove(item)
            garbage.append(item)
    return garbage


@contextmanager
def _all_locked(root: Storage) -> "Iterator[dict[str, Held]]":
    """Hold the lock of every study of the root, so that none is launched while the block runs."""
    from orchestrator.records.launch_id import new_launch_id
    from orchestrator.records.lock import study_lock
    from orchestrator.records.planned_jobs import studies_of

    studies = studies_of(root)
    identifier = new_launch_id()
    with ExitStack() as locks:
        yield {study: locks.enter_context(study_lock(root, study, identifier)) for study in studies}


def _require_no_other(root: Storage, studies: Sequence[str], unlocked: Set[str]) -> None:
    """Raise when a study was launched for the first time: it may need what is listed.

    Args:
        root: The root.
        studies: The studies that are locked.
        unlocked: Other names in `studies/`, where nothing was launched so far.
    """
    from orchestrator.records.planned_jobs import studies_of

    names = set(root.list("studies"))
    if names - unlocked != set(studies) or (unlocked and studies_of(root) != studies):
        raise SurroundingsError(
            "a study was launched on this root meanwhile",
            where=root.url,
            hint="collect garbage when nothing runs",
            code="study-running",
        )

"""Verb `gc`: list what a root no longer needs; `--apply` deletes it."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from orchestrator.console import say, say_json
from orchestrator.text import pluralize
from orchestrator.verb import chosen_root

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
        SurroundingsError: a launch is running, or the plan of a study cannot be read.
    """
    from orchestrator.records.garbage import find_garbage

    root = chosen_root(options)
    if options.apply:
        with _all_locked(root) as studies:
            garbage = list(find_garbage(root))
            for item in garbage:
                _require_no_other(root, studies)
                root.remove(item.name)
    else:
        garbage = list(find_garbage(root))
    total = sum(item.bytes for item in garbage)
    if options.json:
        say_json(
            {
                "applied": options.apply,
                "bytes": total,
                "items": [
                    {"name": item.name, "why": item.why, "bytes": item.bytes} for item in garbage
                ],
            }
        )
        return 0
    for item in garbage:
        say(f"{item.bytes / 1e6:10.2f} MB  {item.name}  ({item.why})")
    done = "deleted" if options.apply else "could be deleted; --apply deletes them"
    say(f"{pluralize(len(garbage), 'item')}, {total / 1e6:.2f} MB {done}")
    return 0


@contextmanager
def _all_locked(root: Storage) -> Iterator[list[str]]:
    """Hold the lock of every study of the root, so that none is launched while the block runs."""
    from orchestrator.dispatch.execution import new_launch_id
    from orchestrator.records.lock import study_lock

    studies = _studies(root)
    identifier = new_launch_id()
    with ExitStack() as locks:
        for study in studies:
            locks.enter_context(study_lock(root, study, identifier))
        yield studies


def _studies(root: Storage) -> list[str]:
    """List the folders of all studies, also of those never launched."""
    return [study for study in root.list("studies") if root.list(f"studies/{study}")]


def _require_no_other(root: Storage, studies: list[str]) -> None:
    """Raise when a study was launched for the first time: it may need what is listed."""
    if _studies(root) != studies:
        raise SurroundingsError(
            "a study was launched on this root meanwhile",
            where=root.url,
            hint="collect garbage when nothing runs",
        )

"""Verb `gc`: what a root no longer needs; `--apply` deletes it."""

import argparse
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from orchestrator.console import say, say_json
from orchestrator.verb import chosen_root

ORDER = 120
HELP = "list what the root no longer needs (superseded keys, spent checkpoints); --apply deletes"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whether to delete."""
    parser.add_argument("--apply", action="store_true", help="delete what is listed")


def run(options: argparse.Namespace) -> int:
    """List, and delete when asked and no launch is running on the root."""
    from orchestrator.records.garbage import find_garbage

    root = chosen_root(options)
    if options.apply:
        with _quiet(root) as studies:
            found = list(find_garbage(root))
            for each in found:
                _require_no_other(root, studies)
                root.remove(each.name)
    else:
        found = list(find_garbage(root))
    total = sum(each.bytes for each in found)
    if options.json:
        say_json(
            {
                "applied": options.apply,
                "bytes": total,
                "items": [{"name": g.name, "why": g.why, "bytes": g.bytes} for g in found],
            }
        )
        return 0
    for each in found:
        say(f"{each.bytes / 1e6:10.2f} MB  {each.name}  ({each.why})")
    done = "deleted" if options.apply else "could be deleted; --apply does it"
    say(f"{len(found)} items, {total / 1e6:.2f} MB {done}")
    return 0


@contextmanager
def _quiet(root: Storage) -> Iterator[list[str]]:
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
    """Names of all folders of studies, of those never launched too."""
    return [study for study in root.list("studies") if root.list(f"studies/{study}")]


def _require_no_other(root: Storage, studies: list[str]) -> None:
    """A study launched for the first time meanwhile may need what is listed."""
    if _studies(root) != studies:
        raise SurroundingsError(
            "a study was launched on this root meanwhile",
            where=root.url,
            hint="collect garbage when nothing runs",
        )

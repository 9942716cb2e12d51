"""Verb `gc`: what a root no longer needs; `--apply` deletes it."""

import argparse

from cluster.errors import SurroundingsError
from cluster.storage import Storage
from orchestrator.verb import chosen_root, say, say_json

HELP = "list what the root no longer needs (superseded keys, spent checkpoints); --apply deletes"


def arguments(parser: argparse.ArgumentParser) -> None:
    """Whether to delete."""
    parser.add_argument("--apply", action="store_true", help="delete what is listed")


def run(options: argparse.Namespace) -> int:
    """List, and delete when asked and no launch is running on the root."""
    from orchestrator.garbage import find_garbage

    root = chosen_root(options)
    if options.apply:
        _require_quiet(root)
    found = list(find_garbage(root))
    total = sum(each.bytes for each in found)
    for each in found:
        if options.apply:
            root.remove(each.name)
        if not options.json:
            say(f"{each.bytes / 1e6:10.2f} MB  {each.name}  ({each.why})")
    if options.json:
        say_json(
            {
                "applied": options.apply,
                "bytes": total,
                "items": [{"name": g.name, "why": g.why, "bytes": g.bytes} for g in found],
            }
        )
        return 0
    done = "deleted" if options.apply else "could be deleted; --apply does it"
    say(f"{len(found)} items, {total / 1e6:.2f} MB {done}")
    return 0


def _require_quiet(root: Storage) -> None:
    from orchestrator.lock import current_holder

    for study in root.list("studies"):
        holder = current_holder(root, study)
        if holder is not None:
            raise SurroundingsError(
                f"a launch of {study!r} is running on this root: {holder}",
                where=root.url,
                hint="collect garbage when nothing runs",
            )

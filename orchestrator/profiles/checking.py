"""`profile check`: looks at what a profile names, as far as this machine can see it."""

import os
from collections.abc import Iterator
from pathlib import Path

from cluster.errors import DeltascaleError
from cluster.storage import Storage
from orchestrator.profiles.kind import Finding
from orchestrator.profiles.node_check import describe
from orchestrator.profiles.profile_file import ChosenProfile
from orchestrator.text import pluralize


def check_profile(chosen: ChosenProfile) -> list[Finding]:
    """Look at the root, the nodes and the prices of a profile, and at what its kind knows of."""
    return [*_root(chosen), *_nodes(chosen), *chosen.kind.check(chosen.profile)]


def _root(chosen: ChosenProfile) -> Iterator[Finding]:
    root = chosen.profile.root
    if root is None:
        yield Finding(
            is_good=True, text="root: not set; --root, $DELTASCALE_ROOT or ./results is used"
        )
        return
    path = os.path.expanduser(root)
    try:
        if "://" not in root and not Path(path).exists():
            above = next(folder for folder in Path(path).parents if folder.exists())
            is_good = above.is_dir() and os.access(above, os.W_OK)
            can = "can" if is_good else "cannot"
            yield Finding(is_good=is_good, text=f"root: {root} is not there, and {can} be made")
            return
        Storage(path).require_writable()
    except DeltascaleError as fault:
        yield Finding(is_good=False, text=f"root: {root}: {fault.error}")
        return
    yield Finding(is_good=True, text=f"root: {root} can be written")


def _nodes(chosen: ChosenProfile) -> Iterator[Finding]:
    shapes = chosen.profile.nodes
    if not shapes:
        yield Finding(is_good=True, text="nodes: not set; there is no price to plan with")
    for shape in shapes:
        price = "no price"
        if shape.price is not None:
            price = f"{shape.price:g} {chosen.profile.currency} an hour"
        text = f"{pluralize(shape.count, 'node')} of {describe(shape.node)}, {price}"
        yield Finding(is_good=True, text=f"nodes: {text}")

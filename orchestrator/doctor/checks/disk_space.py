"""Is there room on the root for what the study writes: bytes and inodes?"""

from collections.abc import Iterator

from orchestrator.doctor.check import Check, Line, bad, ok, unchecked, warning
from orchestrator.doctor.site import Site
from orchestrator.plan.disk_space import measure_disk_space
from orchestrator.text import gigabytes

_LOOK = "cluster.fitness.looks.folders:look"
_LITTLE_BYTES = 10e9
_FEW_INODES = 10_000
"""Some thousand jobs of a few files each."""
_MORE = "make room (`deltascale gc` lists what the root no longer needs), or choose another root"


class DiskSpace(Check):
    """A launch waits for room where there is none, and loses nothing; but it waits."""

    ORDER = 14
    OF_NODES = False

    def lines(self, site: Site) -> Iterator[Line]:
        """Look at the disk of the root, and at what the study would write."""
        root = site.root
        needed = measure_disk_space(root, site.decided.decisions) if site.decided else None
        if not root.is_local:
            most = f"; to write: {needed.summary}" if needed else ""
            yield unchecked(f"an object storage says nothing of its room{most}")
            return
        (answer,) = site.here.ask(_LOOK, {"folders": [root.url]}, 20).values()
        if answer.value is None:
            yield unchecked(answer.fault or "no answer")
            return
        room = answer.value[root.url]
        if "free" not in room:
            yield unchecked(f"{root.url}: {room['fault']}")
            return
        free, inodes = room["free"], room["free_inodes"]
        shown = f"{gigabytes(free)} of {gigabytes(room['total'])} free"
        if needed is not None and needed.warning is not None:
            yield bad(f"{needed.warning}", f"{_MORE}; `keep: until-read` writes less at a time")
        elif needed is not None:
            yield ok(f"{shown}; to write: {needed.summary.partition(';')[0]}")
        elif free < _LITTLE_BYTES:
            yield warning(shown, _MORE)
        else:
            yield ok(shown)
        if inodes is not None and inodes < _FEW_INODES:
            judge = bad if inodes < 100 else warning
            yield judge(f"{inodes:,} inodes left: no more files than that can be made", _MORE)

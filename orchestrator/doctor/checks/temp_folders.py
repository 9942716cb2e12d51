"""Have the nodes room for temporary files, and shared memory enough for Ray and loaders?"""

from collections.abc import Iterator, Mapping
from typing import Any

from cluster.fitness.looking import Answer
from orchestrator.doctor.answers import at, seen, silent
from orchestrator.doctor.check import Check, Line, bad, ok, warning
from orchestrator.doctor.site import Site
from orchestrator.plan.temporary_space import MORE_TEMP, TemporarySpace, measure_temporary_space
from orchestrator.text import gigabytes

_LOOK = "cluster.fitness.looks.folders:look"
_SHARED = "/dev/shm"
_NO_BYTES, _LITTLE_BYTES = 1e9, 10e9
_SMALL_SHARED, _LITTLE_SHARED = 128e6, 1e9
"""Docker gives 64 MB; NCCL, gloo and loaders of torch end with a bus error where it is full."""
_FEW_INODES = 1_000
_RAY_FULL = 0.05
"""Share that must be free: Ray stops writing where less is (local_fs_capacity_threshold)."""
_MORE_SHARED = "start the container with --shm-size=8g (Kubernetes: an emptyDir of medium Memory)"


class TempFolders(Check):
    """Ray's sessions, our own copies of code and inputs, and the memory that processes share."""

    ORDER = 40

    def lines(self, site: Site) -> Iterator[Line]:
        """Ask all nodes."""
        needed = None
        if site.decided is not None:
            nodes = [node.offers for node in site.nodes.nodes]
            needed = measure_temporary_space(site.decided.decisions, nodes)
        yield from judge(site.nodes.ask(_LOOK, {"folders": ["temp", _SHARED]}, 20), needed)


def judge(answers: Mapping[str, Answer], needed: TemporarySpace | None = None) -> Iterator[Line]:
    """Say where there is too little room.

    Args:
        answers: what the nodes said.
        needed: what the study puts into their temp folders; None: nothing, or no study was named.
    """
    there = seen(answers)
    yield from silent(answers)
    good = []
    for name, value in there.items():
        lines = [*_temp(name, value["temp"], needed), *_shared(name, value[_SHARED])]
        yield from lines
        if not lines:
            good.append(name)
    if good:
        least = min((_free(there[name], "temp"), name) for name in good)
        shared = min(_free(there[name], _SHARED) for name in good)
        to_write = f"; the study writes {needed.summary}" if needed else ""
        yield ok(
            f"{at(good, len(there))}{gigabytes(least[0])} free for temporary files, "
            f"{gigabytes(shared)} in {_SHARED}, or more{to_write}"
        )


def _free(value: Mapping[str, Any], folder: str) -> int:
    return int(value[folder].get("free", 0))


def _temp(name: str, room: Mapping[str, Any], needed: TemporarySpace | None) -> Iterator[Line]:
    where_ = f"{name}: {room['path']}"
    if room["fault"] is not None:
        yield bad(f"{where_}: {room['fault']}", MORE_TEMP)
        return
    free = f"{where_}: {gigabytes(room['free'])} of {gigabytes(room['total'])} free"
    wanted = "" if needed is None else f"; the study writes {needed.summary}"
    if room["free"] < max(_NO_BYTES, 0 if needed is None else needed.most_bytes):
        yield bad(f"{free}{wanted}", MORE_TEMP)
    elif needed is not None and room["free"] < needed.at_once_bytes:
        yield warning(f"{free}{wanted}", MORE_TEMP)
    elif room["free"] < _RAY_FULL * room["total"]:
        yield warning(f"{free}: Ray stops writing where 95 % are in use", MORE_TEMP)
    elif room["free"] < _LITTLE_BYTES:
        yield warning(free, MORE_TEMP)
    if room["free_inodes"] is not None and room["free_inodes"] < _FEW_INODES:
        yield bad(f"{where_}: {room['free_inodes']:,} inodes left", MORE_TEMP)


def _shared(name: str, room: Mapping[str, Any]) -> Iterator[Line]:
    if room["fault"] is not None:
        yield bad(f"{name}: {_SHARED}: {room['fault']}", _MORE_SHARED)
    elif room["free"] < _LITTLE_SHARED:
        judge_ = bad if room["free"] < _SMALL_SHARED else warning
        total = gigabytes(room["total"])
        yield judge_(f"{name}: {_SHARED}: {gigabytes(room['free'])} of {total} free", _MORE_SHARED)

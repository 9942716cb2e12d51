"""Is the root one and the same for all nodes, is a name given to one writer only, and how soon?"""

import secrets
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from cluster.errors import DeltascaleError, SurroundingsError
from cluster.fitness.asked_nodes import AskedNode
from cluster.storage import Storage
from orchestrator.doctor.answers import at, listed, seen, silent
from orchestrator.doctor.check import Check, Line, bad, ok, unchecked, warning
from orchestrator.doctor.site import Site

_LOOK = "cluster.fitness.looks.shared_folder"
_SEEN_WITHIN_S = 1.0
"""What is published must be seen elsewhere so soon, or jobs wait for each other."""
_WAIT_S = 10.0
"""How long nodes wait for what is written here; NFS remembers names and sizes for 3 to 60 s."""
_LIMIT_S = 30.0
_SHARE = (
    "give --root a folder that all nodes mount at the same path (NFS, Lustre, …), or s3://bucket/…"
)


class _Probe:
    """Files of one trial directly in the root; they go with `remove`."""

    def __init__(self, root: Storage) -> None:
        self._root = root
        self._names: list[str] = []

    def name(self) -> str:
        """Return a new name, of a form that `gc` knows."""
        self._names.append(f".probe-{secrets.token_hex(16)}")
        return self._names[-1]

    def remove(self) -> None:
        """Delete what was written."""
        for name in self._names:
            with suppress(DeltascaleError):
                self._root.remove(name)


class Root(Check):
    """Results lie there, and an artifact belongs to whoever gave it its name first."""

    ORDER = 10
    OF_NODES = False
    LIMIT_S = 180.0
    IF_BROKEN = "see whether its storage answers (`ls`, `df`), or choose another with --root"

    def lines(self, site: Site) -> Iterator[Line]:
        """Write here, look and race there, and look here again."""
        is_new = site.root.is_local and not Path(site.root.url).exists()
        try:
            site.root.require_writable()
        except DeltascaleError as fault:
            hint = fault.hint or "choose another root with --root"
            yield bad(f"{site.root.url}: {fault.error}", hint)
            return
        if is_new:
            yield warning(
                f"{site.root.url}: there is none yet: a launch makes it",
                "look at how --root is written, if you meant a folder that is there",
            )
        probe = _Probe(site.root)
        try:
            yield from _trial(site, probe)
        finally:
            probe.remove()


def _trial(site: Site, probe: _Probe) -> Iterator[Line]:
    name, fence, text = probe.name(), probe.name(), secrets.token_hex(16)
    own = {node.name: probe.name() for node in site.nodes.nodes}
    absent = {"root": site.root.url, "name": name}
    yield from silent(site.nodes.ask(f"{_LOOK}:look_absent", absent, _LIMIT_S))
    site.root.write(name, text.encode())

    def asked(node: AskedNode) -> dict[str, object]:
        return {
            **absent,
            "bytes": text,
            "wait_s": _WAIT_S,
            "fence": fence,
            "own": own[node.name],
            "me": node.identifier,
        }

    there = seen(site.nodes.ask(f"{_LOOK}:look_written", asked, _LIMIT_S))
    number = len(site.nodes.nodes)
    apart = [name for name, value in there.items() if value["seen_s"] is None]
    if apart:
        text = f"{at(apart, number)}what is written here is not there: another folder"
        yield bad(f"{text} has the same name, or none has", _SHARE)
    yield from _judge_writes(there, number)
    together = {name: value for name, value in there.items() if name not in apart}
    yield from _judge_fence(together, number)
    yield from _judge_times(together, _wait_for(site.root, own, together), number)


def _wait_for(
    root: Storage, own: Mapping[str, str], there: Mapping[str, Mapping[str, Any]]
) -> dict[str, float | None]:
    """Return for each node after how many seconds its own file was seen here; None: never."""
    begun = time.monotonic()
    times: dict[str, float | None] = {}
    wrote = [name for name, value in there.items() if value["fault"] is None]
    while True:
        for name in wrote:
            if name not in times:
                with suppress(SurroundingsError):
                    if root.size(own[name]) is not None:
                        times[name] = time.monotonic() - begun
        if len(times) == len(wrote) or time.monotonic() - begun > _WAIT_S:
            return {name: times.get(name) for name in wrote}
        time.sleep(0.05)


def _judge_writes(there: Mapping[str, Mapping[str, Any]], number: int) -> Iterator[Line]:
    faults: dict[str, list[str]] = {}
    for name, value in there.items():
        if value["fault"] is not None:
            faults.setdefault(value["fault"], []).append(name)
    for fault, names in faults.items():
        yield bad(
            f"{at(names, number)}the root cannot be written: {fault}",
            "give yourself the right to write there on every node: same user id, mounted rw",
        )


def _judge_fence(there: Mapping[str, Mapping[str, Any]], number: int) -> Iterator[Line]:
    wrote = [name for name, value in there.items() if value["fault"] is None]
    won = [name for name in wrote if there[name]["won"]]
    if len(won) > 1:
        yield bad(
            f"one name was given to several writers at once: {listed(won)}",
            "two launches could both publish the same job: choose a root on another storage",
        )
    elif wrote and not won:
        yield unchecked("nobody got a name that was free; try again")


def _judge_times(
    there: Mapping[str, Mapping[str, Any]], back: Mapping[str, float | None], number: int
) -> Iterator[Line]:
    late = {name: max(there[name]["seen_s"], back[name] or _WAIT_S) for name in back}
    slow = {name: seconds for name, seconds in late.items() if seconds > _SEEN_WITHIN_S}
    for name, seconds in slow.items():
        never = back[name] is None
        yield warning(
            f"{name}: what it writes is {'not ' if never else ''}seen"
            f"{' within' if never else ' after'} {seconds:.0f} s",
            "mount it with shorter caches of attributes and names (NFS: actimeo=1, lookupcache=pos)"
            ", or use another root",
        )
    quick = [name for name in late if name not in slow]
    if not quick:
        return
    if number == 1:
        yield ok("written, read, and a name given to one writer only")
    else:
        yield ok(f"{at(quick, number)}shared, seen within 1 s, a name goes to one writer only")

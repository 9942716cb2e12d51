"""Does a lock that is held on this machine keep the other nodes out?"""

import secrets
from collections.abc import Iterator
from contextlib import ExitStack, suppress

from cluster.errors import SurroundingsError
from cluster.locks.file_lock import FileLock, NoLocks
from cluster.storage import Storage
from orchestrator.doctor.answers import alike, at, seen, silent
from orchestrator.doctor.check import Check, Line, bad, ok, unchecked
from orchestrator.doctor.site import Site

_LOOK = "cluster.fitness.looks.lock:look"
_NO_LOCKS = "mount it with locks (NFS: no `nolock`; Lustre: `flock`), or choose another root"


class Locks(Check):
    """A study has one launch at a time: whoever holds its lock."""

    ORDER = 12
    OF_NODES = False

    def lines(self, site: Site) -> Iterator[Line]:
        """Hold a lock here, and try to take it there."""
        if not site.root.is_local:
            yield ok("leases of the object storage: they rest on what `root` looked at")
            return
        name = f".probe-{secrets.token_hex(16)}"
        path = site.root.path(name)
        with ExitStack() as held:
            held.callback(_remove, site.root, name)
            try:
                held.enter_context(FileLock(path).hold())
            except NoLocks as fault:
                yield bad(fault.error, _NO_LOCKS)
                return
            except (SurroundingsError, OSError):
                yield unchecked("not looked at: the root cannot be written")
                return
            answers = site.nodes.ask(_LOOK, {"path": str(path)}, 20)
        yield from silent(answers)
        number = len(site.nodes.nodes)
        for lock, names in alike({n: value["lock"] for n, value in seen(answers).items()}).items():
            yield judge(str(lock), at(names, number))


def _remove(root: Storage, name: str) -> None:
    with suppress(SurroundingsError, OSError):
        root.remove(name)


def judge(lock: str, names: str) -> Line:
    """Say what it means that a lock which is held here is `held`, `free`, … on some nodes."""
    if lock == "held":
        return ok(f"{names}a lock that is held here is held there")
    if lock == "free":
        return bad(
            f"{names}a lock that is held here can be taken there: two launches of one study "
            "could run at once",
            "mount the root with locks that hold between nodes (NFS: without local_lock; Lustre: "
            "flock, not localflock), or choose another root",
        )
    if lock == "no locks":
        return bad(f"{names}the file system has no locks", _NO_LOCKS)
    return unchecked(f"{names}the root is another folder there")

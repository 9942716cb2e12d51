"""Locks of a root: a file that the kernel locks, on local disks, and a lease with a heartbeat.

The kernel frees a locked file when its holder dies. A remote root has no such lock: there every
holder of a `Lease` creates an object of its own, `<folder>/<token>`, create-only, with the next
higher token, and the highest token holds. Of two takers exactly one creates that object, and a
holder that was passed over finds a higher token beside its own.
"""

import contextlib
import fcntl
import json
import os
import platform
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from cluster.errors import SurroundingsError
from cluster.storage import Storage


class Occupied(Exception):
    """Somebody else holds the lock."""

    def __init__(self, holder: "Holder | None" = None) -> None:
        super().__init__(str(holder))
        self.holder = holder


@dataclass(frozen=True, kw_only=True)
class Holder:
    """The process that holds a lock, as it is written into the lock for others to read."""

    pid: int
    """Its process id."""
    host: str
    """Its machine."""
    launch: str
    """Id of the launch that it runs."""
    since: float
    """When it took the lock, in seconds since the epoch."""

    def __str__(self) -> str:
        since = datetime.fromtimestamp(self.since).strftime("%Y-%m-%d %H:%M:%S")
        return f"process {self.pid} on {self.host}, launch {self.launch}, since {since}"

    @classmethod
    def this_process(cls, launch: str) -> "Holder":
        """Describe this process, holding from now on."""
        return cls(pid=os.getpid(), host=platform.node(), launch=launch, since=time.time())

    @property
    def is_dead(self) -> bool:
        """True when it ran on this machine and its process is gone."""
        if self.host == platform.node():
            try:
                os.kill(self.pid, 0)
            except ProcessLookupError:
                return True
            except PermissionError:
                return False
        return False


@contextlib.contextmanager
def open_lock_file(path: Path, *, create: bool = True) -> Iterator[int]:
    """Open a file to be locked while the block runs; without `create`, only to look at the lock.

    Raises:
        SurroundingsError: the file may not be opened.
        FileNotFoundError: there is none, and none is to be created.
    """
    try:
        if create:
            path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT if create else os.O_RDONLY, 0o666)
    except PermissionError as error:
        raise SurroundingsError(
            "the lock may not be opened: permission denied", where=str(path)
        ) from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)  # which frees the lock, as the death of this process would


def try_lock(descriptor: int, *, shared: bool = False) -> bool:
    """Lock an open file, alone or with all who share it; False when somebody else holds the lock.

    Raises OSError where the file system has no locks.
    """
    kind = fcntl.LOCK_SH if shared else fcntl.LOCK_EX
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        return False
    return True


def write_holder(descriptor: int, holder: Holder | None) -> None:
    """Write the holder into a locked file; None empties the file."""
    os.ftruncate(descriptor, 0)
    if holder is not None:
        os.pwrite(descriptor, json.dumps(asdict(holder)).encode(), 0)


def read_holder(descriptor: int) -> Holder | None:
    """Read the holder from a locked file; None when the holder has not written itself yet."""
    try:
        return Holder(**json.loads(os.pread(descriptor, 4096, 0)))
    except (ValueError, TypeError):
        return None


@contextlib.contextmanager
def heartbeat(beat: Callable[[], bool | None], every_s: float) -> Iterator[None]:
    """Call `beat` on a thread every so many seconds, until the block ends or it returns True."""
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s) and not beat():
            pass

    thread = threading.Thread(target=run, name="heartbeat", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


@dataclass(frozen=True)
class Lease:
    """A lock of a remote root, renewed by its holder every `heartbeat_s` seconds.

    Whoever finds it without a renewal for `expires_after_s` seconds may take it.
    """

    storage: Storage
    """The root."""
    folder: str
    """Folder of the lease's objects, relative to the root."""
    heartbeat_s: float = 30.0
    """Seconds between two renewals."""
    expires_after_s: float = 90.0
    """Seconds without a renewal after which anybody may take the lease."""
    clock: Callable[[], float] = time.time
    """Gives the seconds since the epoch."""

    def holder(self) -> Holder | None:
        """Return the live holder; None when the lease is free, released or expired."""
        token = self._highest()
        if token == 0:
            return None
        try:
            lease = json.loads(self.storage.read(self._name(token)))
            holder = Holder(**lease["holder"])
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None
        is_expired = self.clock() - lease["at"] > self.expires_after_s
        return None if lease["released"] or is_expired or holder.is_dead else holder

    @contextlib.contextmanager
    def hold(self, holder: Holder, *, takeover: bool = False) -> Iterator[None]:
        """Hold the lease while the block runs.

        A holder that loses the lease, or cannot renew it in time, is interrupted as by Ctrl-C: it
        must not write any more. Raises Occupied when a live holder has it, unless `takeover`.
        """
        token = self._take(holder, takeover=takeover)
        main_thread = threading.main_thread().ident
        assert main_thread is not None
        renewed_at = self.clock()

        def renew() -> bool:
            nonlocal renewed_at
            try:
                is_lost = self._highest() != token
                if not is_lost:
                    self._renew(token, holder)
                    renewed_at = self.clock()
            except SurroundingsError:  # the storage does not answer: the lease runs out meanwhile
                is_lost = self.clock() - renewed_at > self.expires_after_s
            if is_lost:
                # To the thread that may be waiting: a signal to this one would not wake it.
                signal.pthread_kill(main_thread, signal.SIGINT)
            return is_lost

        try:
            with heartbeat(renew, self.heartbeat_s):
                yield
        finally:
            with contextlib.suppress(SurroundingsError):  # the lease runs out by itself
                if self._highest() == token:
                    self._renew(token, holder, released=True)

    def _take(self, holder: Holder, *, takeover: bool) -> int:
        present = self.holder()
        if present is not None and not takeover:
            raise Occupied(present)
        token = self._highest() + 1
        if not self.storage.create(self._name(token), self._content(holder, released=False)):
            raise Occupied(self.holder())
        for name in self.storage.list(self.folder):
            if int(name) < token:
                self.storage.remove(f"{self.folder}/{name}")
        return token

    def _highest(self) -> int:
        return max((int(name) for name in self.storage.list(self.folder)), default=0)

    def _renew(self, token: int, holder: Holder, *, released: bool = False) -> None:
        self.storage.write(self._name(token), self._content(holder, released=released))

    def _content(self, holder: Holder, *, released: bool) -> bytes:
        lease = {"holder": asdict(holder), "at": self.clock(), "released": released}
        return json.dumps(lease).encode()

    def _name(self, token: int) -> str:
        return f"{self.folder}/{token:08d}"

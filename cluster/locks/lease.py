"""`LeaseLock`: the lock of a root without a kernel's locks, by the protocol of a lease."""

import contextlib
import re
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from cluster.locks import lease_protocol as protocol
from cluster.locks.heartbeat import Heartbeat
from cluster.locks.held import Held, LockLost, LockUnsure
from cluster.locks.holder import UNKNOWN, Holder
from cluster.locks.lease_protocol import Hold, Operation, Tenure, Terms
from cluster.storage import Storage

Result = TypeVar("Result")
"""What the steps of the protocol come to."""
_TOKEN = re.compile(r"\d{8}", re.ASCII)
_LAST_BEAT_S = 10.0
"""How long an ending holder waits for a renewal that the storage has not answered yet."""


def steady_clock() -> float:
    """Return seconds that no setting of the clock moves, and that go on while a machine sleeps."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class HeldLease(Held):
    """A lease in hand, renewed on a thread."""

    def __init__(self, lock: "LeaseLock", tenure: Tenure) -> None:
        self.token = tenure.token
        self._lock = lock
        self._tenure = tenure
        self._beat = Heartbeat(self._renew, tenure.terms.renew_every_s)

    def check(self) -> None:
        """Return when the lease was renewed lately enough that nobody can have taken it."""
        self._beat.revive()
        state = self._tenure.state(steady_clock())
        if state is Hold.SURE:
            return
        where = f"{self._lock.storage.url}/{self._lock.folder}"
        if state is Hold.LOST:
            raise LockLost(
                "the lease of this launch was lost: another launch took it, or it was deleted",
                where=where,
                hint="see who holds it with `deltascale status`",
            )
        silent_s = steady_clock() - self._tenure.renewed_at
        raise LockUnsure(
            f"the lease could not be renewed for {silent_s:.0f} s; nothing is written until it is",
            where=where,
        )

    def confirm(self) -> None:
        """As `check`, after a look at the tokens that stand; renews a lease that is not sure."""
        if self._tenure.state(steady_clock()) is Hold.SURE:
            self._lock.do(protocol.confirm(self._tenure))
        else:
            self._renew()
        self.check()

    def end(self) -> None:
        """Release the lease; where the storage does not answer, it runs out by itself."""
        self._beat.stop(within_s=_LAST_BEAT_S)
        with contextlib.suppress(Exception):
            self._lock.do(protocol.release(self._tenure, time.time))

    def _renew(self) -> bool:
        self._lock.do(protocol.renew(self._tenure, steady_clock, time.time))
        return self._tenure.is_lost


@dataclass(frozen=True)
class LeaseLock:
    """The lock that is a folder of a root; its objects are the tokens of the holders."""

    storage: Storage
    """The root."""
    folder: str
    """Folder of the lease's objects, relative to the root."""
    terms: Terms = field(default_factory=Terms)
    """Times of the lease."""

    def holder(self) -> Holder | None:
        """Return who holds the lease; None when it is free, released or expired."""
        seen = self.do(protocol.look(self.terms))
        if seen is None:
            return None
        return replace(seen.holder or UNKNOWN, silent_s=self._age(seen.token) or 0.0)

    @contextlib.contextmanager
    def hold(self, holder: Holder, *, insist: bool = False, above: int = 0) -> Iterator[HeldLease]:
        """Hold the lease while the block runs.

        Args:
            holder: who takes it.
            insist: take it from a live holder.
            above: tokens up to this one were in use, whatever the folder says.

        Raises:
            Occupied: a live holder has it.
            SurroundingsError: the storage fails.
        """
        steps = protocol.take(
            holder, self.terms, steady_clock, time.time, insist=insist, above=above
        )
        held = HeldLease(self, self.do(steps))
        try:
            yield held
        finally:
            held.end()

    def do(self, steps: Generator[Operation, Any, Result]) -> Result:
        """Run the steps of the protocol on the root."""
        answer: object = None
        fault: Exception | None = None
        while True:
            try:
                operation = steps.throw(fault) if fault else steps.send(answer)
            except StopIteration as end:
                result: Result = end.value
                return result
            try:
                answer, fault = self._answer(operation), None
            except Exception as error:
                answer, fault = None, error

    def _answer(self, operation: Operation) -> object:
        storage = self.storage
        answer: object = None
        match operation:
            case protocol.ListTokens():
                names = storage.list(self.folder)
                answer = [int(name) for name in names if _TOKEN.fullmatch(name)]
            case protocol.Read(token):
                try:
                    answer = storage.read(self._name(token))
                except (FileNotFoundError, IsADirectoryError):
                    answer = b""
            case protocol.Age(token):
                answer = self._age(token)
            case protocol.Create(token, content):
                answer = storage.create(self._name(token), content)
            case protocol.Write(token, content):
                storage.write(self._name(token), content)
            case protocol.Remove(token, None):
                storage.remove(self._name(token))
            case protocol.Remove(token, only) if only is not None:
                answer = storage.remove_only(self._name(token), only)
            case protocol.Pause(seconds):
                time.sleep(seconds)
        return answer

    def _age(self, token: int) -> float | None:
        try:
            return self.storage.age_s(self._name(token))
        except FileNotFoundError:
            return None

    def _name(self, token: int) -> str:
        return f"{self.folder}/{token:08d}"

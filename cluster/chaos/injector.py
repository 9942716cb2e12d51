"""`Injector`: in one process, strikes with the faults that are due, each once in all processes.

Before a fault strikes, a file of the root says so, created where there is none: who makes it
strikes. So a process that is started again does not meet the same fault again, and whoever looks
sees which faults were injected, into what.
"""

import json
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from threading import Lock, local

from cluster.chaos.areas import is_in_area
from cluster.chaos.fault import Moment, find_fault
from cluster.chaos.injection import Injection
from cluster.errors import DeltascaleError, SurroundingsError, UserError
from cluster.fault_points import striking
from cluster.storage import Storage

_PLAN = "plan.json"
_INJECTED = "injected"


@dataclass(frozen=True, kw_only=True)
class Injected:
    """A fault that was injected."""

    at: float
    """Seconds since the epoch, by the clock of the process that it struck."""
    number: int
    """Its number in the plan, from 1."""
    fault: str
    """The fault, as a user writes it."""
    place: Mapping[str, object]
    """What was known of the place: `point`, `file`, `step`, `attempt`, `rank`, `node`, …"""


class ChaosFolder:
    """What a root keeps of the faults of one `--chaos`: the plan, and what was injected of it."""

    def __init__(self, storage: Storage, folder: str) -> None:
        self.name = folder
        self._storage = storage

    def keep(self, injections: Sequence[Injection]) -> list[Injection]:
        """Write the plan unless there is one; return the one that is there."""
        text = json.dumps([injection.as_json() for injection in injections], indent=1)
        self._storage.create(f"{self.name}/{_PLAN}", text.encode())
        return self.plan()

    def plan(self) -> list[Injection]:
        """Return the faults of the plan. Raises SurroundingsError where it is damaged."""
        try:
            values = json.loads(self._storage.read(f"{self.name}/{_PLAN}"))
            plan = [Injection.of_json(value) for value in values]
            for injection in plan:
                find_fault(injection.name)
        except (ValueError, LookupError, TypeError, AssertionError, UserError) as error:
            raise SurroundingsError(
                f"{self.name}/{_PLAN} is damaged, or of another version of deltascale",
                where=self._storage.url,
                hint="choose another --chaos-seed",
            ) from error
        return plan

    def claim(self, injected: Injected) -> bool:
        """Take a fault: True for the one process that is to strike with it."""
        text = json.dumps({**injected.__dict__, "place": dict(injected.place)}, default=str)
        return self._storage.create(self._file(injected.number), text.encode(), syncs_names=False)

    def numbers(self) -> set[int]:
        """Return the numbers of the faults that were injected."""
        names = self._storage.list(f"{self.name}/{_INJECTED}")
        stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
        return {int(stem) for stem in stems if stem.isascii() and stem.isdigit()}

    def injected(self, number: int) -> Injected | None:
        """Return one that was injected; None where its file is damaged."""
        try:
            return Injected(**json.loads(self._storage.read(self._file(number))))
        except (ValueError, TypeError, FileNotFoundError):
            return None

    def _file(self, number: int) -> str:
        return f"{self.name}/{_INJECTED}/{number:04d}.json"


@dataclass
class _Due:
    """A fault that this process has not seen struck."""

    number: int
    injection: Injection
    times: int = 0
    """How often its moment came, in this process."""


@dataclass
class _Lasting:
    """A fault that has begun and goes on."""

    injection: Injection
    until: float


@dataclass
class Injector:
    """Strikes with what is due at the fault points of this process.

    Args:
        folder: where the root keeps the plan, and what was injected.
        who: whose process this is, `job` or `launch`.
        labels: what this place is called: a stage, a key.
        place: what else is known of it, for whoever reads what was injected.
        rank: which of how many processes that do one thing together this is.
        say: takes a line for whoever watches.
    """

    folder: ChaosFolder
    who: str
    labels: Sequence[str] = ()
    place: Mapping[str, object] = field(default_factory=dict)
    rank: tuple[int, int] = (0, 1)
    say: Callable[[str], None] = lambda text: _say(text)
    _due: list[_Due] = field(default_factory=list)
    _lasting: list[_Lasting] = field(default_factory=list)
    _lock: Lock = field(default_factory=Lock)
    _undoing: ExitStack = field(default_factory=ExitStack)
    _busy: local = field(default_factory=local)

    @contextmanager
    def armed(self, *, in_this_thread: bool = False) -> Iterator[None]:
        """Arm this process, or one thread, while the block runs, with the faults that are for it.

        Where the root does not say which faults there are, none strikes.
        """
        try:
            struck = self.folder.numbers()
            plan = self.folder.plan()
        except (DeltascaleError, OSError):
            struck, plan = set(), []
        self._due = [
            _Due(number, injection)
            for number, injection in enumerate(plan, start=1)
            if number not in struck and self._is_here(injection)
        ]
        if not self._due:
            yield
            return
        with ExitStack() as self._undoing, striking(self.strike, in_this_thread=in_this_thread):
            yield

    def _is_here(self, injection: Injection) -> bool:
        rank, num_ranks = self.rank
        # Of several processes one is struck; which one is drawn.
        return (
            self.who in injection.kind.WHO
            and injection.draw % num_ranks == rank
            and all(
                any(label == name or name.startswith(label) for name in self.labels)
                for label in injection.labels
            )
        )

    def strike(self, point: str, where: Mapping[str, object]) -> None:
        """Let strike what is due at a fault point. Raises what the fault raises."""
        if getattr(self._busy, "is_busy", False):
            return  # what is written about a fault meets none
        self._busy.is_busy = True
        try:
            chosen = self._choose(point, where)
        finally:
            self._busy.is_busy = False
        if chosen is not None:
            chosen.kind.strike(
                Moment(
                    point=point,
                    amount=chosen.amount,
                    words=chosen.words,
                    number=chosen.draw,
                    undo=self._undoing.callback,
                    where=where,
                )
            )

    def _choose(self, point: str, where: Mapping[str, object]) -> Injection | None:
        """Return the fault that strikes now: one that goes on, or the first that is due."""
        with self._lock:
            now = time.monotonic()
            self._lasting = [lasting for lasting in self._lasting if now < lasting.until]
            for lasting in self._lasting:
                if _goes_on(lasting.injection, point, where):
                    return lasting.injection
            for due in list(self._due):
                is_due = _is_at(due.injection, point, where) and self._is_time(due, where)
                if is_due and self._take(due, point, where):
                    return due.injection
        return None

    def _is_time(self, due: _Due, where: Mapping[str, object]) -> bool:
        due.times += 1
        step = where.get("step")
        return (step if isinstance(step, int) else due.times) >= due.injection.number

    def _take(self, due: _Due, point: str, where: Mapping[str, object]) -> bool:
        """Claim a fault; False where it is another's, or the claim cannot be written."""
        injection = due.injection
        known = {name: value for name, value in where.items() if not callable(value)}
        injected = Injected(
            at=time.time(),
            number=due.number,
            fault=injection.words,
            place={"point": point, **known, **self.place, "pid": os.getpid()},
        )
        try:
            is_ours = self.folder.claim(injected)
        except (DeltascaleError, OSError):
            return False  # a fault that cannot be counted is not injected
        self._due.remove(due)
        if is_ours:
            if injection.kind.LASTS and injection.amount > 0:
                until = time.monotonic() + injection.amount
                self._lasting.append(_Lasting(injection, until))
            self.say(f"chaos: injected {injection.words} here, on purpose")
        return is_ours


def _is_at(injection: Injection, point: str, where: Mapping[str, object]) -> bool:
    if injection.point == "step" and point == "publish" and injection.number == 1:
        return injection.area is None  # a job without steps: its end comes nearest
    return injection.point == point and _is_in(injection, where)


def _goes_on(injection: Injection, point: str, where: Mapping[str, object]) -> bool:
    return point in injection.kind.POINTS and _is_in(injection, where)


def _is_in(injection: Injection, where: Mapping[str, object]) -> bool:
    return injection.area is None or is_in_area(str(where.get("file", "")), injection.area)


def _say(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()

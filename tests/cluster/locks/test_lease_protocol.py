"""The protocol of a lease, as a machine: takers and holders in any order, on a storage that fails.

Every operation is done in two steps, its effect and its answer, and between any two steps anything
else may happen: others' steps, hours, crashes, answers that are lost, effects that come late,
objects that are not ours or damaged. Wall clocks jump at will; hosts' clocks differ by hours.
"""

from dataclasses import dataclass, field
from functools import partial
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from cluster.errors import SurroundingsError
from cluster.locks import lease_protocol as protocol
from cluster.locks.held import Occupied
from cluster.locks.holder import Holder
from cluster.locks.lease import LeaseLock
from cluster.locks.lease_protocol import Hold, Lease, Terms

TERMS = Terms()
FOREIGN = ("note.txt", "1", "000000001", "00000001.json", "٠٠٠٠٠٠٠٩", "", ".DS_Store", "-0000001")
GARBAGE = (b"", b"123", b"{", b"\xff", b'{"holder": 3}', b'{"released": "yes"}', b"[" * 5000)


@dataclass
class Store:
    """A root in memory, whose clock is its own."""

    now: float = 0.0
    tells_time: bool = True
    objects: dict[str, tuple[bytes, float]] = field(default_factory=dict)
    url: str = "store://"

    def list(self, folder: str) -> list[str]:
        return [name.removeprefix(f"{folder}/") for name in self.objects]

    def read(self, name: str) -> bytes:
        if name not in self.objects:
            raise FileNotFoundError(name)
        return self.objects[name][0]

    def write(self, name: str, data: bytes) -> None:
        self.objects[name] = data, self.now

    def create(self, name: str, data: bytes) -> bool:
        self.objects.setdefault(name, (data, self.now))
        return self.objects[name][0] == data

    def remove(self, name: str) -> None:
        self.objects.pop(name, None)

    def remove_only(self, name: str, data: bytes) -> bool:
        return name in self.objects and self.read(name) == data and not self.remove(name)

    def age_s(self, name: str) -> float | None:
        self.read(name)
        return self.now - self.objects[name][1] if self.tells_time else None


class Actor:
    """One process: its steps under way, what it waits for, and what it holds."""

    def __init__(self, number: int, offset: float) -> None:
        self.number, self.offset = number, offset
        self.steps: Any = None
        self.operation: Any = None
        self.answer: Any = None
        self.is_done = False  # whether the operation has had its effect
        self.tenure: protocol.Tenure | None = None
        self.outdone_by: set[int] = set()  # tokens of those who insisted since it took the lease
        self.outdone_before: set[int] = set()  # the same, when its renewal began
        self.num_launches = 0

    def begin(self, steps: Any) -> None:
        self.steps, self.outdone_before = steps, set(self.outdone_by)
        self.proceed(lambda: next(steps))

    def proceed(self, run: Any) -> None:
        """Let the steps run to their next operation; keep what they come to."""
        self.is_done, self.answer = False, None
        try:
            self.operation = run()
        except StopIteration as end:
            self.steps = None
            if end.value is not None:
                self.tenure = end.value
            elif self.tenure is not None and not self.tenure.is_lost:
                # Whoever insisted before this one looked was seen, unless it has gone again.
                self.outdone_by -= self.outdone_before
        except (Occupied, SurroundingsError):
            self.steps = None


some_actor = st.integers(0, 2)
num_steps = st.sampled_from([1, 2, 3, 4, 30, 30, 30, 30])
"""Mostly to the end; else anywhere in between."""


class Leases(RuleBasedStateMachine):
    """Three processes, one lease."""

    def __init__(self) -> None:
        super().__init__()
        self.time = 1000.0
        self.store = Store()
        self.lock = LeaseLock(self.store, "lock")  # type: ignore[arg-type]
        self.actors = [Actor(number, 1e6 * number) for number in range(3)]
        self.wall = 0.0
        self.late: list[Any] = []

    def clock(self, actor: Actor) -> Any:
        return lambda: self.time + actor.offset

    def moment(self) -> float:
        return self.wall

    def do(self, operation: Any) -> Any:
        self.store.now = self.time - 5e5
        if isinstance(operation, protocol.Pause):
            self.time += operation.seconds
            return None
        if isinstance(operation, protocol.Create):
            # Whoever insists outdoes all others as soon as its token stands.
            is_insisting = operation.content in self.insisting
            created = self.lock._answer(operation)
            if created and is_insisting:
                launch = Lease(operation.token, operation.content).holder.launch
                for actor in self.actors:
                    if not launch.startswith(f"{actor.number}-"):
                        actor.outdone_by.add(operation.token)
            return created
        return self.lock._answer(operation)

    insisting: frozenset[bytes] = frozenset()

    @rule(number=some_actor, count=num_steps, choice=st.integers(0, 5))
    def act(self, number: int, count: int, choice: int) -> None:
        """Let one process go on, or begin what it may: take the lease, renew it, give it up."""
        actor = self.actors[number]
        if actor.steps is None:
            self.begin(actor, choice)
        for _ in range(count):
            if actor.steps is None:
                return
            if not actor.is_done:
                actor.answer, actor.is_done = self.do(actor.operation), True
            actor.proceed(partial(actor.steps.send, actor.answer))

    act_too = act_as_well = act

    def begin(self, actor: Actor, choice: int) -> None:
        clock = self.clock(actor)
        if actor.tenure is None:
            actor.num_launches += 1
            actor.outdone_by.clear()
            launch = f"{actor.number}-{actor.num_launches}"
            holder = Holder(pid=1, host="host", launch=launch, since=0.0)
            insist = choice == 5
            steps = protocol.take(holder, TERMS, clock, self.moment, insist=insist, above=choice)
            actor.begin(self.noting(steps) if insist else steps)
        elif choice < 3:
            actor.begin(protocol.renew(actor.tenure, clock, self.moment))
        elif choice == 3:
            actor.begin(protocol.confirm(actor.tenure))
        else:
            actor.begin(protocol.release(actor.tenure, self.moment))
            actor.tenure = None  # it writes nothing from here on

    def noting(self, steps: Any) -> Any:
        """Pass steps on, and note what an insisting taker creates."""
        answer, fault = None, None
        while True:
            try:
                operation = steps.throw(fault) if fault else steps.send(answer)
            except StopIteration as end:
                return end.value
            if isinstance(operation, protocol.Create):
                self.insisting = self.insisting | {operation.content}
            try:
                answer, fault = (yield operation), None
            except SurroundingsError as error:
                answer, fault = None, error

    @rule(number=some_actor)
    def take_effect(self, number: int) -> None:
        """Let an operation have its effect; its answer comes later."""
        actor = self.actors[number]
        if actor.steps is not None and not actor.is_done:
            actor.answer, actor.is_done = self.do(actor.operation), True

    @rule(number=some_actor, what=st.sampled_from(["fails", "is late", "dies", "lose thread"]))
    def trouble(self, number: int, what: str) -> None:
        """Let the storage fail, or a process or its thread be killed, with an operation under way.

        The operation had its effect, or has it later, or never.
        """
        actor = self.actors[number]
        if actor.steps is not None and what != "fails" and not actor.is_done:
            self.late.append(actor.operation)
        if what in ("fails", "is late"):
            if actor.steps is not None:
                fault = SurroundingsError("the storage does not answer")
                actor.proceed(partial(actor.steps.throw, fault))
            return
        actor.tenure = actor.tenure if what == "lose thread" else None
        if actor.tenure is None or not isinstance(actor.operation, protocol.Create):
            actor.steps = None

    @precondition(lambda self: self.late)
    @rule(index=st.integers(0, 20))
    def come_late(self, index: int) -> None:
        self.do(self.late.pop(index % len(self.late)))

    @rule(seconds=st.sampled_from([0.5, 29.0, 45.0, 71.0, 91.0, 91.0, 91.0, 4000.0]))
    def wait(self, seconds: float) -> None:
        self.time += seconds

    @rule(
        moment=st.sampled_from([-1e9, 0.0, 1e10]),
        tells_time=st.booleans(),
        foreign=st.sampled_from(FOREIGN),
        garbage=st.sampled_from([None, None, None, *GARBAGE]),
        index=st.integers(0, 20),
    )
    def disturb(
        self, moment: float, tells_time: bool, foreign: str, garbage: bytes | None, index: int
    ) -> None:
        """Set the wall clocks, plant what is not ours, and damage what is."""
        self.wall, self.store.tells_time, self.store.now = moment, tells_time, self.time - 5e5
        self.store.write(f"lock/{foreign}", b"foreign")
        if garbage is not None:
            names = sorted(self.store.objects)
            self.store.write(names[index % len(names)], garbage)

    @invariant()
    def at_most_one_holds(self) -> None:
        sure = [
            actor.number
            for actor in self.actors
            if actor.tenure is not None
            and not actor.outdone_by
            and actor.tenure.state(self.time + actor.offset) is Hold.SURE
        ]
        assert len(sure) <= 1, f"{sure} hold one lease"

    def teardown(self) -> None:
        """Whatever happened, a lease that nobody renews is taken by the next who asks."""
        self.time += TERMS.expires_after_s + 1
        holder = Holder(pid=1, host="host", launch="last", since=0.0)
        steps = protocol.take(holder, TERMS, lambda: self.time, lambda: 0.0)
        answer = None
        while True:
            try:
                operation = steps.send(answer)
            except StopIteration as end:
                assert end.value.state(self.time) is Hold.SURE
                return
            answer = self.do(operation)


def machine(max_examples: int) -> Any:
    """Run the machine so often; failures are not made shorter, which would take minutes."""
    case = type("Case", (Leases.TestCase,), {})
    case.settings = settings(
        max_examples=max_examples,
        stateful_step_count=50,
        deadline=None,
        derandomize=True,
        database=None,
        phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    return case


TestLeases = machine(150)
TestLeasesForLong = pytest.mark.slow(machine(5000))

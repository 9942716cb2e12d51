"""`GangBoard`: where the ranks of one gang sign in and report, and read what they are to do.

The board runs as a small Ray actor. It holds no Ray objects, so that it can be tested without a
cluster.
"""

import time
from dataclasses import dataclass, field
from enum import Enum


class Order(Enum):
    """What a rank is to do; it reads this at every beat."""

    GO_ON = "go on"
    STOP = "stop"
    """Save your work and return."""
    LEAVE = "leave"
    """End the process: the call is over."""


@dataclass(frozen=True, kw_only=True)
class Seat:
    """Where one rank runs."""

    rank: int
    """Its number, from 0."""
    node: str
    """Address of its node."""
    node_id: str
    """Ray's id of that node; several nodes may share an address."""
    pid: int
    """Its process id."""

    def describe(self) -> str:
        """Return `rank 3 on 10.0.0.1 (pid 17)`, for messages."""
        return f"rank {self.rank} on {self.node} (pid {self.pid})"


@dataclass(frozen=True, kw_only=True)
class RankReport:
    """How one rank left the entry point."""

    rank: int
    """Its number."""
    answer: str | None = None
    """What it returned."""
    error: str | None = None
    """What it raised."""


@dataclass(frozen=True)
class Barred:
    """A node on which a gang cannot run."""

    node: str
    """Its address."""
    node_id: str
    """Ray's id of it."""
    why: str
    """What holds its devices."""


@dataclass(frozen=True, kw_only=True)
class GangSnapshot:
    """All that the board holds at one moment."""

    seats: dict[int, Seat] = field(default_factory=dict)
    """Ranks that signed in."""
    reports: tuple[RankReport, ...] = ()
    """Reports of ranks, in the order in which they came."""
    left: frozenset[int] = frozenset()
    """Ranks that have read the order to leave."""
    places: frozenset[str] = frozenset()
    """Ray's ids of the placement groups that reserve the resources of the ranks."""
    barred: Barred | None = None
    """The first node that cannot take its ranks; None where all can."""
    decided_s: float = 0.0
    """Seconds since the first report; 0 before."""
    grace_s: float = 40.0
    """How long the ranks of a cancelled call may save their work before they are ended."""

    @property
    def silent(self) -> list[int]:
        """Ranks that signed in and neither reported nor left."""
        accounted_for = {report.rank for report in self.reports} | self.left
        return sorted(set(self.seats) - accounted_for)

    @property
    def node_ids(self) -> frozenset[str]:
        """Ray's ids of the nodes."""
        return frozenset(seat.node_id for seat in self.seats.values())

    @property
    def nodes(self) -> str:
        """The nodes, each with its ranks where there are several nodes."""
        by_node: dict[str, list[str]] = {}
        for rank, seat in sorted(self.seats.items()):
            by_node.setdefault(seat.node, []).append(str(rank))
        if len(by_node) < 2:
            return next(iter(by_node), "")
        return ", ".join(f"{node} (ranks {' '.join(ranks)})" for node, ranks in by_node.items())


class GangBoard:
    """Messages between the ranks of one gang and its driver."""

    def __init__(self, num_ranks: int) -> None:
        self._num_ranks = num_ranks
        self._seats: dict[int, Seat] = {}
        self._reports: list[RankReport] = []
        self._left: set[int] = set()
        self._places: set[str] = set()
        self._barred: Barred | None = None
        self._first_report_at = 0.0
        self._order = Order.GO_ON
        self._secrets: dict[str, str] = {}
        self._grace_s = GangSnapshot.grace_s

    def lend(self, secrets: dict[str, str]) -> None:
        """Keep the variables that only the ranks may hold, by name."""
        self._secrets = secrets

    def secrets(self) -> dict[str, str]:
        """Return these variables."""
        return self._secrets

    def give(self, grace_s: float) -> None:
        """Note how long the ranks may save their work once they are asked to stop."""
        self._grace_s = grace_s

    def hold(self, placement_group: str) -> None:
        """Note the placement group that reserves the resources of a rank."""
        self._places.add(placement_group)

    def bar(self, barred: Barred) -> None:
        """Note a node on which the gang cannot run."""
        self._barred = self._barred or barred

    def sign_in(self, seat: Seat) -> None:
        """Note where a rank runs."""
        assert seat.rank not in self._seats, f"two ranks {seat.rank}"
        self._seats[seat.rank] = seat

    def seats(self) -> dict[int, Seat] | None:
        """Return where all ranks run, or None while one of them is missing."""
        return dict(self._seats) if len(self._seats) == self._num_ranks else None

    def beat(self, rank: int) -> Order:
        """Note that a rank lives, and return what it is to do."""
        if self._order is Order.LEAVE:
            self._left.add(rank)
        return self._order

    def report(self, report: RankReport) -> None:
        """Note how a rank left the entry point."""
        self._first_report_at = self._first_report_at or time.monotonic()
        self._reports.append(report)

    def order(self, order: Order) -> None:
        """Order something of all ranks; LEAVE is never taken back."""
        if self._order is not Order.LEAVE:
            self._order = order

    def look(self) -> GangSnapshot:
        """Return all that the board holds."""
        return GangSnapshot(
            seats=dict(self._seats),
            reports=tuple(self._reports),
            left=frozenset(self._left),
            places=frozenset(self._places),
            barred=self._barred,
            decided_s=time.monotonic() - self._first_report_at if self._reports else 0.0,
            grace_s=self._grace_s,
        )

"""`Board`: where the ranks of one gang sign in, report, and read what is asked of them.

It runs as a small Ray actor. It holds no Ray objects, so that what it says can be read, and tested,
without a cluster.
"""

import time
from dataclasses import dataclass, field
from enum import Enum


class Order(Enum):
    """What a rank is to do, as it is told at every beat."""

    GO_ON = "go on"
    STOP = "stop"
    """Save what there is and return."""
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
    """Ray's name of that node; several may share an address."""
    pid: int
    """Its process."""

    def described(self) -> str:
        """As people read it."""
        return f"rank {self.rank} on {self.node} (pid {self.pid})"


@dataclass(frozen=True, kw_only=True)
class Report:
    """How one rank left the entry point."""

    rank: int
    """Its number."""
    answer: str | None = None
    """What it returned."""
    error: str | None = None
    """What it raised."""


@dataclass(frozen=True, kw_only=True)
class Seen:
    """The board at one moment."""

    seats: dict[int, Seat] = field(default_factory=dict)
    """Ranks that signed in."""
    reports: tuple[Report, ...] = ()
    """In the order in which they came."""
    left: frozenset[int] = frozenset()
    """Ranks that were told to leave and heard it."""
    places: frozenset[str] = frozenset()
    """Ray's names of the placement groups that hold the place of the ranks."""
    decided_s: float = 0.0
    """Seconds since the first report; 0 before."""

    @property
    def silent(self) -> list[int]:
        """Ranks that signed in and neither reported nor left."""
        heard = {report.rank for report in self.reports} | self.left
        return sorted(set(self.seats) - heard)

    @property
    def node_ids(self) -> frozenset[str]:
        """Ray's names of the nodes."""
        return frozenset(seat.node_id for seat in self.seats.values())

    @property
    def nodes(self) -> str:
        """The nodes by rank, those of one node together."""
        by_node: dict[str, list[str]] = {}
        for rank, seat in sorted(self.seats.items()):
            by_node.setdefault(seat.node, []).append(str(rank))
        if len(by_node) < 2:
            return next(iter(by_node), "")
        return ", ".join(f"{node} (ranks {' '.join(ranks)})" for node, ranks in by_node.items())


class Board:
    """What the ranks of one gang and its driver say to each other."""

    def __init__(self, num_ranks: int) -> None:
        self._num_ranks = num_ranks
        self._seats: dict[int, Seat] = {}
        self._reports: list[Report] = []
        self._left: set[int] = set()
        self._places: set[str] = set()
        self._first_report_at = 0.0
        self._order = Order.GO_ON

    def hold(self, placement_group: str) -> None:
        """A rank that is being prepared says what holds its place."""
        self._places.add(placement_group)

    def sign_in(self, seat: Seat) -> None:
        """A rank says where it is."""
        assert seat.rank not in self._seats, f"two ranks {seat.rank}"
        self._seats[seat.rank] = seat

    def seats(self) -> dict[int, Seat] | None:
        """All ranks, or None while one of them is missing."""
        return dict(self._seats) if len(self._seats) == self._num_ranks else None

    def beat(self, rank: int) -> Order:
        """A rank shows that it lives, and is told what to do."""
        if self._order is Order.LEAVE:
            self._left.add(rank)
        return self._order

    def report(self, report: Report) -> None:
        """A rank has left the entry point."""
        self._first_report_at = self._first_report_at or time.monotonic()
        self._reports.append(report)

    def order(self, order: Order) -> None:
        """The driver asks something of all ranks; never less than before."""
        if self._order is not Order.LEAVE:
            self._order = order

    def look(self) -> Seen:
        """All of it."""
        return Seen(
            seats=dict(self._seats),
            reports=tuple(self._reports),
            left=frozenset(self._left),
            places=frozenset(self._places),
            decided_s=time.monotonic() - self._first_report_at if self._reports else 0.0,
        )

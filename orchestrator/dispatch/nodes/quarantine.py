"""`Quarantine`: which node fails different jobs, though others like them go well elsewhere; pure.

A node with a broken GPU, driver or disk ends each job within seconds, is free again before all
others, and so is given job after job. One failed job says little: it may be the job. Several do,
unless the job, or its whole stage, fails elsewhere, too: then it is the study. A mistake of the
study never counts.
"""

import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from cluster.fault_classes import FaultClass
from orchestrator.records.failure import FAILURES, MAYBE_OF_NODE, OF_ONE_NODE, Result
from orchestrator.text import duration

_NUM_JOBS = 2
"""Different jobs that must have failed on a node."""
_NUM_SEEN = 8
"""Latest endings on a node that are looked at: of them more than half must be such failures."""
_MOST_ELSEWHERE = 0.25
"""Largest share of failures among the endings of the same stage on other nodes."""
_FIRST_S = 600.0
_LONGEST_S = 8 * 3600.0


@dataclass(frozen=True, kw_only=True)
class NodeEnding:
    """How one attempt ended on one node, as far as it says something of the node."""

    key: str
    """Key of the job."""
    stage: str
    """Its stage."""
    fault_class: FaultClass | None
    """Whose fault it is that it failed; None where it went well."""


@dataclass(frozen=True, kw_only=True)
class Quarantined:
    """A node that gets no jobs for a while."""

    node: str
    """Its name."""
    since: float
    """When it began, in seconds since the epoch."""
    until: float
    """When it ends, in seconds since the epoch."""
    ends_at: float
    """The same, by the launch's clock."""
    why: str
    """What was seen, in a sentence."""

    def __str__(self) -> str:
        return (
            f"{'quarantined' if self.until > time.time() else 'back'}: node {self.node}: {self.why}"
        )


@dataclass(kw_only=True)
class _Node:
    """What is known of one node."""

    latest: deque[NodeEnding] = field(default_factory=lambda: deque(maxlen=_NUM_SEEN))
    """The latest endings, since the last quarantine ended."""
    num_times: int = 0
    """Quarantines in a row, with no job that went well between them."""
    sentence: Quarantined | None = None
    """The quarantine that it is in."""


class Quarantine:
    """The nodes of a launch that get no jobs because they failed different ones.

    Args:
        clock: gives seconds, from any beginning.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._nodes: dict[str, _Node] = {}

    def note(
        self, node: str, key: str, stage: str, result: Result, fault_class: FaultClass | None
    ) -> None:
        """Take in how an attempt at a job ended on a node."""
        known = self._nodes.setdefault(node, _Node())
        if result is Result.DONE:
            known.latest.append(NodeEnding(key=key, stage=stage, fault_class=None))
            if known.sentence is None:
                known.num_times = 0
        elif result in FAILURES and fault_class in OF_ONE_NODE | MAYBE_OF_NODE:
            known.latest.append(NodeEnding(key=key, stage=stage, fault_class=fault_class))

    def now(self) -> frozenset[str]:
        """Return the nodes that are in quarantine."""
        return frozenset(name for name, node in self._nodes.items() if node.sentence is not None)

    def review(self, is_enough: Callable[[frozenset[str]], bool]) -> Iterator[Quarantined]:
        """Let nodes go whose time is over, and take in those that fail different jobs.

        Args:
            is_enough: tells of some nodes whether the study can go on without them.

        Yields:
            What has changed; one that is over ends now.
        """
        for name in sorted(self.now()):
            node = self._nodes[name]
            assert node.sentence is not None
            if self._clock() >= node.sentence.ends_at:
                yield self._release(name, node, "its time is over: it gets jobs again")
        while self.now() and not is_enough(self.now()):
            name = min(self.now(), key=lambda name: self._ends_at(name))
            yield self._release(name, self._nodes[name], "no other node could hold the jobs left")
        for name, node in sorted(self._nodes.items()):
            why = "" if node.sentence else self._why_bad(name, node)
            if why and is_enough(self.now() | {name}):
                yield self._take(name, node, why)

    def _ends_at(self, name: str) -> float:
        sentence = self._nodes[name].sentence
        assert sentence is not None
        return sentence.ends_at

    def _take(self, name: str, node: _Node, why: str) -> Quarantined:
        seconds = min(_LONGEST_S, _FIRST_S * 2.0**node.num_times)
        node.num_times += 1
        now = time.time()
        node.sentence = Quarantined(
            node=name,
            since=now,
            until=now + seconds,
            ends_at=self._clock() + seconds,
            why=f"{why}; no jobs go there for {duration(seconds)}",
        )
        return node.sentence

    def _release(self, name: str, node: _Node, why: str) -> Quarantined:
        before, node.sentence = node.sentence, None
        assert before is not None
        node.latest.clear()
        return Quarantined(
            node=name, since=before.since, until=time.time(), ends_at=self._clock(), why=why
        )

    def _why_bad(self, name: str, node: _Node) -> str:
        """Say what speaks against a node; empty where too little does."""
        against = [ending for ending in node.latest if self._is_of_node(name, ending)]
        keys = {ending.key for ending in against}
        # One that was let go and has done nothing since is taken in again at its first failure.
        if len(keys) < (1 if node.num_times else _NUM_JOBS) or 2 * len(against) <= len(node.latest):
            return ""
        classes = sorted({ending.fault_class.value for ending in against if ending.fault_class})
        return f"{len(keys)} different jobs failed on it ({', '.join(classes)})" + (
            ", while jobs of the same stages went well elsewhere"
            if any(ending.fault_class in MAYBE_OF_NODE for ending in against)
            else ""
        )

    def _is_of_node(self, name: str, ending: NodeEnding) -> bool:
        """Tell whether a failure speaks against the node rather than the job or its stage."""
        if ending.fault_class is None:
            return False
        if ending.fault_class in OF_ONE_NODE:
            return True
        elsewhere = [
            other
            for other_name, node in self._nodes.items()
            if other_name != name
            for other in node.latest
            if other.stage == ending.stage and other.fault_class not in OF_ONE_NODE
        ]
        failed = [other for other in elsewhere if other.fault_class is not None]
        return (
            len(failed) < len(elsewhere)
            and len(failed) <= _MOST_ELSEWHERE * len(elsewhere)
            and all(other.key != ending.key for other in failed)
        )

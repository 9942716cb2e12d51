"""The jobs that could start now, by resources: choosing costs the same with 10 or 10,000 jobs."""

import heapq
from collections import Counter
from collections.abc import Callable, Sequence

from cluster.machine.resources import Resources
from orchestrator.dispatch.policy import Choice, Load, Offer, Priority, choose


class ReadyJobs:
    """Ready jobs, in order of priority among those that need equal resources (one shape)."""

    def __init__(self) -> None:
        self._heaps: dict[Resources, list[tuple[Priority, str]]] = {}
        self._passed: Counter[Resources] = Counter()

    def __len__(self) -> int:
        return sum(len(heap) for heap in self._heaps.values())

    def add(self, key: str, priority: Priority, resources: Resources) -> None:
        """Add a job that could start."""
        heapq.heappush(self._heaps.setdefault(resources, []), (priority, key))

    def remove(self, keys: frozenset[str]) -> None:
        """Remove jobs that will not start after all."""
        for shape, heap in self._heaps.items():
            self._heaps[shape] = [entry for entry in heap if entry[1] not in keys]
            heapq.heapify(self._heaps[shape])

    def take_all(self) -> list[str]:
        """Take out all jobs and return their keys: other machines may mean other resources."""
        keys = [key for heap in self._heaps.values() for _, key in sorted(heap)]
        self._heaps.clear()
        return keys

    def offers(self) -> list[Offer]:
        """Return the foremost ready job of each shape."""
        return [
            Offer(key=heap[0][1], priority=heap[0][0], resources=shape, passed=self._passed[shape])
            for shape, heap in self._heaps.items()
            if heap
        ]

    def take(
        self, load: Load, allows: Callable[[str, Resources], bool] = lambda key, resources: True
    ) -> str | None:
        """Take out the next job to submit and return its key; None when it is better to wait.

        Args:
            load: what there is, and what runs on it.
            allows: tells of a job and what it holds whether it may start.
        """
        offers = [offer for offer in self.offers() if allows(offer.key, offer.resources)]
        choice = choose(offers, load)
        if choice is None:
            return None
        self._note(choice)
        return heapq.heappop(self._heaps[choice.offer.resources])[1]

    def take_more(
        self, shape: Resources, most: int, *, fits: Callable[[str], bool]
    ) -> Sequence[str]:
        """Take out the jobs that would start next, while they need a shape and may go along.

        Args:
            shape: what they need.
            most: how many at most.
            fits: tells whether a job may go along.
        """
        first = min((o.priority for o in self.offers() if o.resources != shape), default=None)
        heap, keys = self._heaps.get(shape, []), list[str]()
        while len(keys) < most and heap and fits(heap[0][1]):
            if first is not None and first < heap[0][0]:
                break
            keys.append(heapq.heappop(heap)[1])
        return keys

    def num_of(self, shape: Resources) -> int:
        """Return the number of ready jobs that need a shape."""
        return len(self._heaps.get(shape, ()))

    def _note(self, choice: Choice) -> None:
        self._passed[choice.offer.resources] = 0
        if choice.passes is not None:
            self._passed[choice.passes.resources] += 1

"""`UpstreamFacts`: what kinds are told of other jobs of a plan when they predict and lay out a job.

That is what each upstream job asks for, and what those that are done left behind. Records are read
only where a kind looks.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar, overload

from jobs.artifacts.artifact import Record
from jobs.artifacts.job import Job
from jobs.kind import KINDS, Upstream
from jobs.training.planning.opened_models import bytes_put_together

T = TypeVar("T")
_MOST_FACTS = 64
"""Most done jobs of a kind whose facts are passed on: enough to correct a prediction by, at any
length of plan. They are taken evenly over the plan, so that every size of model is among them."""

Facts = Mapping[str, Any]
"""Facts in the record of a done job: small JSON, as its kind returned it."""


class UpstreamFacts:
    """Knows every job of a plan, and which of them are done."""

    def __init__(
        self, jobs: Mapping[str, Job], find_record: Callable[[Job], Record | None]
    ) -> None:
        self._jobs = jobs
        self._find_record = find_record
        self._records: dict[str, Record] = {}
        self._done: dict[str, list[str]] = {}

    def add_done(self, job: Job) -> None:
        """Note that a job is done; its record is looked up where a kind asks for it."""
        self._done.setdefault(job.kind, []).append(job.key)

    def inputs(self, job: Job) -> Mapping[str, Upstream]:
        """Return what is known of the jobs that a job reads, the first under each name."""
        keys = {name: refs[0].key for name, refs in job.inputs.items() if refs}
        return _Inputs(self, {name: key for name, key in keys.items() if key in self._jobs})

    def facts(self, kind: str) -> Sequence[Facts]:
        """Return the facts of done jobs of a kind; empty facts for one whose record is gone."""
        return _FactsOnDemand(self, evenly_spaced(self._done.get(kind, []), _MOST_FACTS))

    def upstream(self, key: str) -> Upstream:
        """Return what is known of one job."""
        job, record = self._jobs[key], self.record(key)
        files = record.files if record else {}
        return Upstream(
            kind=job.kind,
            params=job.params,
            facts=record.facts if record else None,
            files={name: entry.bytes for name, entry in files.items()},
            inputs=self.inputs(job),
        )

    def record(self, key: str) -> Record | None:
        """Return the record of a job; None while it is not done."""
        record = self._records.get(key) or self._find_record(self._jobs[key])
        if record is not None:
            self._records[key] = record
        return record

    def expected_bytes(self, job: Job) -> int | None:
        """Return the most bytes that a job will leave behind; None where its kind cannot tell."""
        kind = KINDS.find(job.kind)
        params = job.params_as(kind.Params)
        return self.ask(lambda known: kind.expected_bytes(params, known.inputs(job)))

    def temporary_bytes(self, job: Job) -> int:
        """Return the most bytes that a job puts into the temp folder of a node to open models."""
        kinds = {ref.kind for refs in job.inputs.values() for ref in refs}
        if not any(KINDS.find(kind).REFERS for kind in kinds):
            return 0
        kind = KINDS.find(job.kind)
        return self.ask(lambda known: bytes_put_together(kind, known.inputs(job)))

    def ask(self, question: "Callable[[UpstreamFacts], T]") -> T:
        """Let a kind predict from what is known; from params alone where facts are not as they are.

        A record may be damaged inside its facts, or of a version that wrote others.
        """
        try:
            return question(self)
        except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError):
            return question(UpstreamFacts(self._jobs, lambda job: None))


def evenly_spaced(keys: Sequence[str], at_most: int) -> Sequence[str]:
    """Return every n-th key, with the smallest n that leaves no more than `at_most`."""
    return keys[:: max(1, math.ceil(len(keys) / at_most))]


class _FactsOnDemand(Sequence[Facts]):
    """Facts of jobs, each read from its record when it is first looked at."""

    def __init__(self, upstream: UpstreamFacts, keys: Sequence[str]) -> None:
        self._upstream = upstream
        self._keys = keys

    @overload
    def __getitem__(self, index: int) -> Facts: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[Facts]: ...
    def __getitem__(self, index: int | slice) -> Facts | Sequence[Facts]:
        if isinstance(index, slice):
            return _FactsOnDemand(self._upstream, self._keys[index])
        record = self._upstream.record(self._keys[index])
        return record.facts if record else {}

    def __len__(self) -> int:
        return len(self._keys)


class _Inputs(Mapping[str, Upstream]):
    """Inputs by name, each looked up when it is first asked for."""

    def __init__(self, upstream: UpstreamFacts, keys: Mapping[str, str]) -> None:
        self._upstream = upstream
        self._keys = keys
        self._inputs: dict[str, Upstream] = {}

    def __getitem__(self, name: str) -> Upstream:
        if name not in self._inputs:
            self._inputs[name] = self._upstream.upstream(self._keys[name])
        return self._inputs[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

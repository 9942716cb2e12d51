"""What is known of the jobs of a plan: what each asks for, and what those that are done left.

Kinds are told it in `expected_bytes` and `fit`. Records are read only where a kind looks.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jobs.artifacts.artifact import Record
from jobs.artifacts.job import Job
from jobs.kind import Upstream

_MOST_TOLD = 64
"""Done jobs of a kind whose facts are told: enough to correct a prediction by, at any length of
plan. They are taken evenly over the plan, so that every size of model is among them."""


class UpstreamFacts:
    """Knows every job of a plan, and which of them are done."""

    def __init__(
        self, jobs: Mapping[str, Job], find_record: Callable[[Job], Record | None]
    ) -> None:
        self._jobs = jobs
        self._find_record = find_record
        self._records: dict[str, Record] = {}
        self._done: dict[str, list[str]] = {}

    def done(self, job: Job, record: Record | None = None) -> None:
        """It is done; its record is looked up when asked for, unless it is at hand."""
        self._done.setdefault(job.kind, []).append(job.key)
        if record is not None:
            self._records[job.key] = record

    def inputs(self, job: Job) -> Mapping[str, Upstream]:
        """What a job reads."""
        keys = {name: refs[0].key for name, refs in job.inputs.items() if refs}
        return _Inputs(self, {name: key for name, key in keys.items() if key in self._jobs})

    def facts(self, kind: str) -> Sequence[Mapping[str, Any]]:
        """Facts of done jobs of a kind; none of one whose record is gone."""
        keys = self._done.get(kind, [])
        return _Facts(self, keys[:: -(-len(keys) // _MOST_TOLD) or 1])

    def upstream(self, key: str) -> Upstream:
        """What is told of one job."""
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
        """What a job left; None while it is not done."""
        found = self._records.get(key) or self._find_record(self._jobs[key])
        if found is not None:
            self._records[key] = found
        return found


class _Facts(Sequence[Mapping[str, Any]]):
    """Facts of jobs, read from their records where somebody looks."""

    def __init__(self, knowledge: UpstreamFacts, keys: Sequence[str]) -> None:
        self._knowledge = knowledge
        self._keys = keys

    def __getitem__(self, at: Any) -> Any:
        if isinstance(at, slice):
            return _Facts(self._knowledge, self._keys[at])
        record = self._knowledge.record(self._keys[at])
        return record.facts if record else {}

    def __len__(self) -> int:
        return len(self._keys)


class _Inputs(Mapping[str, Upstream]):
    """Inputs by name, each looked up when it is first asked for."""

    def __init__(self, knowledge: UpstreamFacts, keys: Mapping[str, str]) -> None:
        self._knowledge = knowledge
        self._keys = keys
        self._found: dict[str, Upstream] = {}

    def __getitem__(self, name: str) -> Upstream:
        if name not in self._found:
            self._found[name] = self._knowledge.upstream(self._keys[name])
        return self._found[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._keys)

    def __len__(self) -> int:
        return len(self._keys)

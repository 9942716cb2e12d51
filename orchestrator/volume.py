"""How many bytes the jobs of a plan may still leave behind, as far as their kinds can tell."""

from collections.abc import Mapping

from jobs import lookup
from jobs.artifact import Record
from jobs.job import Job
from jobs.kind import Upstream, expected_bytes_of


class Volume:
    """Asks kinds, upstream first, what jobs will leave; knows what done ones left."""

    def __init__(self, jobs: Mapping[str, Job]) -> None:
        self._jobs = jobs
        self._records: dict[str, Record] = {}
        self._known: dict[str, Upstream] = {}

    def done(self, job: Job, record: Record) -> None:
        """What a job left; tell it before those that read it are asked about."""
        self._records[job.key] = record

    def expected(self, job: Job) -> int | None:
        """Most bytes that a job will leave; None where that is not known."""
        kind = lookup.find("kinds", job.kind)
        if not hasattr(kind, "expected_bytes"):
            return None
        inputs = self._upstream(job.key).inputs
        return expected_bytes_of(kind, kind.Params(**job.params), inputs)

    def _upstream(self, key: str) -> Upstream:
        found = self._known.get(key)
        if found is None:
            job, record = self._jobs[key], self._records.get(key)
            files = record.files if record else {}
            found = self._known[key] = Upstream(
                kind=job.kind,
                params=job.params,
                facts=record.facts if record else None,
                files={name: entry.bytes for name, entry in files.items()},
                inputs={
                    name: self._upstream(refs[0].key) for name, refs in job.inputs.items() if refs
                },
            )
        return found

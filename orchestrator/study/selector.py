"""Selectors: the one way to point at jobs on the command line.

stage                         all jobs of a stage
stage:axis=value,value        those whose axis has one of the values
stage:axis=value:axis=value   and that on another axis, too
axis=value                    jobs of any stage
stage[axis=value,axis=value]  a job as it is shown everywhere; or with fewer axes, as above
3f9a                          jobs whose key starts with this (4 hex digits or more)
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from cluster.errors import UserError, unknown_name
from jobs.artifacts.job import Job
from orchestrator.study.names import value_name
from orchestrator.study.study_file import parse_scalar

_KEY = re.compile(r"[0-9a-f]{4,64}")
_LABEL = re.compile(r"([^][:=]+)\[(.*)\]")
_NEXT_AXIS = re.compile(r",(?=[^,=]+=)")


@dataclass(frozen=True, kw_only=True)
class Selector:
    """The jobs that one selector chooses."""

    text: str
    """As the user wrote it."""
    stage: str | None = None
    """Stage, when given."""
    values: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Axis -> accepted names of values."""
    key: str | None = None
    """First digits of the key, when given."""

    def matches(self, job: Job) -> bool:
        """Tell whether the selector chooses this job."""
        return (
            (self.key is None or job.key.startswith(self.key))
            and (self.stage is None or job.stage == self.stage)
            and all(job.cell.get(axis) in names for axis, names in self.values.items())
        )


def parse_selector(text: str, jobs: Sequence[Job]) -> Selector:
    """Read a selector against the jobs it may choose from.

    Raises UserError when it does not parse or names what no job has.
    """
    stages = list(dict.fromkeys(job.stage for job in jobs))
    for job in jobs:
        if job.label == text.strip():
            cell = {axis: frozenset({name}) for axis, name in job.cell.items()}
            return Selector(text=text, stage=job.stage, values=cell)
    label = _LABEL.fullmatch(text.strip())
    if label is None and "[" in text and "]" not in text:
        raise UserError(
            f"the bracket of {text!r} is not closed",
            where=f"selector {text!r}",
            hint=f"close the bracket: {text.strip() + ']'!r}",
        )
    parts = [label[1], *_NEXT_AXIS.split(label[2])] if label else text.split(":")
    first, *rest = [part.strip() for part in parts]
    if "=" in first:
        return Selector(text=text, values=_values([first, *rest], text, jobs))
    if first in stages:
        chosen = [job for job in jobs if job.stage == first]
        return Selector(text=text, stage=first, values=_values(rest, text, chosen))
    if _KEY.fullmatch(first) and not rest:
        return Selector(text=text, key=first)
    raise unknown_name("stage", first, stages, where=f"selector {text!r}")


def select(jobs: Sequence[Job], *texts: str) -> list[Job]:
    """Return the jobs that any of the selectors chooses, in their order; all without a selector.

    Raises UserError when a selector chooses no job.
    """
    if not texts:
        return list(jobs)
    selectors = [parse_selector(text, jobs) for text in texts]
    for selector in selectors:
        if not any(selector.matches(job) for job in jobs):
            raise UserError(
                f"the selector {selector.text!r} chooses no job",
                where=f"selector {selector.text!r}",
                allowed=None if selector.key else sorted({job.label for job in jobs})[:20],
                hint="stage:axis=value,value, axis=value, or the start of a key",
                code="unknown-job",
            )
    return [job for job in jobs if any(selector.matches(job) for selector in selectors)]


def _values(parts: Sequence[str], text: str, jobs: Sequence[Job]) -> dict[str, frozenset[str]]:
    where = f"selector {text!r}"
    values: dict[str, frozenset[str]] = {}
    for part in parts:
        axis, equals, names = part.partition("=")
        if not equals or not names:
            raise UserError(
                f"{part!r} is not axis=value", where=where, hint="stage:axis=value,value:axis=value"
            )
        if axis in values:
            raise UserError(f"the axis {axis!r} is named twice", where=where)
        values[axis] = frozenset(_value(axis, name, where, jobs) for name in names.split(","))
    return values


def _value(axis: str, written: str, where: str, jobs: Sequence[Job]) -> str:
    """Return the name of a value; a number may be written in any way that a study file allows."""
    axes = {name for job in jobs for name in job.cell}
    if axis not in axes:
        raise unknown_name("axis", axis, axes, where=where)
    names = {job.cell[axis] for job in jobs if axis in job.cell}
    for name in (written, value_name(parse_scalar(written))):
        if name in names:
            return name
    raise unknown_name(f"value of axis {axis!r}", written, names, where=where)

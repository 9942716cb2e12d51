"""What a job leaves that found nothing to do and did nothing wrong, and what reads such a job.

A threshold that training never reached has no model. The job that looked for it is done, with the
reason as the fact `absent`; so is whatever reads it, and tables show the reason.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jobs.worker.work import GatheredInput, Work

ABSENT = "absent"
"""Fact of a done job: why it left nothing that others could read."""


def absence(facts: Mapping[str, Any]) -> str | None:
    """Return why a done job left nothing to read; None where it did."""
    reason = facts.get(ABSENT)
    return reason if isinstance(reason, str) else None


def present(
    inputs: Mapping[str, Sequence[GatheredInput]], spared: Collection[str]
) -> Mapping[str, Sequence[GatheredInput]]:
    """Return the inputs of a job, less those that left nothing and that it can do without."""
    return {
        name: group
        for name, group in inputs.items()
        if name not in spared or not any(absence(one.artifact.facts) for one in group)
    }


def absence_of_inputs(work: Work) -> str | None:
    """Return why there is nothing to do for a job: what it reads left nothing; else None."""
    return next(
        (
            reason
            for group in work.inputs.values()
            for one in group
            if (reason := absence(one.artifact.facts)) is not None
        ),
        None,
    )

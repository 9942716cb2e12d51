"""Kind `compare`: gathers what other jobs measured into tables and figures across sizes."""

from collections.abc import Mapping, Sequence
from typing import Any

from cluster.resources import Resources
from jobs.comparing.measuring_kinds import measuring_kinds
from jobs.comparing.view import View as Params
from jobs.kind import Input
from jobs.worker.work import Work

__all__ = ["Params"]

VERSION = 2
INPUTS = {"gathered": Input(kinds=frozenset(measuring_kinds()))}
GATHERS = True
USES_TORCH = False


def uses(params: Params) -> frozenset[str]:
    """Everything gathered."""
    return frozenset(INPUTS)


def axes_named(params: Params) -> Mapping[str, Sequence[str]]:
    """Axes that lay the table out; `seeds` may name one that a study does without."""
    named = {"rows": params.rows, "columns": params.columns or ()}
    return {param: [axis for axis in axes if axis != "model"] for param, axes in named.items()}


def pins(params: Params, known: Mapping[str, str]) -> Mapping[str, str]:
    """It names nothing outside."""
    return {}


def resources(params: Params) -> Resources:
    """One core."""
    return Resources(num_cpus=1)


def run(work: Work) -> dict[str, Any]:
    """Write the long table, the comparison, the scaling table and the figures."""
    from jobs.comparing.gathering import Source, collect
    from jobs.comparing.output_files import write_views

    sources = [
        Source(stage=found.stage, cell=found.cell, artifact=found.artifact)
        for refs in work.inputs.values()
        for found in refs
    ]
    work.progress(None, f"reading {len(sources)} measurements")
    comparison = collect(sources)
    work.progress(None, "writing tables and figures")
    write_views(comparison, work.params, work.folder)
    return {"num_measurements": len(comparison.gathered), "num_jobs": len(sources)}

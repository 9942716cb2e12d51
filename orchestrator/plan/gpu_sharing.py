"""A part of a GPU for a job that leaves most of it free, where its study lets it share."""

from collections.abc import Sequence
from dataclasses import replace

from cluster.machine.resources import Resources
from jobs.forecast.gpu_job import CONTEXT_GB, USABLE, nodes_with, smallest_gpu_gb
from jobs.kind import Fit

MARGIN = 1.2
"""Memory of a part over what the job is expected to take: a forecast is no measurement."""
MOST = 8
"""Jobs of one GPU: they take turns at computing, and each has a context of its own."""


def share(fit: Fit, machines: Sequence[Resources]) -> Fit:
    """Give a job of one GPU an equal part of it, the smallest of halves, thirds, … that holds it.

    The job stays alone where that is less than a half, or the memory of a GPU is not known, or how
    long the job will take: then not what it reads either. Keys hold neither.
    """
    card_gb, peak_gb = smallest_gpu_gb(nodes_with(machines, 1)), fit.peak_memory_gb
    if fit.hours is None:
        return fit
    if fit.resources.num_gpus != 1 or fit.resources.num_ranks > 1 or not card_gb or not peak_gb:
        return fit
    needed_gb = MARGIN * peak_gb / USABLE + CONTEXT_GB
    jobs = min(MOST, int(card_gb / needed_gb))
    if jobs < 2:
        why = f"{fit.why}; alone: a part of {needed_gb:.3g} GB is more than half of {card_gb:g} GB"
        return replace(fit, why=why)
    part = int(1e4 / jobs) / 1e4
    return replace(
        fit,
        resources=replace(fit.resources, num_gpus=part),
        execution={"num_gpus": part},
        why=f"{fit.why}; {jobs} on one GPU: each needs {needed_gb:.3g} of {card_gb:g} GB",
    )

"""Which numbers may be refused for want of prompts, said before anything is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from analysis.estimates.local_dimension import dimensions_told

LEAST_SHARE = 0.1
"""Prompts over dimensions above which no effective rank was refused, of flat to steep spectra."""
MOST_COMPONENTS = 0.9
"""Components that hold 90 % of the variance, over d, where all directions are alike."""
ROWS_EACH = 1.5
"""Independent rows that it takes to count one component. With fewer the last ones are hardly seen:
256 rows in clusters read 184 components of 256 dimensions a tenth too high, 64 rows 40 of 64."""
OVERLAP_SHARE = 8
"""Prompts over dimensions from which on subspaces of most spectra are told well enough."""


def forewarn(metric: str, num_prompts: int, dimension: int) -> str | None:
    """Say that a metric may be refused as `too_few_rows`; None where it will not be, or never is.

    Args:
        metric: name of the metric.
        num_prompts: prompts that are measured, of one row or more.
        dimension: d, the width of a row.
    """
    warn = _WARNINGS.get(metric)
    return warn(num_prompts, dimension) if warn else None


def _components(num_prompts: int, dimension: int) -> str | None:
    most = round(MOST_COMPONENTS * dimension)
    if num_prompts >= ROWS_EACH * most:
        return None
    return (
        f"components_90 may be refused: of {dimension} dimensions up to {most} may be needed, and "
        f"{num_prompts} prompts tell up to about {num_prompts / ROWS_EACH:.0f}"
    )


def _effective_rank(num_prompts: int, dimension: int) -> str | None:
    least = round(LEAST_SHARE * dimension)
    if num_prompts >= least:
        return None
    return (
        f"effective_rank may be refused: {num_prompts} prompts for {dimension} dimensions; from "
        f"about {least} prompts on it was not"
    )


def _overlap(num_prompts: int, dimension: int) -> str | None:
    least = OVERLAP_SHARE * dimension
    if num_prompts >= least:
        return None
    return (
        f"subspace_overlap may be refused: it takes about {least} prompts to tell the leading "
        f"subspace of {dimension} dimensions, and there are {num_prompts}"
    )


def _intrinsic_dimension(num_prompts: int, dimension: int) -> str | None:
    told = dimensions_told(num_prompts)
    if told >= dimension:
        return None
    return (
        f"intrinsic_dimension may be refused: {num_prompts} prompts mostly tell up to {told} of at "
        f"most {dimension} dimensions"
    )


_WARNINGS: Mapping[str, Callable[[int, int], str | None]] = {
    "components_90": _components,
    "effective_rank": _effective_rank,
    "intrinsic_dimension": _intrinsic_dimension,
    "subspace_overlap": _overlap,
}

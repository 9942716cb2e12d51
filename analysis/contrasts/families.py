"""Which differences are looked at together, so that an adjusted p value does not depend on a view.

A family is one metric in one stage of a study, and never what happens to be shown:

- **stage**: the stage whose jobs measured both sides (of a contrast with the base, the other side),
  whichever of them is taken from the other;
- **cells**: all cells of the stage that both sides have, every model and condition;
- **contrasts**: where the contrast is one that the study's `compare` stage declares, all that it
  declares; of one that was only asked for, every pair of values of its axis (or every value against
  the base, where it is against that): who looks for a pair has looked at all of them;
- **places**: the study's place (site, position and depth of its `compare` stage, both centrings)
  where that is what is shown; elsewhere every place that was measured.

So what a study says beforehand costs little, and looking around costs what it must.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow.compute as pc

from analysis.contrasts.cells import (
    Cells,
    Pair,
    at_shared_depths,
    axes_of_models,
    blank_label,
    labels_on,
)
from analysis.contrasts.contrast import Contrast, every_pair
from analysis.contrasts.contrasted import Contrasted, contrasted
from analysis.contrasts.differences import LEVEL, Numbers, holm
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import to_rows
from analysis.long_table.query import LongTable
from analysis.long_table.selection import Selection
from analysis.measurement import Row, Scalar

STUDY = "study"
"""Axis of several studies: each has its own families."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Asked:
    """What is asked of one metric."""

    measured: LongTable
    """All its measurements."""
    place: Selection
    """The study's own place."""
    shown: Selection
    """The place that is shown."""
    declared: Sequence[Contrast]
    """Contrasts that the study declares."""
    seeds: str | None
    """Axis that is averaged over."""
    stages: Mapping[str, Sequence[str]]
    """Key of a job -> the stages that it is of."""
    circumstances: Mapping[str, Circumstances]
    """Key of a job -> circumstances of its measurements."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Judged:
    """The differences of one contrast in one metric, each with its family."""

    of: Contrasted
    """The differences of the families."""
    stages: Sequence[str]
    """Stage of each pair."""
    place_of: Mapping[int, int]
    """Place of a pair -> place of its difference; refused pairs have none."""
    low: Numbers
    """Lower ends of 95 % intervals."""
    high: Numbers
    """Upper ends."""
    p_values: Numbers
    """Two-sided p values."""
    adjusted: Numbers
    """Those adjusted for their families."""
    sizes: Numbers
    """Differences in the family of each."""
    visible: Numbers
    """The smallest difference that its family's first step would see, with 80 % chance."""
    shown: Sequence[int]
    """Places of the pairs that are shown."""
    why_none: str
    """Why no cell has both sides of the contrast, in words; empty where one has."""


def judged(asked: Asked, contrast: Contrast) -> Judged:
    """Return the differences of a contrast, adjusted for their families."""
    place, shown = (_resolved(asked.measured, s) for s in (asked.place, asked.shown))
    is_at_place = _is_same_place(place, shown)
    rows = asked.measured.select(place) if is_at_place else to_rows(asked.measured.columns)
    contrasts, models = _looked_at(asked, contrast, rows), axes_of_models(rows)
    by_axis = {
        axis: Cells.of(
            at_shared_depths(rows) if axis in models and not is_at_place else rows,
            axis,
            asked.seeds,
        )
        for axis in dict.fromkeys(each.axis for each in contrasts)
    }
    pairs = [
        pair
        for axis, cells in by_axis.items()
        for pair in cells.pairs([each for each in contrasts if each.axis == axis])
    ]
    has_pair = any(pair.contrast == contrast for pair in pairs)
    of = contrasted(pairs, asked.circumstances)
    stages = [_stage(pair, asked.stages) for pair in pairs]
    families = [(stages[at], pairs[at].place.get(STUDY)) for at in of.places]
    p_values = of.differences.p_values
    adjusted, sizes = np.full(len(p_values), np.nan), np.zeros(len(p_values))
    for family in set(families):
        inside = np.array([each == family for each in families])
        adjusted[inside] = holm(p_values[inside])
        sizes[inside] = np.isfinite(p_values[inside]).sum()
    return Judged(
        of=of,
        stages=stages,
        place_of={at: index for index, at in enumerate(of.places)},
        low=of.differences.low(),
        high=of.differences.high(),
        p_values=p_values,
        adjusted=adjusted,
        sizes=sizes,
        visible=of.differences.smallest_visible(LEVEL / np.maximum(sizes, 1)),
        shown=_shown(asked, contrast, pairs, None if is_at_place else shown),
        why_none="" if has_pair else by_axis[contrast.axis].why_apart(contrast),
    )


def _looked_at(asked: Asked, contrast: Contrast, rows: Sequence[Row]) -> list[Contrast]:
    """Return the contrasts of the families, the one asked for as it was written."""
    ends = {contrast.first, contrast.second}

    def is_asked(other: Contrast) -> bool:
        return other.axis == contrast.axis and {other.first, other.second} == ends

    if any(map(is_asked, asked.declared)):
        looked_at = list(asked.declared)
    else:
        axis, blank = contrast.axis, blank_label(contrast.axis)
        labels = [label for label in sorted(labels_on(rows, axis)) if label != blank]
        looked_at = (
            [Contrast(axis=axis, first=label, second=blank) for label in labels]
            if blank in ends
            else every_pair(axis, labels)
        )
    return [contrast, *(other for other in looked_at if not is_asked(other))]


def _shown(
    asked: Asked, contrast: Contrast, pairs: Sequence[Pair], elsewhere: Selection | None
) -> list[int]:
    """Return places of the pairs of a contrast that a view shows."""
    of_contrast = [at for at, pair in enumerate(pairs) if pair.contrast == contrast]
    if elsewhere is None:
        return of_contrast
    at_place = {_identity(row) for row in asked.measured.select(elsewhere)}

    def is_there(pair: Pair) -> bool:
        return all(
            any(_identity(row) in at_place for row in side.values())
            for side in (pair.first, pair.second)
        )

    return [at for at in of_contrast if is_there(pairs[at])]


def _identity(row: Row) -> tuple[Scalar, ...]:
    return tuple(row[name] for name in ("key", "layer", "site", "position", "centred"))


def _resolved(measured: LongTable, selection: Selection) -> Selection:
    """Return where a metric is read: where it is not measured at that site, the first where it is.

    What is shown of the axes is no part of it.
    """
    known = measured.columns.filter(pc.is_valid(measured.columns["value"]))
    numbers = LongTable(columns=known) if len(known) else measured
    sites = {row["site"] for row in numbers.distinct("site")}
    site = selection.site if selection.site in sites else None
    return numbers.resolved(replace(selection, where={}, site=site))


def _is_same_place(place: Selection, shown: Selection) -> bool:
    names = ("site", "position", "depths")
    return all(getattr(place, name) == getattr(shown, name) for name in names)


def _stage(pair: Pair, stages: Mapping[str, Sequence[str]]) -> str:
    """Return the stage that measured both sides of a pair, whichever comes first.

    Where none did, it is that of the side that is not the base. A number read at a dose has keys
    of several jobs: those that measured the number itself come before those of the dose, and are
    no fewer than those of the base.
    """
    blank = blank_label(pair.contrast.axis)
    sides = [pair.second, pair.first] if pair.contrast.first == blank else [pair.first, pair.second]
    own, other = (_stages_of(side.values(), stages) for side in sides)
    known = [stage for stage in own if stage in other]
    if not known:
        known = own if blank in (pair.contrast.first, pair.contrast.second) else [*own, *other]
    if any(" " in str(row["key"]) for row in sides[0].values()):
        return max(dict.fromkeys(known or other), key=known.count, default="")
    return min(known or other, default="")


def _stages_of(rows: Iterable[Row], stages: Mapping[str, Sequence[str]]) -> list[str]:
    """Return the stages of all jobs behind rows, one for each job and stage, in their order."""
    keys = (key for row in rows for key in str(row["key"]).split())
    return [stage for key in keys for stage in sorted(stages.get(key, ()))]

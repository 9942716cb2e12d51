"""Contract of a metric over an answer, and the door to its entries.

A metric of activations or predictions is measured at one token; a metric over an answer summarises
how such a number changes with the depth of the token: `response-0`, `response-1`, and so on. It is
one file in `over_answer/`, and its values are named after it and what it summarises:
`half_depth_token_kl`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar

import numpy as np
from jaxtyping import Float64

from analysis.door import Door
from analysis.measurement import Range

if TYPE_CHECKING:
    from analysis.estimates.evaluation import Measured
    from analysis.measurement import Measurement


@dataclass(frozen=True, kw_only=True, eq=False)
class AnswerProfile:
    """A number at several tokens of answers, and at their first token on the same prompts.

    Fewer and fewer answers reach a depth, and long ones may differ from short ones everywhere: a
    number at a depth is held against the first token of those answers that reach it.
    """

    quantity: str
    """Name of the number."""
    depths: tuple[int, ...]
    """Tokens of the answer before the one that the number is of, ascending from 0."""
    values: Float64[np.ndarray, "depths leave"]
    """The number at each depth: of all prompt groups, then without each."""
    starts: Float64[np.ndarray, "depths leave"]
    """The same at depth 0, of the answers that reach the depth."""
    counts: Float64[np.ndarray, " groups"]
    """Rows of each prompt group at depth 0."""
    groups: tuple[int, ...]
    """Numbers of these groups."""
    num_rows: tuple[int, ...]
    """Rows at each depth."""
    num_groups: tuple[int, ...]
    """Prompt groups with rows at each depth."""

    @property
    def shares(self) -> Float64[np.ndarray, "depths leave"]:
        """What is left at each depth, as a share of the first token; NaN where that is 0."""
        nothing = np.full(self.values.shape, np.nan)
        return np.asarray(np.divide(self.values, self.starts, out=nothing, where=self.starts > 0))

    def where_groups_are(self, least: int) -> AnswerProfile:
        """Return the profile of the depths that answers of so many prompt groups reach."""
        kept = [n for n, number in enumerate(self.num_groups) if number >= least or n == 0]
        return AnswerProfile(
            quantity=self.quantity,
            depths=tuple(self.depths[n] for n in kept),
            values=self.values[kept],
            starts=self.starts[kept],
            counts=self.counts,
            groups=self.groups,
            num_rows=tuple(self.num_rows[n] for n in kept),
            num_groups=tuple(self.num_groups[n] for n in kept),
        )


class AnswerMetric(ABC):
    """A number of a profile. The class's docstring says source and range."""

    DEFINITION: ClassVar[str]
    """One line with its version; `{quantity}` stands for what the profile is of."""
    AXIS_LABEL: ClassVar[str]
    """What to write on a figure's axis, with the unit or range."""
    RANGE: ClassVar[Range] = (None, None)
    """The least and the largest that its numbers can be."""

    @abstractmethod
    def measure(self, profile: AnswerProfile) -> tuple[Measured, str | None]:
        """Return the number, and what to know about it.

        Raises:
            UnmeasurableError: the profile has no such number; the message says why.
        """


ANSWER_METRICS: Door[AnswerMetric] = Door(
    "metric over an answer", "analysis.estimates.over_answer", contract=AnswerMetric
)

Point = tuple[float, Mapping[int, float]]
"""A number of all prompt groups, and without each group that has rows."""


def profile_of(
    quantity: str,
    points: Mapping[int, tuple[Point, Point]],
    counts: Mapping[int, int],
    num_rows: Mapping[int, int],
) -> AnswerProfile:
    """Put numbers at several depths together; a group that does not reach a depth changes nothing.

    Args:
        quantity: name of the number.
        points: depth -> the number there, and at depth 0 on the same prompts. Depth 0 is one.
        counts: prompt group -> rows at depth 0.
        num_rows: depth -> rows there.
    """
    depths, groups = tuple(sorted(points)), tuple(sorted(counts))

    def row(point: Point) -> list[float]:
        whole, without = point
        return [whole, *(without.get(group, whole) for group in groups)]

    return AnswerProfile(
        quantity=quantity,
        depths=depths,
        values=np.array([row(points[depth][0]) for depth in depths]),
        starts=np.array([row(points[depth][1]) for depth in depths]),
        counts=np.array([float(counts[group]) for group in groups]),
        groups=groups,
        num_rows=tuple(num_rows[depth] for depth in depths),
        num_groups=tuple(len(points[depth][0][1]) for depth in depths),
    )


def measure_profile(name: str, profile: AnswerProfile, about: Measurement) -> Measurement:
    """Take a metric over an answer, or say why it has no value.

    Args:
        name: of the metric.
        profile: what it summarises.
        about: where it was measured; its metric and definition are filled in.
    """
    from analysis.estimates.evaluation import UnmeasurableError, missing, with_number

    metric = ANSWER_METRICS.find(name)
    blank = replace(
        about,
        metric=f"{name}_{profile.quantity}",
        definition=metric.DEFINITION.format(quantity=profile.quantity),
    )
    try:
        measured, note = metric.measure(profile)
    except UnmeasurableError as problem:
        why = missing(blank, str(problem), problem.status)
        return replace(why, num_rows=profile.num_rows[0], num_groups=profile.num_groups[0])
    return with_number(blank, measured, note=note)

"""Contract of a metric of activations, and the door to its entries.

A metric is one file in `metrics/`; its name is the file's, and so is its class's. Axes in
signatures: `rows` (activation rows, a row per prompt and position), `d` (model width), `groups`
(prompt groups, at most 20), `leave` (all groups, then all but each), `k` (rows of a factor, or
leading axes), `m` (any axes), `draws` (bootstrap), `bins`, `columns`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from typing import TYPE_CHECKING, ClassVar

from analysis.door import Door
from analysis.measurement import Range

if TYPE_CHECKING:
    from analysis.estimates.evaluation import Measured
    from analysis.measurement import Measurement
    from analysis.rows.summary import Sample

Computation = Callable[[], "Measured"]
"""Measures one value, or raises `UnmeasurableError` to say why it cannot be."""


class Metric(ABC):
    """Numbers of a sample of rows. The class's docstring says source, range and invariances."""

    DEFINITION: ClassVar[str]
    """One line with its version: what the number is, precisely enough to compute it again."""
    REPORTS: ClassVar[tuple[str, ...]]
    """Names of the values it reports, the one to show first: the metric's name, with more behind
    it, or a name that no other metric has."""
    AXIS_LABEL: ClassVar[str]
    """What to write on a figure's axis, with the unit or range."""
    HEADLINES: ClassVar[Mapping[str, int]] = {}
    """Value -> sort number of its column in the default table (smaller is further left).

    Below 100: behaviour; then how much changed, in which shape, and from 230 what follows.
    """
    RANGES: ClassVar[Mapping[str, Range]] = {}
    """Value -> the least and the largest that it can be; no interval over seeds goes beyond."""
    NEEDS_AGAINST: ClassVar[bool] = False
    """Whether it compares the sample with another one (another condition of the same model)."""
    NEEDS_TOXIC: ClassVar[bool] = False
    """Whether it reads the sample's toxic directions or neurons, which a probe of the base finds.
    """
    NEEDS_FIRST_TOKEN: ClassVar[bool] = False
    """Whether it holds tokens of an answer against the first one, which must be extracted."""
    IN_ALL: ClassVar[bool] = True
    """Whether `all` in a study means it, too. False of one that came when studies had keys with
    `all` written out: it is measured where it is named, and no finished work is made anew."""
    OVER_ANSWER: ClassVar[tuple[str, ...]] = ()
    """Those of REPORTS of which metrics over an answer are taken, where a study asks for them."""
    IS_SPECTRAL: ClassVar[bool] = False
    """Whether each value is measured twice, about zero and about the rows' mean."""

    @abstractmethod
    def prepare(
        self, sample: Sample, against: Sample | None, centred: bool
    ) -> Sequence[Computation]:
        """Return what computes each value of REPORTS, in their order.

        Args:
            sample: the rows.
            against: rows of another condition, where the metric compares with one.
            centred: whether about the rows' mean; False where the metric is not spectral.

        Returns:
            One function per value.
        """

    def measure(self, sample: Sample, against: Sample | None) -> list[Measurement]:
        """Measure every value of REPORTS; one that cannot be measured says why.

        Args:
            sample: the rows.
            against: rows of another condition, where the metric compares with one.

        Returns:
            A measurement per value and centring, by value first; by centring first where the
            metric compares, as finished artifacts list them.
        """
        from analysis.estimates.evaluation import evaluate

        centrings = (False, True) if self.IS_SPECTRAL else (None,)
        prepared = {
            centred: dict(
                zip(self.REPORTS, self.prepare(sample, against, bool(centred)), strict=True)
            )
            for centred in centrings
        }
        values = list(product(self.REPORTS, centrings))
        if self.NEEDS_AGAINST:
            values.sort(key=lambda value: centrings.index(value[1]))
        return [
            evaluate(name, self.DEFINITION, centred, sample, prepared[centred][name])
            for name, centred in values
        ]


METRICS: Door[Metric] = Door("metric", "analysis.metrics", contract=Metric)

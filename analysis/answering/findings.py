"""`Finding` and `Findings`: the numbers that answers are made of, with their circumstances.

All are read at one place: the site and position that a view shows, at its relative depth, so that
no answer can pick the layer that suits it. A metric that is not measured at that site is read at
the first site where it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import combinations
from math import floor
from typing import Any, TypeVar, cast

from analysis.answering.comparable_rows import by_seed, comparable_groups
from analysis.answering.placed_rows import TURN, PlacedRows, rows_at_place
from analysis.answering.where_read import WhereRead, place_in_words
from analysis.dose.doses import Dose
from analysis.dose.equal_dose import rows_at
from analysis.dose.trajectories import ends_of_trainings
from analysis.estimates.intervals import Estimate
from analysis.long_table.circumstances import CONTROLS, DPO, Circumstances
from analysis.long_table.seeds import over_seeds
from analysis.long_table.selection import Selection, resolve
from analysis.measurement import Measurement, Row, Scalar, label_of

Made = TypeVar("Made")
STAGE = "compared_by"
"""Column with the stage of a number, where that tells it from others of its cell."""
LEAST_COVERAGE = 0.9
"""A number of toxic words bears on an answer where at least this share of them is counted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Finding:
    """One number over seeds, and how it came about."""

    number: Measurement
    """The measurement, whatever its status."""
    about: Circumstances
    """Its circumstances; of several seeds those of the first."""
    aligned: frozenset[str]
    """Keys of the aligned models of all its seeds; empty for the base."""
    bases: frozenset[str]
    """Keys of the models before alignment, of all its seeds."""
    apart: tuple[str, ...] = ()
    """Axes beside model and objective of which aligned models have several values."""

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.number.model)

    @property
    def label(self) -> str:
        """Model, objective and what else tells aligned models apart, as evidence names them."""
        values = {name: self.number.axes.get(name) for name in self.apart}
        values |= {"stage": self.number.compared_by} if STAGE in self.apart else {}
        others = [f"{name} {label_of(v)}" for name, v in values.items() if v is not None]
        return ", ".join([self.model, str(self.about.objective), *others])

    @property
    def estimate(self) -> Estimate | None:
        """The number with its interval; None where it is missing, below the floor, or shortened."""
        number = self.number
        if number.value is None or number.below_floor or self.shortfall is not None:
            return None
        return Estimate(value=number.value, low=number.low, high=number.high)

    @property
    def shortfall(self) -> str | None:
        """Say that too few words are counted to weigh the number; None where enough are."""
        coverage = self.number.coverage
        if self.number.value is None or coverage is None or coverage >= LEAST_COVERAGE:
            return None
        below = floor(100 * coverage) / 100  # 0.899 is not 90 %
        return f"{below:.0%} of the toxic words are counted, less than {LEAST_COVERAGE:.0%}"

    @property
    def null_high(self) -> float | None:
        """The higher of the upper ends of the number's null bands; None where it has none."""
        ends = (self.number.null_high, self.number.base_null_high)
        return max((end for end in ends if end is not None), default=None)

    @property
    def turn(self) -> int:
        """The dialogue turn at which the number was measured; 0 for none."""
        position = str(self.number.position)
        return int(position.removeprefix(TURN)) if position.startswith(TURN) else 0

    @property
    def cell(self) -> dict[str, str]:
        """Labels of its axes, the model first."""
        axes = {"model": self.number.model, **self.number.axes}
        return {name: label_of(value) for name, value in axes.items() if value is not None}


@dataclass(frozen=True, kw_only=True, eq=False)
class AtSnapshots:
    """The measurements of a study whose models were kept on the way of their training."""

    rows: Sequence[Row]
    """The long table, of the base and of every snapshot and seed."""
    circumstances: Mapping[str, Circumstances]
    """Key of a job -> the circumstances of its measurements."""
    selection: Selection
    """The place that a view shows."""
    seeds: str | None
    """Axis that is averaged over."""
    centred: bool | None = None
    """As of `Findings`."""
    is_near: bool = False
    """Whether nothing is read at other sites and positions than the selection's, as where an answer
    is given at every place; else a metric that is not measured there is read where it is."""
    made: dict[object, Any] = field(default_factory=dict, repr=False)
    """What was made of all snapshots once, for every place."""

    def near(self, selection: Selection, centred: bool | None) -> AtSnapshots:
        """Return the same at one place and centring, what was made of them shared."""
        return replace(self, selection=selection, centred=centred, is_near=True)

    def once(self, name: object, make: Callable[[], Made]) -> Made:
        """Return what is made of all snapshots under a name; made when it is first asked for."""
        if name not in self.made:
            self.made[name] = make()
        return cast("Made", self.made[name])

    def at_place(self) -> list[tuple[Row, Circumstances]]:
        """Return the rows where the view looks, seeds apart, with their circumstances."""
        rows = self._read(self.once(PlacedRows, lambda: PlacedRows.of(self.rows)))
        by_metric: dict[str, list[Row]] = {}
        for row in rows:
            by_metric.setdefault(str(row["metric"]), []).append(row)
        groups = (rows_at_place(g, self.selection, self.centred) for g in by_metric.values())
        return [(row, self.circumstances[str(row["key"])]) for group in groups for row in group]

    def at(self, dose: Dose) -> Findings:
        """Return the findings where every training stood at one dose."""
        placed, circumstances = self.once(dose, lambda: self._at_dose(dose))
        return Findings.from_rows(
            self._read(placed),
            circumstances,
            selection=self.selection,
            seeds=self.seeds,
            snapshots=None,
            doses=[dose.words],
            centred=self.centred,
        )

    def _at_dose(self, dose: Dose) -> tuple[PlacedRows, Mapping[str, Circumstances]]:
        rows, circumstances = rows_at(self.rows, [dose], self.circumstances)
        return PlacedRows.of(rows), circumstances

    def _read(self, placed: PlacedRows) -> Sequence[Row]:
        site, position = self.selection.site, self.selection.position
        if not self.is_near or site is None or position is None:
            return placed.all
        return [*placed.anywhere, *placed.near(site, position)]


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """All findings of a study that bear on its questions."""

    all: Sequence[Finding]
    """Every finding, in canonical order."""
    place: str
    """In words, where activations were read."""
    where: WhereRead = field(default_factory=WhereRead)
    """The place of each metric, and what is read nowhere."""
    missing: Sequence[Row] = ()
    """Rows of jobs that measured nothing: not run, failed, out of memory."""
    along_answers: Sequence[Finding] = ()
    """What was measured along answers that the study chose or began: of no other prompts' kind."""
    snapshots: AtSnapshots | None = None
    """What was measured on the way of the trainings; None: no model was kept there."""
    centred: bool | None = None
    """Whether spectra are read about the mean (True) or about zero; None: each as answers do."""
    doses: Sequence[str] = ()
    """The doses at which numbers are read, in words; none: at the end of each training."""
    effects: dict[tuple[Finding, str], object] = field(default_factory=dict, repr=False)
    """What was made of findings once, by the finding and the name of the effect."""

    @classmethod
    def from_rows(
        cls,
        rows: Iterable[Row],
        circumstances: Mapping[str, Circumstances],
        *,
        selection: Selection,
        seeds: str | None,
        snapshots: tuple[Sequence[Row], Mapping[str, Circumstances]] | None = None,
        doses: Sequence[str] = (),
        centred: bool | None = None,
    ) -> Findings:
        """Combine rows of every seed, site and layer over seeds, at the selection's place.

        Rows of jobs without circumstances (not run, failed) become `missing`. What training left in
        the end speaks for a model; those on its way to there do not count as more models.
        `snapshots` are the rows at all snapshots and their circumstances, where `rows` were read at
        `doses`.
        """
        measured: list[Row] = []
        missing: list[Row] = []
        for row in rows:
            (measured if row["key"] in circumstances else missing).append(row)
        along = (measured, circumstances) if snapshots is None else snapshots
        has_snapshots = any(about.step is not None for about in along[1].values())
        measured = ends_of_trainings(measured, circumstances)
        parts: tuple[list[Row], list[Row]] = ([], [])
        for row in measured:
            parts[circumstances[str(row["key"])].is_along_answer].append(row)
        findings, along_answers = (
            _findings(part, circumstances, selection, seeds, centred) for part in parts
        )
        at_snapshots = AtSnapshots(
            rows=along[0], circumstances=along[1], selection=selection, seeds=seeds
        )
        return cls(
            all=findings,
            place=place_in_words(resolve(selection, parts[0] or measured)),
            where=WhereRead.of(parts[0] or measured, selection, centred),
            missing=missing,
            along_answers=along_answers,
            snapshots=at_snapshots if has_snapshots else None,
            doses=doses,
            centred=centred,
        )

    def of_metric(self, metric: str) -> list[Finding]:
        """Return the findings of a metric, those without a number included."""
        return [finding for finding in self.all if finding.number.metric == metric]

    @cached_property
    def aligned(self) -> list[Finding]:
        """Those of models aligned by DPO; of other preference losses where a study has no DPO.

        What was measured across a chain of trainings is left out where it was also measured across
        the last one alone: a model counts once, and offsets are those of its own objective.
        """
        aligned = [finding for finding in self.all if finding.about.objective is not None]
        names = {finding.about.objective for finding in aligned} - set(CONTROLS)
        wanted = {DPO} if DPO in names else names
        aligned = [finding for finding in aligned if finding.about.objective in wanted]
        alone = {(f.number.metric, f.aligned) for f in aligned if not f.about.spans_trainings}
        return [
            finding
            for finding in aligned
            if not finding.about.spans_trainings
            or (finding.number.metric, finding.aligned) not in alone
        ]

    @cached_property
    def reference(self) -> str | None:
        """Key of the prompts that most comparisons are against.

        Where nothing is compared, the plain prompts that most other prompts are transforms of.
        """
        against = [f.about.against_prompts for f in self.all if f.about.against_prompts]
        if against:
            return max(dict.fromkeys(against), key=against.count)
        sources = [finding.about.source for finding in self.all]
        plain = {f.about.prompts: f.about.source for f in self.all if f.about.is_plain}
        return max(plain, key=lambda key: sources.count(plain[key]), default=None)

    def before(self, finding: Finding) -> Finding | None:
        """Return the same number of the model that an aligned one was made from."""
        return next(
            (
                other
                for other in self._like(finding)
                if is_before(other, finding) and other.about.prompts == finding.about.prompts
            ),
            None,
        )

    def plain(self, finding: Finding) -> Finding | None:
        """Return the same number on the plain prompts that its prompts are a transform of."""
        return next(
            (
                other
                for other in self._like(finding)
                if other.about.is_plain
                and other.about.source == finding.about.source
                and same_base(other, finding)
                and same_model(other, finding)
            ),
            None,
        )

    def _like(self, finding: Finding) -> Iterator[Finding]:
        """Yield findings of the same metric, definition and position."""
        yield from self._by_quantity[_quantity(finding)]

    @cached_property
    def _by_quantity(self) -> Mapping[tuple[str | None, ...], list[Finding]]:
        alike: dict[tuple[str | None, ...], list[Finding]] = {}
        for finding in self.all:
            alike.setdefault(_quantity(finding), []).append(finding)
        return alike


def _quantity(finding: Finding) -> tuple[str | None, ...]:
    """Return metric, definition and position of a finding."""
    number = finding.number
    return number.metric, number.definition, number.position


def same_base(first: Finding, second: Finding) -> bool:
    """Tell whether two findings share a base; each seed may have one of its own."""
    return bool(first.bases & second.bases)


def is_before(first: Finding, second: Finding) -> bool:
    """Tell whether a finding is of the model that the second one's was made from.

    That model may be aligned itself: DPO after SFT begins with SFT's.
    """
    return bool((first.aligned or first.bases) & second.bases) and bool(second.aligned)


def same_model(first: Finding, second: Finding) -> bool:
    """Whether two findings share an aligned model, or are both of the base."""
    return bool(first.aligned & second.aligned) or not (first.aligned or second.aligned)


def _axes_apart(findings: Sequence[Finding]) -> tuple[str, ...]:
    """Return axes that tell aligned models of one base and objective apart, seeds combined.

    With the stage, where these do not: a chain of trainings has several models in one cell.
    """
    values: dict[tuple[object, ...], dict[frozenset[str], Mapping[str, Scalar]]] = {}
    for finding in findings:
        if finding.aligned and finding.about.intervention is None:
            trained = (finding.about.base, finding.about.objective, finding.about.prompts)
            values.setdefault(trained, {}).setdefault(finding.aligned, finding.number.axes)
    names = {
        name: None
        for models in values.values()
        for axes in models.values()
        for name in axes
        if len({other.get(name) for other in models.values()}) > 1
    }
    alike: dict[tuple[object, ...], list[frozenset[str]]] = {}
    for of_base, models in values.items():
        for model, axes in models.items():
            alike.setdefault((*of_base, *map(axes.get, names)), []).append(model)
    is_unclear = any(
        not first & second for group in alike.values() for first, second in combinations(group, 2)
    )
    return (*names, STAGE) if is_unclear else tuple(names)


def _finding(row: Row, by_job: Sequence[Circumstances]) -> Finding:
    return Finding(
        number=Measurement.from_row(row),
        about=by_job[0],
        aligned=frozenset(about.run or about.aligned for about in by_job if about.aligned),
        bases=frozenset(about.base for about in by_job if about.base),
    )


def _findings(
    rows: Sequence[Row],
    circumstances: Mapping[str, Circumstances],
    selection: Selection,
    seeds: str | None,
    centred: bool | None,
) -> list[Finding]:
    by_metric: dict[str, list[Row]] = {}
    for row in rows:
        by_metric.setdefault(str(row["metric"]), []).append(row)
    kept = [row for group in by_metric.values() for row in rows_at_place(group, selection, centred)]
    findings = [
        _finding(row, by_seed(row, group, circumstances))
        for group in comparable_groups(kept, circumstances)
        for row in over_seeds(group, seeds)
    ]
    apart = _axes_apart(findings)
    return [replace(finding, apart=apart) for finding in findings]

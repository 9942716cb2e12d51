"""`Finding` and `Findings`: the numbers that answers are made of, each with its circumstances.

One place for all: the site and position a view shows, at its relative depth, so that no answer can
pick the layer that suits it; a metric that is not of that site is taken at its own first one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from analysis.long_table.circumstances import CONTROLS, DPO, Circumstances
from analysis.long_table.depth import layer_at
from analysis.long_table.seeds import over_seeds
from analysis.long_table.selection import Selection, resolve
from analysis.measurement import Measurement, Row, label_of

TURN = "turn-"
"""How positions of dialogue turns begin."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Finding:
    """One number over seeds, and how it came about."""

    number: Measurement
    """The measurement, whatever its status."""
    about: Circumstances
    """Its circumstances; of several seeds those of the first."""
    aligned: frozenset[str]
    """Keys of the aligned models of all seeds in it; empty for the base."""

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.number.model)

    @property
    def value(self) -> float | None:
        """The number; None where it is missing or below the noise floor."""
        return None if self.below_floor else self.number.value

    @property
    def low(self) -> float | None:
        """Lower end of its interval; None below the noise floor."""
        return None if self.below_floor else self.number.low

    @property
    def high(self) -> float | None:
        """Upper end of its interval; None below the noise floor."""
        return None if self.below_floor else self.number.high

    @property
    def null_high(self) -> float | None:
        """The highest upper end of its null bands."""
        ends = (self.number.null_high, self.number.base_null_high)
        return max((end for end in ends if end is not None), default=None)

    @property
    def below_floor(self) -> bool:
        """Whether the base against itself reads as much."""
        return self.number.below_floor

    @property
    def turn(self) -> int:
        """The dialogue turn it is of; 0 for none."""
        position = str(self.number.position)
        return int(position.removeprefix(TURN)) if position.startswith(TURN) else 0

    @property
    def keys(self) -> tuple[str, ...]:
        """Keys of the jobs behind it."""
        return self.number.keys

    @property
    def cell(self) -> dict[str, str]:
        """Labels of its axes, the model first."""
        axes = {"model": self.number.model, **self.number.axes}
        return {name: label_of(value) for name, value in axes.items() if value is not None}


@dataclass(frozen=True, kw_only=True, eq=False)
class Findings:
    """All findings of a study that bear on its questions."""

    found: Sequence[Finding]
    """Each of them, in canonical order."""
    place: str
    """In words, where activations were read."""
    lost: Sequence[Row] = ()
    """Rows of jobs that left nothing: not run, failed, out of memory."""

    @classmethod
    def of(
        cls,
        rows: Iterable[Row],
        circumstances: Mapping[str, Circumstances],
        *,
        selection: Selection,
        seeds: str | None,
    ) -> Findings:
        """Rows of every seed, site and layer, at the selection's place and combined over seeds.

        Rows of jobs without circumstances (not run, failed) are `lost`.
        """
        known: list[Row] = []
        lost: list[Row] = []
        for row in rows:
            (known if row["key"] in circumstances else lost).append(row)
        by_metric: dict[str, list[Row]] = {}
        for row in known:
            by_metric.setdefault(str(row["metric"]), []).append(row)
        kept = [row for own in by_metric.values() for row in _at_place(own, selection)]
        found = [
            _finding(row, circumstances)
            for part in _comparable(kept, circumstances)
            for row in over_seeds(part, seeds)
        ]
        return cls(found=found, place=_place(resolve(selection, known)), lost=lost)

    def of_metric(self, *metrics: str) -> list[Finding]:
        """Return those of these metrics that were measured or say why not."""
        return [each for each in self.found if each.number.metric in metrics]

    @property
    def aligned(self) -> list[Finding]:
        """Those of models aligned by DPO; of other preference losses where a study has no DPO."""
        own = [each for each in self.found if each.about.objective is not None]
        names = {each.about.objective for each in own} - set(CONTROLS)
        wanted = {DPO} if DPO in names else names
        return [each for each in own if each.about.objective in wanted]

    @property
    def reference(self) -> str | None:
        """Key of the prompts that others are compared with: those most comparisons are against.

        Where nothing is compared, plain ones that most other prompts are transforms of.
        """
        against = [f.about.against_prompts for f in self.found if f.about.against_prompts]
        if against:
            return max(dict.fromkeys(against), key=against.count)
        sources = [each.about.source for each in self.found]
        plain = {f.about.prompts: f.about.source for f in self.found if f.about.is_plain}
        return max(plain, key=lambda key: sources.count(plain[key]), default=None)

    def before(self, finding: Finding) -> Finding | None:
        """Return the same number of the base that an aligned model was made from."""
        return next(
            (
                other
                for other in self._like(finding)
                if not other.aligned and other.about.prompts == finding.about.prompts
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
                and _same_model(other, finding)
            ),
            None,
        )

    def _like(self, finding: Finding) -> Iterator[Finding]:
        """Findings of the same metric, by the same definition and position, on the same base."""
        names = ("metric", "definition", "position")
        for other in self.found:
            same = all(getattr(other.number, n) == getattr(finding.number, n) for n in names)
            if same and other.about.base == finding.about.base:
                yield other


def _same_model(first: Finding, second: Finding) -> bool:
    """Return aligned models of at least one seed in common, or the base both."""
    return bool(first.aligned & second.aligned) or not (first.aligned or second.aligned)


def _finding(row: Row, circumstances: Mapping[str, Circumstances]) -> Finding:
    known = [circumstances[key] for key in str(row["key"]).split()]
    aligned = frozenset(about.aligned for about in known if about.aligned)
    return Finding(number=Measurement.from_row(row), about=known[0], aligned=aligned)


def _comparable(
    rows: Sequence[Row], circumstances: Mapping[str, Circumstances]
) -> Iterator[list[Row]]:
    """Rows apart by what they are compared with: stages may compare one cell with several things.

    The same number measured by two such stages is kept once.
    """
    parts: dict[tuple[object, ...], list[Row]] = {}
    seen = set()
    for row in rows:
        about = circumstances[str(row["key"])]
        same = tuple(value for name, value in row.items() if name != "key")
        if same not in seen:
            seen.add(same)
            own = about.against_aligned == about.aligned
            with_what = (about.against_prompts, about.against_objective, own, about.intervention)
            parts.setdefault(with_what, []).append(row)
    yield from parts.values()


def _at_place(rows: Sequence[Row], selection: Selection) -> Iterator[Row]:
    """Rows of one metric at the place asked for; turns and behaviour have positions of their own.

    Spectra are taken centred: an uncentred rank near 1 may only say that there is a mean.
    """
    # A site that a metric is not of has rows too, which say so: they are no place to take it at.
    measured = [row for row in rows if row["value"] is not None] or rows
    if selection.site not in {row["site"] for row in measured}:
        selection = replace(selection, site=None)
    chosen = resolve(selection, measured)
    depths = chosen.depths or (0.75,)
    for row in rows:
        layer, layers = row["layer"], row["num_layers"]
        anywhere = row["site"] is None
        here = row["position"] == chosen.position or str(row["position"]).startswith(TURN)
        at = layer is None or layer in {layer_at(depth, int(layers or 1)) for depth in depths}
        if (
            row["centred"] is not False
            and at
            and (anywhere or (row["site"] == chosen.site and here))
        ):
            yield row


def _place(chosen: Selection) -> str:
    depth = (chosen.depths or (0.75,))[0]
    return f"{chosen.site or 'no site'}, position {chosen.position}, relative depth {depth:g}"

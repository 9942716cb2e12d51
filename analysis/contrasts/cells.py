"""The numbers of one metric in cells, and those cells that both values of a contrast have."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from analysis.contrasts.contrast import Contrast
from analysis.long_table.columns import axes_of
from analysis.long_table.depth import distinct_depths, layer_at
from analysis.long_table.one_number import each_job_once, standing_row
from analysis.long_table.selection import BLANKS
from analysis.measurement import Row, Scalar, label_at, label_of

_SAME = ("metric", "definition", "compared_by", "site", "position", "centred")
MODEL = "model"

MOST = 3
"""Values of a column that are named."""

CellKey = tuple[Scalar, ...]
BySeed = dict[Scalar, Row]


@dataclass(frozen=True, kw_only=True, eq=False)
class Pair:
    """One cell on both sides of a contrast, one row per seed on either."""

    contrast: Contrast
    """What is held against what."""
    first: BySeed
    """Rows of the side from which the other one is taken."""
    second: BySeed
    """Rows of the other side."""
    is_turned: bool = False
    """True where the first side of the contrast has fewer axes than the second, as a base has."""
    fewer: tuple[str, ...] = ()
    """The axes that a side without them is one number for; none where it is the base."""

    @property
    def lacking(self) -> str:
        """Say which side is one number for all values of an axis; empty where none is."""
        label = self.contrast.first if self.is_turned else self.contrast.second
        axes = " and no ".join(self.fewer)
        return f"{label} has no {axes}: it is one number for all" if axes else ""

    @property
    def trained(self) -> list[BySeed]:
        """Return the sides that were trained for the contrast: not a base, which has no seed."""
        blank = blank_label(self.contrast.axis)
        sides = {self.contrast.first: self.first, self.contrast.second: self.second}
        return [side for label, side in sides.items() if label != blank or side.keys() != {None}]

    @property
    def place(self) -> Row:
        """Return a row of the side that has all axes, with a number if there is one."""
        rows = list((self.second if self.is_turned else self.first).values())
        return next((row for row in rows if row["value"] is not None), rows[0])


@dataclass(frozen=True, kw_only=True, eq=False)
class Cells:
    """The rows of one metric, by their label on one axis and by all else but the seed."""

    axis: str
    """Column of the axis."""
    axes: tuple[str, ...]
    """The other axes, less that of the seeds."""
    is_of_models: bool
    """Whether the axis tells models apart, so that both sides are of different ones."""
    by_label: dict[str, dict[CellKey, BySeed]] = field(default_factory=dict)
    """Label -> axes and place -> seed -> row."""

    @classmethod
    def of(cls, rows: Sequence[Row], axis: str, seeds: str | None) -> Cells:
        """Group rows; of a contrast of seeds every seed is a cell of its own.

        Raises:
            ValueError: one cell and seed hold two different numbers.
        """
        averaged = None if seeds == axis else seeds
        names = axes_of(rows[0] if rows else ())
        models = axes_of_models(rows)
        is_of_models = axis in models
        told = {axis, averaged, *(models if is_of_models else ())}
        cells = cls(
            axis=axis,
            axes=tuple(name for name in names if name not in told),
            is_of_models=is_of_models,
        )
        for row in rows:
            of_label = cells.by_label.setdefault(side_label(row, axis), {})
            by_seed = of_label.setdefault(cells._key(row), {})
            seed = row.get(averaged) if averaged else None
            by_seed[seed] = standing_row(by_seed.get(seed, row), row)
        for of_label in cells.by_label.values():
            of_label.update({key: each_job_once(by_seed) for key, by_seed in of_label.items()})
        return cells

    def pairs(self, contrasts: Sequence[Contrast]) -> Iterator[Pair]:
        """Yield every cell that both sides of a contrast have."""
        met, blank = set(), blank_label(self.axis)
        for contrast in contrasts:
            ends = [contrast.first, contrast.second]
            of_base = blank in ends  # which has fewer axes, whichever side it is
            fewer = () if of_base else self._lacking(contrast.first, contrast.second)
            is_turned = contrast.first == blank or bool(fewer)
            fewer = fewer or self._lacking(contrast.second, contrast.first)
            own, other = (self.by_label.get(end, {}) for end in ends[:: -1 if is_turned else 1])
            for key, one in own.items():
                second, lacking = other.get(key), tuple[str, ...]()
                if second is None and of_base:
                    second = self._of_base(key, other)
                elif second is None and fewer:
                    lacking = tuple(self.axes[at] for at in fewer if key[at] is not None)
                    bare = tuple(None if at in fewer else value for at, value in enumerate(key))
                    second = None if bare in own else other.get(bare)
                if second is None:
                    continue
                sides = (second, one) if is_turned else (one, second)
                pair = Pair(
                    contrast=contrast,
                    first=sides[0],
                    second=sides[1],
                    is_turned=is_turned,
                    fewer=lacking,
                )
                layers = [next(iter(side.values()))["layer"] for side in sides]
                # Models of different depth may have one pair of layers at several depths.
                cell = (contrast, *key[:-1], *layers)
                if cell not in met:
                    met.add(cell)
                    yield pair

    def why_apart(self, contrast: Contrast) -> str:
        """Say why no cell has both sides of a contrast: what all cells of the two differ in."""
        own, other = (self.by_label.get(end, {}) for end in (contrast.first, contrast.second))
        ends = zip((contrast.first, contrast.second), (own, other), strict=True)
        if absent := [label for label, cells in ends if not cells]:
            return f"nothing of {' or '.join(absent)} is there"
        parts = []
        for name, of_first, of_second in zip(
            self._columns, zip(*own, strict=True), zip(*other, strict=True), strict=True
        ):
            values = [list(dict.fromkeys(map(_in_words, side))) for side in (of_first, of_second)]
            if not set(values[0]) & set(values[1]):
                words = [", ".join(side[:MOST] + ["…"] * (len(side) > MOST)) for side in values]
                parts.append(f"{name} is {words[0]} and {words[1]}")
        return "; ".join(parts) or "each has its own combinations of axes"

    @property
    def _columns(self) -> tuple[str, ...]:
        """The columns that tell cells of one label apart."""
        at = ("depth",) if self.is_of_models else (MODEL, "layer")
        return (*self.axes, *_SAME, *at)

    def _key(self, row: Row) -> CellKey:
        return tuple(row[name] for name in self._columns)

    def _lacking(self, label: str, other: str) -> Sequence[int]:
        """Return the places of axes that only the other side has; none where that lacks one, too.

        So SFT has no β in a study whose β is of DPO alone: it is one number for every β.
        """
        own, others = self._axes_with_values(label), self._axes_with_values(other)
        return sorted(others - own) if own < others else ()

    def _axes_with_values(self, label: str) -> frozenset[int]:
        """Return the places of the axes of which some cell of a label has a value."""
        keys = self.by_label.get(label, {})
        return frozenset(at for at in range(len(self.axes)) if any(k[at] is not None for k in keys))

    def _of_base(self, key: CellKey, others: Mapping[CellKey, BySeed]) -> BySeed | None:
        """Return the same number of the base, which has fewer axes; None unless there is one."""
        free = len(self.axes)
        fitting = [
            by_seed
            for other, by_seed in others.items()
            if other[free:] == key[free:]
            and all(o in (None, k) for o, k in zip(other[:free], key[:free], strict=True))
        ]
        return fitting[0] if len(fitting) == 1 else None


def _in_words(value: Scalar) -> str:
    return "none" if value is None else label_of(value)


def axes_of_models(rows: Sequence[Row]) -> frozenset[str]:
    """Return `model`, and axes that say no more: one value of each model, one model of each value.

    A study may call its models otherwise; each then has its family and size for a name.
    """
    measured = [row for row in rows if row["value"] is not None]
    models = {row[MODEL] for row in measured}
    is_named = any(row[MODEL] != f"{row['family']}-{row['num_parameters']}" for row in measured)
    if is_named or len(models) < 2:
        return frozenset({MODEL})
    pairs = {axis: {(r[MODEL], label_at(r, axis)) for r in measured} for axis in axes_of(rows[0])}
    same = (a for a, of in pairs.items() if len(of) == len(models) == len({x for _, x in of}))
    return frozenset({MODEL, *same})


def side_label(row: Row, axis: str) -> str:
    """Return the label of a row on an axis; of a number without a value `base`, or `none`."""
    return label_at(row, axis) or blank_label(axis)


def blank_label(axis: str) -> str:
    """Return how a side without a value of the axis is written."""
    return BLANKS.get(axis, "none")


def at_shared_depths(rows: Sequence[Row]) -> list[Row]:
    """Return rows at every relative depth at which models of different depth are compared."""
    depths = distinct_depths({n for row in rows if isinstance(n := row["num_layers"], int)})
    placed: list[Row] = []
    for row in rows:
        layer, total = row["layer"], row["num_layers"]
        if isinstance(layer, int) and isinstance(total, int):
            placed += [row | {"depth": at} for at in depths if layer_at(at, total) == layer]
        else:
            placed.append(row)
    return placed


def labels_on(rows: Iterable[Row], axis: str) -> list[str]:
    """Return the labels of an axis that have numbers, in their order in the rows."""
    return list(dict.fromkeys(side_label(row, axis) for row in rows if row["value"] is not None))

"""What no effect looks like, behind the points of a figure against size: null bands and floors."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from matplotlib.axes import Axes

from analysis.drawing.row_values import drawable, number
from analysis.measurement import Row

REACH = 30.0
"""On a logarithmic axis, how many times below the values a floor may stretch it."""
BESIDE = 1.12
"""Factor in size by which bands reach beyond their sizes, so that one size has a band too."""

Ends = tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Null:
    """Over the values of one figure or panel, by size, their envelope at each size."""

    random: dict[float, Ends]
    """Size -> band of random directions, subspaces, neurons or matrices."""
    base: dict[float, Ends]
    """Size -> band of the base activations' own covariance."""
    floor: dict[float, Ends]
    """Size -> the noise floor, least and most."""

    @classmethod
    def of_rows(cls, rows: Sequence[Row], against: str) -> "Null":
        """Return what the rows that can be drawn say."""
        drawable_rows = [row for row in drawable(rows) if row[against] is not None]
        return cls(
            random=_envelope(drawable_rows, against, "null_low", "null_high"),
            base=_envelope(drawable_rows, against, "base_null_low", "base_null_high"),
            floor=_envelope(drawable_rows, against, "floor", "floor"),
        )

    @property
    def signed(self) -> bool:
        """Whether a band reaches 0, which a logarithmic axis could not show."""
        return any(low <= 0 for low, _ in (*self.random.values(), *self.base.values()))

    def widened(self, limits: Ends, log: bool) -> Ends:
        """Widen the value axis for the bands, and on a log axis for a floor that is near."""
        ends = [end for part in (self.random, self.base) for pair in part.values() for end in pair]
        ends += [low for low, _ in self.floor.values() if not log or low > limits[0] / REACH]
        bottom, top = min([limits[0], *ends]), max([limits[1], *ends])
        if log:
            return bottom / 1.1 if bottom < limits[0] else bottom, top
        margin = 0.04 * (top - bottom)
        return (
            bottom - margin if bottom < limits[0] else bottom,
            top + margin if top > limits[1] else top,
        )


def draw_nulls(axis: "Axes", null: Null, limits: Ends) -> None:
    """Bands and the floor; a floor far below the axis is said to be there."""
    for part, shade, hatch, label in (
        (null.base, "#DDDDDD", None, "null: base covariance"),
        (null.random, "none", "//////", "null: random"),
    ):
        if part:
            sizes, lows, highs = _stretched(part)
            axis.fill_between(
                sizes,
                lows,
                highs,
                facecolor=shade,
                edgecolor="#9A9A9A" if hatch else "none",
                hatch=hatch,
                linewidth=0.5,
                zorder=0.5,
                label=label,
            )
    if null.floor:
        sizes, lows, _ = _stretched(null.floor)
        label = "noise floor" if max(lows) >= limits[0] else "noise floor (below the axis)"
        axis.plot(sizes, lows, color="#606060", linestyle=(0, (3, 3)), linewidth=0.9, label=label)


def _envelope(rows: Iterable[Row], against: str, low: str, high: str) -> dict[float, Ends]:
    found: dict[float, Ends] = {}
    for row in rows:
        ends = number(row, low), number(row, high)
        if all(map(math.isfinite, ends)):
            known = found.get(number(row, against), ends)
            found[number(row, against)] = min(known[0], ends[0]), max(known[1], ends[1])
    return dict(sorted(found.items()))


def _stretched(part: dict[float, Ends]) -> tuple[list[float], list[float], list[float]]:
    """Return sizes and both ends, the outer ones a little further out."""
    sizes = list(part)
    return (
        [sizes[0] / BESIDE, *sizes, sizes[-1] * BESIDE],
        [part[size][0] for size in (sizes[0], *sizes, sizes[-1])],
        [part[size][1] for size in (sizes[0], *sizes, sizes[-1])],
    )

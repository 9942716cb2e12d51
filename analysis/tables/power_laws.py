"""Power laws of a metric against model size, with the uncertainty that few sizes leave.

value = prefactor * size ^ exponent, a line in logarithms through one point per size: see
`analysis/estimates/meta_regression.py`. Fewer than 4 sizes are refused; 4 and 5 are descriptive.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import zip_longest

import numpy as np
from jaxtyping import Float

from analysis.estimates.intervals import Estimate, student_quantile
from analysis.estimates.meta_regression import fit_line
from analysis.measurement import NUM_GROUPS, LeftOut, Row, left_out_of
from analysis.status import Status

MIN_SIZES = 4
MIN_SIZES_FOR_A_LAW = 6
MIXED = "mixed"
SIZES = {
    "num_parameters": "parameters",
    "num_parameters_non_embedding": "parameters without embeddings",
    "d_model": "width",
}
"""Column of the long table -> what a size is counted in."""
UNSHARED = "errors that sizes share are not in the interval"
"""What an interval lacks whose values are not known without each prompt group."""
STILL = "those weigh by their own intervals"
"""How values weigh that no prompt group moves."""
NO_ERROR = "all values are the same, and no prompt group moves them: no error can be told"
"""Why values that do not differ have no exponent."""
EXACT = 1e-9
"""Half-width of an exponent that rounding alone makes."""
REMEDY = (
    "Values on five prompt groups or more are known without each of them, unless an earlier "
    "version measured them: delete such artifacts and launch again."
)
"""What to do about values that are not known without each prompt group."""
NO_NUMBERS = (Status.BELOW_NOISE_FLOOR, Status.TOO_FEW_ROWS)
"""Statuses of values that are no numbers to fit."""

Points = Float[np.ndarray, "sizes"]


@dataclass(frozen=True, kw_only=True)
class PowerLaw:
    """A fitted exponent, or why there is none."""

    against: str
    """Column of the sizes: num_parameters, num_parameters_non_embedding or d_model."""
    family: str
    """The family whose sizes were fitted, or `mixed`: scale and architecture confounded."""
    num_sizes: int
    """Distinct sizes with a positive value."""
    exponent: Estimate | None = None
    """Slope in log-log with its 95 % interval, and without each prompt group where known."""
    prefactor: float | None = None
    """Value at size 1, so that the line can be drawn."""
    leave_one_out_low: float | None = None
    """Smallest exponent of the fits that leave one size out."""
    leave_one_out_high: float | None = None
    """Largest exponent of these fits."""
    scatter: float | None = None
    """Standard deviation of the logarithms about the line."""
    sizes: tuple[float, ...] = ()
    """The sizes fitted, ascending."""
    size_of: Mapping[str, float] = field(default_factory=dict, repr=False)
    """Size of each model whose value was fitted, by its name."""
    caution: str | None = None
    """What the interval does not know; None where it is as it should be."""
    num_dropped: int = 0
    """Points that could not be used."""
    dropped: str | None = None
    """The reasons why points could not be used, with their counts."""
    status: Status = Status.OK
    """`too_few_sizes` or `undefined` where the fit was refused."""
    reason: str | None = None
    """What the status means here."""

    @property
    def descriptive(self) -> bool:
        """Whether too few sizes were fitted to call the result a law."""
        return self.status == Status.OK and self.num_sizes < MIN_SIZES_FOR_A_LAW

    def at(self, sizes: Points) -> Points:
        """Return the fitted values at these sizes."""
        assert self.exponent is not None and self.prefactor is not None, "a refused fit has no line"
        return np.asarray(self.prefactor * np.asarray(sizes, float) ** self.exponent.value)


def fit_families(rows: Sequence[Row], against: str = "num_parameters") -> tuple[PowerLaw, ...]:
    """Return one fit per family, and one `mixed` over all of them where there are several.

    `rows` hold one metric in one condition, already combined over seeds.
    """
    families = sorted({str(row["family"] or "unknown") for row in rows})
    fits = [
        fit_rows([row for row in rows if str(row["family"] or "unknown") == family], against)
        for family in families
    ]
    laws = [replace(law, family=family) for law, family in zip(fits, families, strict=True)]
    return (*laws, fit_rows(rows, against)) if len(laws) > 1 else tuple(laws)


@dataclass(frozen=True, kw_only=True)
class _Point:
    """The logarithm of one value."""

    model: str
    """Name of the model."""
    size: float
    """Where it stands."""
    logarithm: float
    """Natural logarithm of the value."""
    shifts: LeftOut | None
    """What leaving out each prompt group adds to it; None where that was not kept."""
    is_unsure: bool
    """Whether the value's interval reaches 0."""
    variance: float | None
    """That of the logarithm by the value's own interval; None where it has none."""

    @property
    def is_unmoved(self) -> bool:
        """Tell whether the value is the same without any prompt group, its interval wide."""
        moves = [shift for shift in self.shifts or () if shift is not None]
        is_still = bool(moves) and max(moves) - min(moves) <= EXACT
        return is_still and self.variance is not None and self.variance > EXACT**2


def fit_rows(rows: Iterable[Row], against: str = "num_parameters") -> PowerLaw:
    """Fit rows of one metric in one condition; those without a usable value are counted."""
    points: list[_Point] = []
    lost: dict[str, int] = defaultdict(int)
    for row in rows:
        size, value, status = row[against], row["value"], str(row["status"])
        if value is None or status in NO_NUMBERS:
            lost[status] += 1
        elif size is None:
            lost[f"{against} not known"] += 1
        elif not (float(value) > 0 and float(size) > 0):
            lost["not positive"] += 1
        else:
            points.append(_point(float(size), float(value), row))
    return _fit(points, against, lost)


def _point(size: float, value: float, row: Row) -> _Point:
    low, high = row["low"], row["high"]
    half = None if low is None or high is None else (float(high) - float(low)) / 2 / value
    return _Point(
        model=str(row["model"]),
        size=size,
        logarithm=float(np.log(value)),
        shifts=_shifts(value, left_out_of(row)),
        is_unsure=low is not None and float(low) <= 0,
        variance=None if half is None else (half / student_quantile(NUM_GROUPS - 1)) ** 2,
    )


def _shifts(value: float, left_out: LeftOut | None) -> LeftOut | None:
    """Return by how much the logarithm moves without each group; linear where it has none."""
    if not left_out:
        return None
    shares = [None if number is None else number / value for number in left_out]
    has_logarithm = all(share is None or share > 0 for share in shares)
    move = np.log if has_logarithm else lambda share: share - 1
    return tuple(None if share is None else float(move(share)) for share in shares)


def _fit(points: Sequence[_Point], against: str, lost: Mapping[str, int]) -> PowerLaw:
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(lost.items())) or None
    by_size: dict[float, list[_Point]] = defaultdict(list)
    for point in points:
        by_size[point.size].append(point)
    base = PowerLaw(
        against=against,
        family=MIXED,
        num_sizes=len(by_size),
        sizes=tuple(sorted(by_size)),
        size_of={point.model: point.size for point in points},
        num_dropped=sum(lost.values()),
        dropped=dropped,
    )
    if len(by_size) < MIN_SIZES:
        reason = f"{len(by_size)} size{'s' * (len(by_size) != 1)}, at least {MIN_SIZES} are needed"
        reason += f" (dropped: {dropped})" if dropped else ""
        return replace(base, status=Status.TOO_FEW_SIZES, reason=reason)
    # Two models of one size are one size: its geometric mean, so that n counts sizes.
    y = np.array([np.mean([p.logarithm for p in by_size[size]]) for size in base.sizes])
    by_sizes = [by_size[size] for size in base.sizes]
    line = fit_line(np.log(base.sizes), y, _shifts_of_sizes(by_sizes), _unmoved(by_sizes))
    assert line.slope.high is not None
    is_certain = np.ptp(y) <= EXACT and line.slope.high - line.slope.value <= EXACT
    if is_certain and any(point.variance is not None for point in points):
        return replace(base, status=Status.UNDEFINED, reason=NO_ERROR)
    return replace(
        base,
        exponent=line.slope,
        prefactor=float(np.exp(line.intercept)),
        leave_one_out_low=float(line.slopes_without_one.min()),
        leave_one_out_high=float(line.slopes_without_one.max()),
        scatter=line.scatter,
        caution=_caution(points),
    )


def _shifts_of_sizes(
    by_size: Sequence[Sequence[_Point]],
) -> Float[np.ndarray, "sizes groups"] | None:
    """Return the mean shift of each size without each group that any has; None where one lacks it.

    A number without rows of a group is the same without that group: a shift of 0.
    """
    shifts = [point.shifts for of_size in by_size for point in of_size]
    if not all(own and any(shift is not None for shift in own) for own in shifts):
        return None
    by_group = zip_longest(*(own or () for own in shifts))
    known = np.array([own for own in by_group if any(shift is not None for shift in own)], float)
    ends = np.cumsum([len(of_size) for of_size in by_size])[:-1]
    of_sizes = np.split(np.nan_to_num(known.T), ends)
    return np.stack([own.mean(axis=0) for own in of_sizes])


def _unmoved(by_size: Sequence[Sequence[_Point]]) -> Float[np.ndarray, " sizes"]:
    """Return the variance of each size that its values have without any prompt group's doing."""
    return np.array(
        [
            sum(point.variance or 0.0 for point in of_size if point.is_unmoved) / len(of_size) ** 2
            for of_size in by_size
        ]
    )


def _caution(points: Sequence[_Point]) -> str | None:
    """Say what the interval does not know."""
    cautions = []
    if unmoved := sum(point.is_unmoved for point in points):
        cautions.append(f"no prompt group moves {unmoved} of {len(points)} values: {STILL}")
    if lacking := sum(not point.shifts for point in points):
        cautions.append(
            f"{lacking} of {len(points)} values are not known without each prompt group: {UNSHARED}"
        )
    if unsure := sum(point.is_unsure for point in points):
        cautions.append(f"{unsure} of {len(points)} values have 0 in their interval")
    return "; ".join(cautions) or None

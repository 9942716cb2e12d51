"""Power laws of a metric against model size, with the uncertainty that few sizes leave.

value = prefactor * size ^ exponent, ordinary least squares in logarithms (one point per size).
Fewer than 4 sizes are refused; 4 and 5 are labelled descriptive.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from analysis.estimates.intervals import Estimate
from analysis.measurement import Row
from analysis.status import Status

MIN_SIZES = 4
MIN_SIZES_FOR_A_LAW = 6
MIXED = "mixed"
CONFIDENCE = 0.95

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
    """Slope in log-log with its 95 % interval (t with num_sizes - 2)."""
    prefactor: float | None = None
    """Value at size 1, so that the line can be drawn."""
    leave_one_out_low: float | None = None
    """Smallest exponent of the fits that leave one size out."""
    leave_one_out_high: float | None = None
    """Largest exponent of these fits."""
    num_dropped: int = 0
    """Points that could not be used."""
    dropped: str | None = None
    """The reasons why points could not be used, with their counts."""
    status: Status = Status.OK
    """`too_few_sizes` where the fit was refused."""
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


def fit_rows(rows: Iterable[Row], against: str = "num_parameters") -> PowerLaw:
    """Fit rows of one metric in one condition; those without a usable value are counted."""
    pairs: list[tuple[float, float]] = []
    lost: dict[str, int] = defaultdict(int)
    for row in rows:
        size, value, status = row[against], row["value"], str(row["status"])
        if value is None or status == Status.BELOW_NOISE_FLOOR:
            lost[status] += 1
        elif size is None:
            lost[f"{against} not known"] += 1
        else:
            pairs.append((float(size), float(value)))
    return _fit(pairs, against, lost)


def _fit(pairs: Sequence[tuple[float, float]], against: str, lost: dict[str, int]) -> PowerLaw:
    usable = [(size, value) for size, value in pairs if value > 0 and size > 0]
    counts = dict(lost)
    if len(usable) < len(pairs):
        counts["not positive"] = len(pairs) - len(usable)
    dropped = ", ".join(f"{count} {reason}" for reason, count in sorted(counts.items())) or None
    by_size: dict[float, list[float]] = defaultdict(list)
    for size, value in usable:
        by_size[size].append(float(np.log(value)))
    base = PowerLaw(
        against=against,
        family=MIXED,
        num_sizes=len(by_size),
        num_dropped=sum(counts.values()),
        dropped=dropped,
    )
    if len(by_size) < MIN_SIZES:
        reason = f"{len(by_size)} size{'s' * (len(by_size) != 1)}, at least {MIN_SIZES} are needed"
        reason += f" (dropped: {dropped})" if dropped else ""
        return replace(base, status=Status.TOO_FEW_SIZES, reason=reason)
    x = np.log(sorted(by_size))
    # Two models of one size are one size: its geometric mean, so that n counts sizes.
    y = np.array([np.mean(by_size[size]) for size in sorted(by_size)])
    return _solve(base, x, y)


def _solve(base: PowerLaw, x: Points, y: Points) -> PowerLaw:
    from scipy.special import stdtrit

    slope, intercept = _line(x, y)
    residual = y - (intercept + slope * x)
    spread = float(((x - x.mean()) ** 2).sum())
    error = float(np.sqrt((residual**2).sum() / (len(x) - 2) / spread))
    half = float(stdtrit(len(x) - 2, 0.5 + CONFIDENCE / 2)) * error
    kept = [np.arange(len(x)) != out for out in range(len(x))]
    without_one = [_line(x[keep], y[keep])[0] for keep in kept]
    return replace(
        base,
        exponent=Estimate(value=slope, low=slope - half, high=slope + half),
        prefactor=float(np.exp(intercept)),
        leave_one_out_low=min(without_one),
        leave_one_out_high=max(without_one),
    )


def _line(x: Points, y: Points) -> tuple[float, float]:
    """Least-squares slope and intercept; centred first, logarithms of sizes are far from 0."""
    slope = float(((x - x.mean()) * (y - y.mean())).sum() / ((x - x.mean()) ** 2).sum())
    return slope, float(y.mean() - slope * x.mean())

"""What `benchmarks/coverage.py` counts: one value in one cell of its grid, kept in a CSV.

Per value:

- `answered`, `covered`: draws with an interval, and with the truth in it;
- `bias`, `spread`: mean of estimate - truth, and the estimate's standard deviation over draws;
- `width`: median width of the interval (of several blocks: the mean of their medians);
- `refused`: status and count of the draws without an interval.

Cells of fewer than 40 prompts (2 per group) are kept and reported apart.
"""

from __future__ import annotations

import csv
import os
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path

import numpy as np

from benchmarks.planted import KINDS, ROWS_EACH, SPECTRA
from benchmarks.planted_truth import target_of

RESULTS = Path(__file__).parent / "results" / "coverage.csv"
FEW_PROMPTS = 40
"""Cells of fewer prompts are judged apart: under two per group."""
AIM = 0.9
"""Least share of the intervals of a cell that are to hold the truth."""
NORMAL_WIDTH = 3.92
"""Width of the central 95 % of a normal number over its standard deviation."""


@dataclass(frozen=True, kw_only=True)
class Result:
    """One value in one cell."""

    d: int
    """Width of the rows."""
    rows: int
    """Their number."""
    spectrum: str
    """Name of the spectrum that the rows are drawn from."""
    kind: str
    """Name of the kind of rows (`planted.py`)."""
    metric: str
    """Name of the value."""
    centred: str
    """`True`, `False`, or empty where that does not arise."""
    version: str
    """Version of the metric's definition."""
    truth: float
    """The truth; its mean over draws where it depends on them."""
    draws: int
    """Draws, numbered from 0."""
    answered: int
    """Draws with an interval."""
    covered: int
    """Draws whose interval holds the truth."""
    bias: float
    """Mean of estimate - truth, over answered draws."""
    spread: float
    """Standard deviation of the estimate (of its error, where the truth depends on the draw)."""
    width: float
    """Median width of the interval."""
    refused: str
    """Status and count of draws without an interval."""

    @property
    def prompts(self) -> int:
        """Return the number of independent prompts."""
        return self.rows // (ROWS_EACH if self.kind == "clusters" else 1)

    @property
    def is_short(self) -> bool:
        """Return whether chance (1 %) does not explain that fewer intervals than AIM are true."""
        from scipy.special import bdtr

        return bool(bdtr(self.covered, self.answered, AIM) < 0.01)

    @property
    def place(self) -> tuple[str, ...]:
        """Return what a result is of."""
        names = ("d", "rows", "spectrum", "kind", "metric", "centred")
        return tuple(str(getattr(self, name)) for name in names)

    def joined(self, later: Result) -> Result:
        """Return the result of the draws of both; spreads by the sums of squares."""
        if self.version != later.version:
            return later
        counts = np.array([self.answered, later.answered], dtype=float)
        if not counts.sum():
            refused = _join_refused(self.refused, later.refused)
            return replace(self, draws=self.draws + later.draws, refused=refused)
        shares = counts / counts.sum()

        def mean(name: str) -> float:
            pair = np.array([getattr(self, name), getattr(later, name)])
            return float(shares[counts > 0] @ pair[counts > 0])

        bias = mean("bias")
        pair = [half for half in (self, later) if half.answered]
        squares = [
            max(half.answered - 1, 0) * half.spread**2 + half.answered * (half.bias - bias) ** 2
            for half in pair
        ]
        return replace(
            self,
            truth=mean("truth"),
            draws=self.draws + later.draws,
            answered=self.answered + later.answered,
            covered=self.covered + later.covered,
            bias=bias,
            spread=float((sum(squares) / max(counts.sum() - 1, 1)) ** 0.5),
            width=mean("width"),
            refused=_join_refused(self.refused, later.refused),
        )


def _join_refused(first: str, second: str) -> str:
    counts: Counter[str] = Counter()
    for text in (first, second):
        for part in text.split():
            status, number = part.split(":")
            counts[status] += int(number)
    return " ".join(f"{status}:{number}" for status, number in sorted(counts.items()))


def read_results(path: Path) -> dict[tuple[str, ...], Result]:
    """Read a file of results by place; an absent file has none."""
    if not path.exists():
        return {}
    kinds = {"d": int, "rows": int, "draws": int, "answered": int, "covered": int}
    floats = ("truth", "bias", "spread", "width")
    results = {}
    with path.open(encoding="utf-8", newline="") as file:
        for line in csv.DictReader(file):
            row = {
                name: kinds.get(name, float if name in floats else str)(text)
                for name, text in line.items()
            }
            result = Result(**row)
            results[result.place] = result
    return results


def write_results(path: Path, results: Iterable[Result]) -> None:
    """Write all results, sorted, replacing the file at once."""
    names = [field.name for field in fields(Result)]
    beside = path.with_suffix(".part")
    path.parent.mkdir(exist_ok=True)
    with beside.open("w", encoding="utf-8", newline="") as file:
        lines = csv.writer(file, lineterminator="\n")
        lines.writerow(names)
        for result in sorted(results, key=_order):
            row = [getattr(result, name) for name in names]
            lines.writerow([f"{v:.4g}" if isinstance(v, float) else v for v in row])
    os.replace(beside, path)


def _order(result: Result) -> tuple[object, ...]:
    place = SPECTRA.index(result.spectrum), KINDS.index(result.kind)
    return result.d, *place, result.rows, result.metric, result.centred


def report(path: Path) -> None:
    """Print every value: cells, coverage (mean, least, short of AIM), width / spread, refusals."""
    chosen: dict[tuple[str, str], list[Result]] = {}
    for result in read_results(path).values():
        if result.prompts >= FEW_PROMPTS and np.isfinite(result.truth):
            chosen.setdefault((result.metric, result.centred), []).append(result)
    print(
        f"{'value':44} {'target':14} cells draws  mean  least  short  width  worst cell; refused\n"
        f"(short: cells under {AIM:.0%} by more than chance)"
    )
    for (name, centred), own in sorted(chosen.items()):
        print(_report_line(name, centred, own))


def _report_line(name: str, centred: str, results: Sequence[Result]) -> str:
    judged = [result for result in results if result.answered]
    if not judged:
        return f"{name:44} never answered"
    shares = [result.covered / result.answered for result in judged]
    draws = sum(result.answered for result in judged)
    short = sum(result.is_short for result in judged)
    widths = [r.width / (NORMAL_WIDTH * r.spread) for r in judged if r.spread]
    worst = judged[int(np.argmin(shares))]
    label = {"True": " centred", "False": " uncentred", "": ""}[centred]
    refused: Counter[str] = Counter()
    for result in results:
        refused.update(part.split(":")[0] for part in result.refused.split())
    where = f"{worst.d}/{worst.rows}/{worst.spectrum}/{worst.kind}"
    bias = worst.bias / worst.spread if worst.spread else 0.0
    return (
        f"{name + label:44} {target_of(name):14} {len(judged):5} {draws:5} {np.mean(shares):6.3f} "
        f"{min(shares):5.2f} {short:5} {max(widths, default=0):7.2f}  "
        f"{where}: {worst.covered} of {worst.answered} "
        f"(bias {bias:+.1f} spreads); {dict(refused)}"
    )

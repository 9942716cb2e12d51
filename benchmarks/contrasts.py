"""Do contrasts of zero stay within their family's error, and is what is called visible seen?

    nice -n 19 python -m benchmarks.contrasts --draws 2000
    python -m benchmarks.contrasts --report

A family is ten contrasts: ten cells, such as models and conditions, two sides each. All twenty
samples answer the same 40 prompts at d = 64 (N < d): rows of a prompt share two fifths of their
variance everywhere and a fifth more on both sides of a cell. Prompts are in 20 groups or in 8,
drawn as a hash draws them; one row per prompt, four that share 30 % of their variance, or one of a
multivariate t with 5 degrees of freedom (`planted.py`). Both sides have one population, so that
every difference is 0 in truth. Means of rows are judged in every draw, some metrics' own values in
every 20th; all go through the code behind `compare --contrast`. A family errs where any of its
adjusted p values is 5 % or less.

For the power, one side's numbers are larger by the smallest difference that the same design calls
visible, or by a part of it (`--power`).

Results are one line of JSON for each draw, so that a run may be killed: the next begins where the
file ends.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from math import exp, log
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
from jaxtyping import Float64, Int64

from analysis.contrasts.differences import LEVEL, holm
from analysis.contrasts.sides import Sides, differences
from analysis.estimates.intervals import jackknife
from analysis.measurement import NUM_GROUPS, Measurement
from analysis.metric import METRICS
from analysis.rows.summary import GroupSummary, Sample
from benchmarks.planted import KINDS, ROWS_EACH, SHARED, draw_scales, eigenvalues

RESULTS = Path(__file__).parent / "results" / "contrasts.jsonl"
WIDTH, SPECTRUM = 64, "i^-0.7"
NUM_CELLS = 10
EVERYWHERE, IN_CELL = 0.4, 0.2
"""Shares of a row's variance that all samples, and both sides of a cell, have of a prompt."""
REPORTED = {
    "relative_norm": ("relative_norm", "relative_norm_p95"),
    "consistency": ("consistency",),
    "participation_ratio": ("participation_ratio",),
}
"""Metric -> its values that are judged, spectra centred."""
EVERY = 20
"""Metrics' own code measures every 20th draw: it takes a quarter of a second."""
MEAN, LENGTH, ENERGY = "mean", "mean length", "mean square"
"""Judged in every draw: of a bounded number, as a toxic mass is; of rows' lengths; of the squares
of their lengths, whose interval is made on the logarithm."""
SHARES = (0.0, 0.5, 1.0, 1.5)
"""Planted differences of the power, as shares of the one that is called visible."""


@dataclass(frozen=True, kw_only=True)
class Design:
    """Prompts and rows of one family."""

    prompts: int
    """Number of prompts."""
    groups: int
    """Prompt groups."""
    kind: str
    """`one`, `clusters` or `heavy`, as in `planted.py`."""

    @property
    def name(self) -> str:
        """Text that identifies it."""
        return f"{self.prompts} prompts, {self.groups} groups, {self.kind}"


DESIGNS = [
    Design(prompts=40, groups=groups, kind=kind) for groups, kind in product((NUM_GROUPS, 8), KINDS)
]


@dataclass(frozen=True, kw_only=True, eq=False)
class Rows:
    """Rows of one sample, not summarised yet."""

    values: Float64[np.ndarray, "rows d"]
    """The rows."""
    prompts: Int64[np.ndarray, " rows"]
    """Prompt of each."""
    groups: Int64[np.ndarray, " rows"]
    """Group of each."""


def draw_rows(design: Design, draw: int) -> Iterator[tuple[Rows, Rows]]:
    """Yield both sides of each cell of one family; all have the same population."""
    rng = np.random.default_rng([crc32(design.name.encode()), draw])
    each = ROWS_EACH if design.kind == "clusters" else 1
    prompts = np.repeat(np.arange(design.prompts), each)
    groups = rng.integers(0, design.groups, design.prompts)[prompts]
    spread = np.sqrt(eigenvalues(SPECTRUM, WIDTH))

    def normal() -> np.ndarray:
        own = rng.standard_normal((len(prompts), WIDTH))
        if each == 1:
            return own
        shared = rng.standard_normal((design.prompts, WIDTH))[prompts]
        return np.asarray(SHARED**0.5 * shared + (1 - SHARED) ** 0.5 * own)

    everywhere = normal()
    scales = draw_scales(design.kind, len(prompts), rng)
    for _ in range(NUM_CELLS):
        cell = EVERYWHERE**0.5 * everywhere + IN_CELL**0.5 * normal()
        sides = (cell + (1 - EVERYWHERE - IN_CELL) ** 0.5 * normal() for _ in range(2))
        first, second = (
            Rows(values=(0.5 + side) * spread * scales[:, None], prompts=prompts, groups=groups)
            for side in sides
        )
        yield first, second


def measured(rows: Rows) -> dict[str, Measurement]:
    """Measure a sample by the metrics' own code: value -> its measurement, spectra centred."""
    summaries = {
        int(group): GroupSummary.from_rows(
            rows.values[at], np.ones(at.sum()), rows.prompts[at], moments=True
        )
        for group in np.unique(rows.groups)
        for at in [rows.groups == group]
    }
    sample = Sample(groups=summaries, reservoir=None)
    return {
        number.metric: number
        for metric, reported in REPORTED.items()
        for number in METRICS.find(metric).measure(sample, None)
        if number.metric in reported and number.centred is not False
    }


def means_of(rows: Rows) -> dict[str, Measurement]:
    """Measure means over the rows of a sample."""
    squares = np.square(rows.values).sum(axis=1)
    bounded = 1 / (1 + np.exp(2 - 2 * rows.values[:, 0]))
    numbers = {MEAN: bounded, LENGTH: np.sqrt(squares), ENERGY: squares}
    return {name: _mean_of(name, of, rows.groups) for name, of in numbers.items()}


def _mean_of(name: str, of: np.ndarray, groups: np.ndarray) -> Measurement:
    sums, counts = (np.bincount(groups, w, NUM_GROUPS) for w in (of, np.ones(len(of))))
    here = counts > 0
    left_out = (sums.sum() - sums[here]) / (counts.sum() - counts[here])
    whole = float(of.mean())
    if name == ENERGY:
        got = jackknife(log(whole), np.log(left_out), counts[here]).map(exp)
    else:
        got = jackknife(whole, left_out, counts[here])
    kept: list[float | None] = [None] * NUM_GROUPS
    for group, number in zip(np.flatnonzero(here), left_out.tolist(), strict=True):
        kept[group] = number
    return Measurement(
        metric=name,
        definition="",
        value=got.value,
        low=got.low,
        high=got.high,
        num_groups=int(here.sum()),
        left_out=tuple(kept),
    )


@dataclass(frozen=True, kw_only=True, eq=False)
class Family:
    """The contrasts of one value in one draw."""

    p_values: Float64[np.ndarray, " contrasts"]
    """Of those that could be made."""
    visible: Float64[np.ndarray, " contrasts"]
    """The smallest difference that each calls visible, at the family's strictest level."""
    values: Float64[np.ndarray, " contrasts"]
    """The first side's numbers."""
    unpaired: int
    """How many were not paired."""
    refused: int
    """How many had no interval on a side."""


def judge(pairs: Sequence[tuple[Measurement, Measurement]]) -> Family:
    """Return the contrasts of one value."""
    complete = [
        pair
        for pair in pairs
        if all(None not in (n.value, n.low, n.high, n.left_out) for n in pair)
    ]
    first, second = (Sides.of([pair[at] for pair in complete]) for at in (0, 1))
    if not complete:
        none = np.zeros(0)
        return Family(p_values=none, visible=none, values=none, unpaired=0, refused=len(pairs))
    both, is_paired = differences(first, second)
    p_values = both.p_values
    known = np.isfinite(p_values)
    return Family(
        p_values=p_values[known],
        visible=both.smallest_visible(np.full(len(complete), LEVEL / len(pairs)))[known],
        values=first.value[known],
        unpaired=int((~is_paired).sum()),
        refused=len(pairs) - len(complete),
    )


def judge_draw(design: Design, draw: int) -> dict[str, Family]:
    """Return the contrasts of every value in one draw of a design."""

    def of(rows: Rows) -> dict[str, Measurement]:
        return means_of(rows) | (measured(rows) if draw % EVERY == 0 else {})

    cells = [tuple(map(of, sides)) for sides in draw_rows(design, draw)]
    return {
        value: judge([(first[value], second[value]) for first, second in cells])
        for value in cells[0][0]
    }


def power_of(design: Design, draws: int) -> dict[float, tuple[float, float]]:
    """Return planted share of the visible difference -> chance to be seen plain, and after Holm.

    All ten cells of a family have the difference, in the mean of a bounded number; the visible one
    is the median of what 200 draws without a difference say of it.
    """
    pairs = [
        [
            (means_of(first)[MEAN], means_of(second)[MEAN])
            for first, second in draw_rows(design, draw)
        ]
        for draw in range(draws)
    ]
    visible = float(np.median(np.concatenate([judge(family).visible for family in pairs[:200]])))
    powers = {}
    for share in SHARES:
        by = share * visible
        shifted = [
            judge([(_shifted(first, by), second) for first, second in family]) for family in pairs
        ]
        plain = np.concatenate([family.p_values for family in shifted]) <= LEVEL / NUM_CELLS
        after = np.concatenate([holm(family.p_values) for family in shifted]) <= LEVEL
        powers[share] = float(plain.mean()), float(after.mean())
    return powers


def _shifted(number: Measurement, by: float) -> Measurement:
    assert number.value is not None and number.low is not None and number.high is not None
    return Measurement(
        metric=number.metric,
        definition="",
        value=number.value + by,
        low=number.low + by,
        high=number.high + by,
        num_groups=number.num_groups,
        left_out=tuple(None if one is None else one + by for one in number.left_out or ()),
    )


def run(draws: int, results: Path) -> None:
    """Judge what the file lacks, draw by draw, all designs in turn, and append it."""
    results.parent.mkdir(parents=True, exist_ok=True)
    done = {design.name: len(draw) for design, draw in read(results).items()}
    for start in range(0, draws, 20):
        for design in DESIGNS:
            for draw in range(max(start, done.get(design.name, 0)), min(start + 20, draws)):
                judged = judge_draw(design, draw)
                line = {
                    "prompts": design.prompts,
                    "groups": design.groups,
                    "kind": design.kind,
                    "draw": draw,
                    "p": {n: [float(f"{p:.4g}") for p in f.p_values] for n, f in judged.items()},
                    "unpaired": {n: f.unpaired for n, f in judged.items() if f.unpaired},
                    "refused": {n: f.refused for n, f in judged.items() if f.refused},
                }
                with results.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
        print(f"{start + 20} draws", flush=True)


def read(results: Path) -> dict[Design, list[dict[str, Any]]]:
    """Return the draws of the file, by design."""
    of: dict[Design, list[dict[str, Any]]] = {}
    if results.exists():
        for text in results.read_text(encoding="utf-8").splitlines():
            line = json.loads(text)
            design = Design(**{name: line[name] for name in ("prompts", "groups", "kind")})
            of.setdefault(design, []).append(line)
    return of


def report(results: Path) -> str:
    """Return how often families err, and single contrasts, for every design and value."""
    lines = []
    for design, draws in read(results).items():
        lines.append(f"{design.name}: {len(draws)} draws")
        for value in dict.fromkeys(value for draw in draws for value in draw["p"]):
            families = [np.array(draw["p"][value]) for draw in draws if draw["p"].get(value)]
            errs = sum(holm(family).min() <= LEVEL for family in families)
            alone = float(np.mean(np.concatenate(families) <= LEVEL))
            unpaired, refused = (
                sum(draw[why].get(value, 0) for draw in draws) for why in ("unpaired", "refused")
            )
            lines.append(
                f"  {value:20s} {errs} of {len(families)} families err "
                f"({errs / len(families):.1%}), {alone:.1%} of contrasts alone; "
                f"{unpaired} not paired, {refused} refused"
            )
    return "\n".join(lines)


def main() -> None:
    """Run, or report what is there."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--draws", type=int, default=2000, help="draws of each design")
    parser.add_argument("--report", action="store_true", help="only say what the file holds")
    parser.add_argument("--power", action="store_true", help="only the power, nothing is kept")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where draws are kept")
    options = parser.parse_args()
    if options.power:
        for design in DESIGNS:
            print(design.name, power_of(design, options.draws), flush=True)
        return
    if not options.report:
        run(options.draws, options.results)
    print(report(options.results))


if __name__ == "__main__":
    main()

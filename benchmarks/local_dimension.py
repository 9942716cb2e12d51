"""How often is `intrinsic_dimension` answered, and does its interval hold a planted dimension?

    nice -n 19 python -m benchmarks.local_dimension --draws 100

Rows on manifolds of known dimension, turned into 128 dimensions, of 45 to 1,000 prompts (at 1,000 a
quarter of the draws) in 20 groups as a hash draws them. In clusters, 4 or 8 rows of a prompt lie
about its own point. Rows that fill 64 dimensions, or have noise about a manifold, have no one
dimension: what counts there is that few are answered. The width is that of the median interval in
logarithms, over 3.92 standard deviations of the number in all draws, refused ones too.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Callable
from math import nan
from pathlib import Path
from zlib import crc32

import numpy as np

from analysis.estimates.local_dimension import LocalDimension
from analysis.metric import METRICS
from analysis.rows.neighbours import find_distinct
from analysis.rows.summary import GroupSummary, Reservoir, Sample

RESULTS = Path(__file__).parent / "results" / "local_dimension.csv"
PROMPTS, WIDTH, NUM_GROUPS = (45, 90, 200, 1000), 128, 20
CLUSTER = 0.05
"""Spread of a prompt's rows about its own point, over that of all points."""
FIELDS = ("design", "truth", "prompts", "rows_each", "draws", "reads", "answered", "held")
FIELDS += ("value", "low", "high", "width")
Draw = Callable[[int, np.random.Generator], np.ndarray]


def normal(m: int, power: float = 0.0, noise: float = 0.0) -> Draw:
    """Return what draws m normal coordinates of variance i^-power, with noise in 60 of them all."""
    scales = np.zeros(60 if noise else m)
    scales[:m] = np.arange(1, m + 1) ** (-power / 2)
    spread = np.hypot(scales, noise)
    return lambda n, rng: spread * rng.standard_normal((n, len(spread)))


def circles(k: int) -> Draw:
    """Return what draws k angles, each a circle in two dimensions of its own."""

    def draw(n: int, rng: np.random.Generator) -> np.ndarray:
        angles = rng.uniform(0, 2 * np.pi, (n, k))
        return np.concatenate([np.cos(angles), np.sin(angles)], axis=1)

    return draw


def student(m: int) -> Draw:
    """Return what draws a multivariate t with 3 degrees of freedom."""
    return lambda n, rng: rng.standard_normal((n, m)) / np.sqrt(rng.chisquare(3, (n, 1)))


DESIGNS: dict[str, tuple[float, Draw]] = {
    **{f"normal {m}": (m, normal(m)) for m in (1, 2, 3, 4, 5, 8, 10, 12, 15, 20)},
    **{
        f"normal i^-{p} {m}": (m, normal(m, p)) for p, m in ((1, 3), (1, 5), (1, 8), (2, 5), (2, 8))
    },
    **{f"uniform {m}": (m, lambda n, rng, m=m: rng.random((n, m))) for m in (1, 2, 3, 4, 5, 8)},
    **{f"t(3) {m}": (m, student(m)) for m in (2, 3, 5, 8)},
    **{f"circles {k}": (k, circles(k)) for k in (1, 2, 4)},
    "exponential 3": (3, lambda n, rng: rng.exponential(size=(n, 3))),
    "clumps 3": (3, lambda n, rng: rng.standard_normal((n, 3)) + 20 * (rng.random((n, 1)) < 0.5)),
    "scales 4": (4, lambda n, rng: normal(4)(n, rng) * np.exp(rng.standard_normal((n, 1)))),
    "16 bits 3": (3, lambda n, rng: normal(3)(n, rng).astype(np.float16).astype(float)),
    "normal 3, noise 0.01": (3, normal(3, noise=0.01)),
    **{f"normal {m}, noise {s}": (nan, normal(m, noise=s)) for m, s in ((3, 0.05), (2, 0.03))},
    "lattice 2": (nan, lambda n, rng: np.round(3 * rng.standard_normal((n, 2)))),
    **{f"full i^-{p}": (nan, normal(64, p)) for p in (0, 1, 2)},
    "full exp": (nan, lambda n, rng: rng.standard_normal((n, 64)) * np.exp(-np.arange(64) / 4)),
}
"""Name -> dimension, NaN where there is no one, and what draws rows."""
CLUSTERED = ("normal 1", "normal 2", "normal 3", "uniform 3", "normal 8")


def sample(points: np.ndarray, each: int, rng: np.random.Generator) -> Sample:
    """Return a sample of so many rows about each prompt's point, in WIDTH dimensions."""
    prompts = np.repeat(np.arange(len(points)), each)
    spread = CLUSTER * (each > 1) * points.std(axis=0)
    inner = points[prompts] + spread * rng.standard_normal((len(prompts), points.shape[1]))
    turn = np.linalg.qr(rng.standard_normal((WIDTH, points.shape[1])))[0].T
    rows, groups = (inner @ turn).astype(np.float32), rng.integers(0, NUM_GROUPS, len(points))
    summary = GroupSummary.from_rows(rows, np.ones(len(rows)), prompts, moments=False)
    kept = Reservoir(rows=rows, prompts=prompts, groups=groups[prompts], base=None)
    return Sample(groups={0: summary}, reservoir=kept)


def count(name: str, prompts: int, each: int, draws: int) -> list[object]:
    """Return one line of the file."""
    (truth, draw), metric = DESIGNS[name], METRICS.find("intrinsic_dimension")
    read, found = [], []
    for number in range(draws):
        rng = np.random.default_rng([crc32(name.encode()), prompts, each, number])
        one = sample(draw(prompts, rng), each, rng)
        (value,) = metric.measure(one, None)
        rows = one.reservoir.one_per_prompt().rows.astype(float)  # type: ignore[union-attr]
        rows = rows[find_distinct(rows - rows.mean(axis=0))]
        owners = np.arange(len(rows)) % NUM_GROUPS
        read.append(LocalDimension.of(rows - rows.mean(axis=0), owners).whole[0])
        if value.low is not None and value.high is not None:
            found.append((value.value, value.low, value.high))
    ends = np.array(found, dtype=float).reshape(-1, 3)
    held = int(((ends[:, 1] <= truth) & (truth <= ends[:, 2])).sum())
    middle = [f"{end:.3g}" for end in np.median(ends, axis=0)] if found else ["", "", ""]
    width = np.median(np.log(ends[:, 2] / ends[:, 1])) / 3.92 / np.std(read) if found else nan
    read_low = f"{np.exp(np.median(read)):.3g}"
    return [name, truth, prompts, each, draws, read_low, len(ends), held, *middle, f"{width:.2f}"]


def main() -> None:
    """Count all cells."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--draws", type=int, default=100)
    draws = parser.parse_args().draws
    cells = [(name, n, 1) for n in PROMPTS for name in DESIGNS]
    cells += [(name, n, each) for name in CLUSTERED for n in PROMPTS[1:3] for each in (4, 8)]
    with RESULTS.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(FIELDS)
        for name, n, each in cells:
            out.writerow(count(name, n, each, draws // 4 if n == PROMPTS[-1] else draws))
            file.flush()


if __name__ == "__main__":
    main()

"""Do numbers that are read at equal dose hold a truth that was planted? 200 draws of a trajectory.

    python -m benchmarks.equal_dose --draws 200
    python -m benchmarks.equal_dose --report

δ of two conditions grows along one axis; from two fifths of the training on it turns, mean and
leading axes, by an angle that grows with the square of the steps. The dose is a mean over prompts,
0.8 t^1.5 at the share t of the training, of the same prompts (`shared`) or of others (`apart`).
Snapshots are at 10, 20, 40, 60, 80 and 100 steps; numbers are read at a dose of 0.5, that is at 73
steps, in the turn, from fewer rows than dimensions. The truth is that of the population at that
step. Results are one CSV, written anew after every draw; a run goes on where the file ends.
"""

from __future__ import annotations

import argparse
import csv
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path

import numpy as np

from analysis.dose.doses import Dose
from analysis.dose.equal_dose import at_equal_dose
from analysis.estimates.intervals import jackknife
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import to_rows
from analysis.measurement import NUM_GROUPS, Measurement, Row
from analysis.metric import METRICS
from benchmarks.planted import (
    ALIKE,
    ANGLES,
    MEAN_LENGTH,
    Cell,
    Condition,
    Prompts,
    World,
    draw_scales,
    eigenvalues,
    normal_rows,
    summarise,
)
from benchmarks.planted_truth import truths_of

RESULTS = Path(__file__).parent / "results" / "equal_dose.csv"
STEPS = (10, 20, 40, 60, 80, 100)
LAST, TURN = 100, 0.4
DOSE = Dose(metric="kl_per_token", at=0.5)
MOST, POWER = 0.8, 1.5
METRIC_FILES = (
    "relative_norm",
    "consistency",
    "mean_cosine",
    "participation_ratio",
    "stable_rank",
    "captured_energy",
)
VALUES = (
    "relative_norm",
    "consistency",
    "mean_cosine",
    "participation_ratio",
    "stable_rank",
    "captured_energy",
    "captured_energy_heldout",
    "captured_energy_ratio",
)
CELLS = (
    Cell(d=64, rows=48, spectrum="i^-1", kind="one"),
    Cell(d=192, rows=160, spectrum="i^-1", kind="clusters"),
)
KEPT = 0.9
"""Correlation of a prompt's row at two snapshots, beside what has grown and turned."""
COLUMNS = ("d", "rows", "kind", "prompts", "draw", "metric", "centred", "value", "low", "high")


@dataclass(frozen=True, kw_only=True, eq=False)
class Turning(World):
    """The populations of δ at one time of the training."""

    time: float
    """Share of the training that is done."""

    @property
    def turned(self) -> float:
        """Share of the whole turn that is done."""
        return max(0.0, (self.time - TURN) / (1 - TURN)) ** 2

    @cached_property
    def plain(self) -> Condition:
        """The first condition: it grows along its axis."""
        values = eigenvalues(self.spectrum, self.d) * self.time**2
        return Condition(
            values=values, mean=MEAN_LENGTH * np.sqrt(values), angles=np.zeros(len(ANGLES))
        )

    @cached_property
    def other(self) -> Condition:
        """The second condition: it grows along the same axis, then turns away."""
        mean, values = self.plain.mean, self.plain.values
        across = mean * np.where(np.arange(self.d) % 8 < 4, 1.0, -1.0)
        across -= (across @ mean) / (mean @ mean) * mean
        across *= np.linalg.norm(mean) / np.linalg.norm(across)
        angle = self.turned * np.pi / 2
        turned = np.cos(angle) * mean + np.sin(angle) * across
        return Condition(values=values, mean=turned, angles=self.turned * ANGLES)


def dose_at(time: float) -> float:
    """Return the dose that is planted at a share of the training."""
    return MOST * time**POWER


@cache
def truths(d: int, spectrum: str) -> dict[tuple[str, bool | None], float]:
    """Return every number of the population at the time of the dose."""
    time = (DOSE.at / MOST) ** (1 / POWER)
    return dict(truths_of(Turning(d=d, spectrum=spectrum, time=time)))


def draw_rows(
    cell: Cell, draw: int, shared: bool, metrics: Sequence[str]
) -> tuple[list[Row], dict[str, Circumstances]]:
    """Draw a training and measure every snapshot: the rows of a long table, and whence they are."""
    rng = cell.rng(draw)
    at = Prompts.of(cell, rng)
    kept = [normal_rows(cell, at, rng) for _ in range(2)]
    kept[1] = ALIKE * kept[0] + (1 - ALIKE**2) ** 0.5 * kept[1]
    effects = rng.standard_normal((2, int(at.prompts[-1]) + 1))
    numbers: list[Measurement] = []
    circumstances: dict[str, Circumstances] = {}
    for step in STEPS:
        world = Turning(d=cell.d, spectrum=cell.spectrum, time=step / LAST)
        samples = []
        for condition, own in ((world.plain, kept[0]), (world.other, kept[1])):
            normal = KEPT**0.5 * own + (1 - KEPT) ** 0.5 * normal_rows(cell, at, rng)
            rows = condition.rows(normal, draw_scales(cell.kind, cell.rows, rng))
            samples.append(summarise(world, at, rows, rng))
        plain, other = samples
        of_step = [v for name in metrics for v in METRICS.find(name).measure(other, plain)]
        of_step.append(_dose(at, effects, step, rng))
        for number in of_step:
            key = f"{number.metric}@{step}"
            is_dose = number.metric == DOSE.metric
            circumstances[key] = Circumstances(
                base="base",
                aligned=f"run@{step}",
                run="run",
                step=step,
                source=None if is_dose and not shared else "prompts",
            )
            numbers.append(replace(number, key=key, axes={"snapshot": f"step-{step}"}))
    return to_rows([number.as_row() for number in numbers]), circumstances


def _dose(at: Prompts, effects: np.ndarray, step: int, rng: np.random.Generator) -> Measurement:
    """Measure the dose: lognormal over prompts, the same ones low at every snapshot."""
    own = 0.5 * effects[0] + 0.2 * rng.standard_normal(len(effects[0]))
    doses = dose_at(step / LAST) * np.exp(own - 0.5 * (0.5**2 + 0.2**2))
    groups = at.groups[np.unique(at.prompts, return_index=True)[1]]
    present = np.unique(groups)
    left = np.array([doses[groups != group].mean() for group in present])
    counts = np.array([float((groups == group).sum()) for group in present])
    estimate = jackknife(float(doses.mean()), left, counts)
    by_group: list[float | None] = [None] * NUM_GROUPS
    for group, number in zip(present, estimate.left_out, strict=True):
        by_group[int(group)] = number
    return Measurement(
        metric=DOSE.metric,
        definition="v1: planted",
        value=estimate.value,
        low=estimate.low,
        high=estimate.high,
        left_out=tuple(by_group),
    )


def read_draw(cell: Cell, draw: int, shared: bool, metrics: Sequence[str]) -> Iterator[Measurement]:
    """Yield every value of one draw, read at the dose."""
    rows, circumstances = draw_rows(cell, draw, shared, metrics)
    for number in at_equal_dose(rows, DOSE, circumstances=circumstances):
        if number.metric in VALUES:
            yield number


def run(draws: int, path: Path) -> None:
    """Read the draws that the file lacks."""
    kept = _read(path)
    done = {(row["d"], row["prompts"], row["draw"]) for row in kept}
    for cell in CELLS:
        for draw in range(draws):
            shared = draw % 2 == 0
            prompts = "shared" if shared else "apart"
            if (str(cell.d), prompts, str(draw)) in done:
                continue
            for number in read_draw(cell, draw, shared, METRIC_FILES):
                place = (cell.d, cell.rows, cell.kind, prompts, draw)
                centred = "" if number.centred is None else number.centred
                ends = (number.value, number.low, number.high)
                entries = (
                    *place,
                    number.metric,
                    centred,
                    *("" if e is None else f"{e:.6g}" for e in ends),
                )
                kept.append(dict(zip(COLUMNS, map(str, entries), strict=True)))
            _write(kept, path)


def _read(path: Path) -> list[dict[str, str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write(rows: Sequence[dict[str, str]], path: Path) -> None:
    scratch = path.with_suffix(".part")
    with scratch.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    os.replace(scratch, path)


def report(path: Path) -> None:
    """Print per cell and value how often the interval holds the truth."""
    by_place: dict[tuple[str, ...], list[dict[str, str]]] = {}
    for row in _read(path):
        place = (row["d"], row["rows"], row["kind"], row["metric"], row["centred"])
        by_place.setdefault(place, []).append(row)
    for (d, rows, kind, metric, centred), draws in sorted(by_place.items()):
        wanted = {"": None, "True": True, "False": False}[centred]
        truth = truths(int(d), CELLS[0].spectrum)[metric, wanted]
        answered = [[float(r[n]) for n in ("value", "low", "high")] for r in draws if r["low"]]
        numbers = np.array(answered).reshape(-1, 3)
        held = int(((numbers[:, 1] <= truth) & (truth <= numbers[:, 2])).sum())
        spread = float(numbers[:, 0].std(ddof=1)) if len(numbers) > 1 else float("nan")
        width = float(np.median(numbers[:, 2] - numbers[:, 1])) if len(numbers) else float("nan")
        print(
            f"d={d} N={rows} {kind:8} {metric:24} {centred:5} holds {held}/{len(numbers)} of "
            f"{len(draws)}; truth {truth:.4g}, mean {numbers[:, 0].mean():.4g}, "
            f"width {width / (3.92 * spread):.2f} x"
        )


def main() -> None:
    """Read the draws asked for, or report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="print what the file holds")
    chosen = parser.parse_args()
    if chosen.report:
        report(chosen.out)
    else:
        run(chosen.draws, chosen.out)


if __name__ == "__main__":
    main()

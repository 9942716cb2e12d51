"""Do intervals that claim 95 % hold a truth that was planted? Every metric, over a grid.

    python -m benchmarks.coverage --d 64 256 --ratios 0.5 1 2 --draws 100 --processes 1
    python -m benchmarks.coverage --report

A cell of the grid is a width d, a number of rows N, a spectrum and a kind of rows (`planted.py`);
20 prompt groups, drawn as a hash does. What the truth is stands per value in `planted_truth.py`.
Results are one CSV (`coverage_results.py`); it is written anew after every block of draws, and a
run begins where the file ends, so that a run may be killed. A value whose definition has changed
begins anew.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from pathlib import Path

import numpy as np

from analysis.estimates.mean_offset import MeanOffset
from analysis.measurement import Measurement
from analysis.metric import METRICS
from analysis.rows.summary import Sample
from analysis.weight_metrics import down_projection_rank1, value_vector_shift
from benchmarks.coverage_results import RESULTS, Result, read_results, report, write_results
from benchmarks.planted import KINDS, SPECTRA, Cell, World, draw_samples, with_base
from benchmarks.planted_truth import (
    UNPLANTED,
    Key,
    population_truths,
    truths_of_draw,
    world_of,
)

RATIOS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
Task = tuple[Cell, Sequence[int], Sequence[str]]
"""A cell, some of its draws, and the metrics to measure."""
WEIGHTS = ("value_vector_shift", "down_projection_rank1_cosine")
ROUNDING = 1e-9
"""Relative error of a truth: that of d equal directions may come out a little above d."""


def measure_draw(
    cell: Cell, draw: int, metrics: Sequence[str]
) -> tuple[list[Measurement], dict[Key, float]]:
    """Measure one draw; also return the truths that depend on it."""
    world = world_of(cell.spectrum, cell.d)
    samples = draw_samples(cell, world, draw)
    values: list[Measurement] = []
    for name in metrics:
        if name in WEIGHTS:
            values += _measure_weights(name, samples.other, world)
            continue
        sample = samples.other
        if name == "cka":
            sample = with_base(sample, world, np.random.default_rng([draw, 7]))
        values += METRICS.find(name).measure(sample, samples.plain)
    return values, truths_of_draw(world, samples) if "captured_energy" in metrics else {}


def _measure_weights(name: str, sample: Sample, world: World) -> Iterator[Measurement]:
    groups = {
        number: (group.moments.mean, group.num_rows)
        for number, group in sample.groups.items()
        if group.moments is not None
    }
    offset = MeanOffset.of_groups(groups)
    if name == "value_vector_shift":
        shift = value_vector_shift.Shift(offset=offset)
        shift.add(0, value_vector_shift.Moved.of(world.vectors.astype(np.float32)))
        yield from (v for v in shift.values(0) if not v.metric.endswith(("_mode", "_first")))
    else:
        top = down_projection_rank1.TopDirection(
            share=1.0, constancy=1.0, direction=world.vectors[0], shape=(1, world.d)
        )
        yield down_projection_rank1.value_at(top, offset)


def measure_block(cell: Cell, draws: Sequence[int], metrics: Sequence[str]) -> list[Result]:
    """Measure some draws of a cell and count."""
    fixed = population_truths(cell.spectrum, cell.d, cell.kind == "heavy")
    by_value: dict[tuple[str, str], list[tuple[Measurement, float]]] = {}
    for draw in draws:
        values, of_draw = measure_draw(cell, draw, metrics)
        for value in values:
            key = value.metric, value.centred
            place = value.metric, "" if value.centred is None else str(value.centred)
            truth = of_draw.get(key, fixed.get(key, np.nan))
            by_value.setdefault(place, []).append((value, truth))
    return [
        _count(cell, name, centred, values)
        for (name, centred), values in by_value.items()
        if name not in UNPLANTED
    ]


def _count(cell: Cell, name: str, centred: str, values: list[tuple[Measurement, float]]) -> Result:
    answered = [(v, truth) for v, truth in values if v.value is not None and v.low is not None]
    numbers = np.array([(v.value, v.low, v.high) for v, _ in answered], dtype=float).reshape(-1, 3)
    truths = np.array([truth for _, truth in answered], dtype=float)
    errors = numbers[:, 0] - truths
    slack = ROUNDING * np.abs(truths)
    kept = {id(v) for v, _ in answered}
    refused = Counter(
        v.status.value if v.value is None else "no_interval" for v, _ in values if id(v) not in kept
    )
    return Result(
        **asdict(cell),
        metric=name,
        centred=centred,
        version=values[0][0].definition.split(":")[0],
        truth=float(np.mean([truth for _, truth in values] if not len(truths) else truths)),
        draws=len(values),
        answered=len(answered),
        covered=int(((numbers[:, 1] <= truths + slack) & (truths - slack <= numbers[:, 2])).sum()),
        bias=float(errors.mean()) if len(errors) else 0.0,
        spread=float(errors.std(ddof=1)) if len(errors) > 1 else 0.0,
        width=float(np.median(numbers[:, 2] - numbers[:, 1])) if len(numbers) else 0.0,
        refused=" ".join(f"{status}:{number}" for status, number in sorted(refused.items())),
    )


def run(
    cells: Sequence[Cell],
    metrics: Sequence[str],
    draws: int,
    block: int,
    processes: int,
    path: Path,
) -> None:
    """Measure what the file lacks, a block of draws of every cell in turn."""
    results = read_results(path)
    tasks: list[Task] = []
    for start in range(0, draws, block):
        for cell in cells:
            wanted = [n for n in metrics if _num_draws(results, cell, n) <= start]
            if wanted:
                tasks.append((cell, range(start, min(start + block, draws)), wanted))
    for number, block_results in enumerate(_done(tasks, processes)):
        for result in block_results:
            before = results.get(result.place)
            results[result.place] = before.joined(result) if before else result
        write_results(path, results.values())
        print(f"{number + 1} of {len(tasks)} blocks", flush=True)


def _done(tasks: Sequence[Task], processes: int) -> Iterator[list[Result]]:
    """Yield the results of every task, in the order in which they are done."""
    if processes == 1:
        yield from (measure_block(*task) for task in tasks)
        return
    with ProcessPoolExecutor(processes) as pool:
        running = [pool.submit(measure_block, *task) for task in tasks]
        yield from (done.result() for done in as_completed(running))


def _num_draws(results: dict[tuple[str, ...], Result], cell: Cell, name: str) -> int:
    """Return how many draws of a metric the file holds, by its first value."""
    if name in WEIGHTS:
        module = value_vector_shift if name == WEIGHTS[0] else down_projection_rank1
        definition, centred = module.DEFINITION, ""
    else:
        metric = METRICS.find(name)
        name, definition = metric.REPORTS[0], metric.DEFINITION
        centred = "True" if metric.IS_SPECTRAL else ""
    place = tuple(str(value) for value in asdict(cell).values())
    result = results.get((*place, name, centred))
    if result is None or result.version != definition.split(":")[0]:
        return 0
    return result.draws


def main() -> None:
    """Measure the cells asked for, or report."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    known = [n for n in METRICS.names() if not set(METRICS.find(n).REPORTS) <= UNPLANTED.keys()]
    parser.add_argument("--d", type=int, nargs="+", default=[64, 256])
    parser.add_argument("--ratios", type=float, nargs="+", default=RATIOS, help="N / d")
    parser.add_argument("--spectra", nargs="+", default=SPECTRA, choices=SPECTRA)
    parser.add_argument("--kinds", nargs="+", default=KINDS, choices=KINDS)
    parser.add_argument("--metrics", nargs="+", default=[*known, *WEIGHTS])
    parser.add_argument("--without", nargs="+", default=[], help="metrics to leave out")
    parser.add_argument("--draws", type=int, default=200)
    parser.add_argument("--block", type=int, default=25, help="draws between two writes")
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--out", type=Path, default=RESULTS)
    parser.add_argument("--report", action="store_true", help="print what the file holds")
    chosen = parser.parse_args()
    if chosen.report:
        report(chosen.out)
        return
    cells = [
        Cell(d=d, rows=max(round(d * ratio), 8), spectrum=spectrum, kind=kind)
        for d in chosen.d
        for kind in chosen.kinds
        for ratio in chosen.ratios
        for spectrum in chosen.spectra
    ]
    metrics = [name for name in chosen.metrics if name not in chosen.without]
    run(cells, metrics, chosen.draws, chosen.block, chosen.processes, chosen.out)


if __name__ == "__main__":
    main()

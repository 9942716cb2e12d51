"""How long the mathematics takes: metrics of one place, a job, a comparison of a million numbers.

    python -m benchmarks.analysis [PART ...] [--rows N] [--width d]

Each part runs in a process of its own, so that its peak of memory is its own.
"""

import argparse
import multiprocessing
import resource
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa

from analysis.long_table.columns import FIXED, axes_of, schema
from analysis.long_table.joining import canonical, conformed, joined
from analysis.metric import METRICS
from analysis.rows.moments import Moments
from analysis.rows.summary import GroupSummary, Reservoir, Sample, ToxicDirections
from analysis.tables.comparison_table import compare
from benchmarks.planted_store import SITES, PlantedRoot
from cluster.storage import Storage

_GROUPS, _KEPT = 20, 2048
_JACKKNIFED = (
    *("effective_rank", "stable_rank", "components_90"),
    *("captured_energy", "subspace_overlap"),
)
"""Metrics that decompose what is left without each group; they share it, the first pays."""


class Clock:
    """Seconds of wall and of processor time, summed; far apart on a machine that others use."""

    def __init__(self) -> None:
        self.wall = self.processor = 0.0

    def __str__(self) -> str:
        return f"{self.wall:.1f} s ({self.processor:.1f} s of processors)"

    @contextmanager
    def running(self, name: str) -> Iterator[None]:
        """Add what the block took, and print it."""
        wall, processor = time.perf_counter(), time.process_time()
        yield
        took = time.perf_counter() - wall, time.process_time() - processor
        self.wall, self.processor = self.wall + took[0], self.processor + took[1]
        print(f"{name}: {took[0]:.2f} s ({took[1]:.2f} s of processors)", flush=True)


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=list(_PARTS), help=", ".join(_PARTS))
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--width", type=int, default=4096)
    parser.add_argument("--layers", type=int, default=8, help="of the part `job`: 3 sites each")
    parser.add_argument("--threads", type=int, default=2, help="of the part `job`")
    chosen = parser.parse_args()
    for part in chosen.parts:
        worker = multiprocessing.get_context("spawn").Process(target=_PARTS[part], args=(chosen,))
        worker.start()
        worker.join()


def _points(chosen: argparse.Namespace) -> None:
    """All metrics of one site and layer that decompose nothing again, and one spectrum."""
    sample, against = _pair(chosen)
    before = _peak()
    total = Clock()
    for name in METRICS.names():
        if name not in _JACKKNIFED:
            with total.running(f"  {name}"):
                METRICS.find(name).measure(sample, against)
    with total.running("  one spectrum, both centrings"):
        sample.spectra.of(True)
    print(f"points and trace-based intervals: {total} (floor 25 s)")
    print(f"peak {_peak():.1f} GB, of it {before:.1f} the samples and Python (floor 4)")


def _jackknives(chosen: argparse.Namespace) -> None:
    """Return the metrics that decompose what is left without each group, of both conditions."""
    sample, against = _pair(chosen)
    before = _peak()
    total, one = Clock(), Clock()
    for name in _JACKKNIFED:
        with total.running(f"  {name}"):
            METRICS.find(name).measure(sample, against)
    peak = _peak()
    moments = sample.total.moments
    assert moments is not None
    matrix = moments.covariance(centred=True)
    with one.running("  numpy's eigvalsh of that size"):
        np.linalg.eigvalsh(matrix)
    ratio = total.processor / one.processor
    print(f"spectral jackknives: {total} = {ratio:.0f} eigvalsh of processor time (floor 60)")
    print(f"peak {peak:.1f} GB, of it {before:.1f} the samples and Python (floor 4)")


def _measure(chosen: argparse.Namespace) -> None:
    """All metrics at one place of a job of 1,000 prompts; places are independent of each other."""
    places = 3 * 8
    sample, against = (_sample(seed, 1000, chosen.width, rows_each=1) for seed in (0, 1))
    before = _peak()
    total = Clock()
    for name in METRICS.names():
        with total.running(f"  {name}"):
            METRICS.find(name).measure(sample, against)
    whole = places * total.processor / 2
    print(f"one place of a measure job, 1,000 prompts, d = {chosen.width:,}: {total}")
    print(f"{places} places on 2 cores, from its processor time: {whole / 60:.1f} min (floor 10)")
    print(f"peak {_peak():.1f} GB, of it {before:.1f} the samples and Python (floor 4)")


def _measure_job(chosen: argparse.Namespace) -> None:
    """Run a whole `measure` job of 1,000 prompts on stores on disk, as a worker runs it."""
    with tempfile.TemporaryDirectory() as folder:
        root = PlantedRoot(
            storage=Storage(folder), num_prompts=1000, width=chosen.width, num_layers=chosen.layers
        )
        inputs = root.inputs()
        before = _peak()
        clock = Clock()
        places = len(SITES) * chosen.layers
        with clock.running(f"  {places} places, 1,000 prompts, d = {chosen.width:,}"):
            root.measured(inputs, chosen.threads)
    share = clock.processor / places
    print(f"a whole measure job: {clock}, {share:.1f} s of processors a place (floor 10 min)")
    print(f"peak {_peak():.1f} GB, of it {before:.1f} writing the stores (floor 4)")


def _compare(chosen: argparse.Namespace) -> None:
    """Return the comparison table of a million measurements, as a thousand jobs left them."""
    own = _measurements(1_000_000)
    axes = axes_of(own.column_names)
    left = [own.slice(first, 1000) for first in range(0, len(own), 1000)]
    before = _peak()
    clock = Clock()
    with clock.running("  joining what 1,000 jobs measured"):
        table = joined(
            [conformed(part, axes, {"key": f"{n:064x}"}) for n, part in enumerate(left)], axes
        )
    with clock.running("  compare"):
        found = compare(table)
    shape = f"{len(found.rows)} x {len(found.columns)} cells"
    print(f"compare of {len(table):,} measurements, {shape}: {clock} (floor 3 s)")
    print(f"peak {_peak():.1f} GB, of it {before:.1f} the table and Python (floor 1)")
    with Clock().running("  canonical order, for the long table"):
        canonical(table, axes)


def _merge(chosen: argparse.Namespace) -> None:
    """Moments of a thousand units in the order of their numbers, d = 1,024."""
    rng = np.random.default_rng(0)
    dense = Moments.from_rows(rng.standard_normal((1100, 1024)))
    few = Moments.from_rows(rng.standard_normal((64, 1024)))
    for name, unit in (("d x d", dense), ("64 rows", few)):
        clock = Clock()
        with clock.running(f"  units of {name}"):
            merged = Moments.merge_all([unit] * 1000)
        print(f"merging 1,000 units of {name}: {clock} (floor 10 s)")
        assert merged.num_rows == 1000 * unit.num_rows


_PARTS: dict[str, Callable[[argparse.Namespace], None]] = {
    "points": _points,
    "jackknives": _jackknives,
    "measure": _measure,
    "job": _measure_job,
    "compare": _compare,
    "merge": _merge,
}


def _pair(chosen: argparse.Namespace) -> tuple[Sample, Sample]:
    print(f"{chosen.rows:,} rows, d = {chosen.width:,}, {_GROUPS} groups, {_KEPT:,} kept")
    return _sample(0, chosen.rows, chosen.width), _sample(1, chosen.rows, chosen.width)


def _sample(seed: int, num_rows: int, width: int, rows_each: int = 4) -> Sample:
    """Rows with a mean and a decaying spectrum, some to a prompt."""
    rng = np.random.default_rng(seed)
    scale = (1 / np.sqrt(np.arange(1, width + 1))).astype(np.float32)
    prompts = np.arange(num_rows) // rows_each
    groups = prompts % _GROUPS
    shared = rng.standard_normal((num_rows // rows_each + 1, width), dtype=np.float32)[prompts]
    rows = (0.5 * shared + rng.standard_normal((num_rows, width), dtype=np.float32) + 0.5) * scale
    kept = rng.permutation(num_rows)[:_KEPT]
    summaries = {}
    for group in range(_GROUPS):
        at = np.flatnonzero(groups == group)
        lengths = np.ones(len(at))
        summaries[group] = GroupSummary.from_rows(rows[at], lengths, prompts[at], moments=True)
    base = rng.standard_normal((len(kept), width), dtype=np.float32) * 20 * scale
    reservoir = Reservoir(rows=rows[kept], prompts=prompts[kept], groups=groups[kept], base=base)
    toxic = ToxicDirections(probe=base[0], svd=base[1:4])
    first = Sample(groups=summaries, reservoir=None)
    return Sample(groups=summaries, reservoir=reservoir, toxic=toxic, turn=2, earlier={1: first})


def _measurements(number: int) -> pa.Table:
    """Return a table as `measure` writes it: 8 models x 5 conditions x layers x sites x metrics."""
    axes = ["objective", "seed", "condition"]
    models, metrics, layers = 8, 25, 40
    conditions, centrings = ("plain", "rot13", "base64", "leetspeak", "few-shot"), (False, True)
    index = np.arange(number)

    def turn(choices: int) -> np.ndarray:
        nonlocal index
        index, found = np.divmod(index, choices)
        return np.asarray(found)

    columns: dict[str, object] = {
        "centred": pa.array(np.array(centrings)[turn(2)]),
        "metric": pa.array([f"metric_{n}" for n in range(metrics)]).take(pa.array(turn(metrics))),
        "layer": turn(layers),
        "site": pa.array(["resid_mid", "resid_post"]).take(pa.array(turn(2))),
        "position": pa.array(["last", "response"]).take(pa.array(turn(2))),
        "condition": pa.array(conditions).take(pa.array(turn(5))),
    }
    model = turn(models)
    columns["seed"] = pa.array([str(n) for n in range(100)]).take(pa.array(turn(100)))
    values = np.random.default_rng(0).lognormal(size=number)
    columns |= {
        "depth": columns["layer"] / (layers - 1),  # type: ignore[operator]
        "model": pa.array([f"model-{n}" for n in range(models)]).take(pa.array(model)),
        "num_parameters": 10 ** (6 + model),
        "num_parameters_non_embedding": 10 ** (6 + model) // 2,
        "d_model": 64 * (1 + model),
        "value": values,
        "low": values * 0.9,
        "high": values * 1.1,
        "left_out": pa.FixedSizeListArray.from_arrays(np.repeat(values, _GROUPS), _GROUPS),
    }
    fixed = {
        "objective": "dpo",
        "family": "gpt2",
        "num_layers": layers,
        "definition": "v1: made up",
    }
    fixed |= {"num_rows": 2000, "num_groups": 20, "num_seeds": 1, "status": "ok", "key": "0123abcd"}
    whole = schema(axes)
    arrays = []
    for field in whole:
        found = columns.get(field.name, fixed.get(field.name))
        if not isinstance(found, pa.Array | np.ndarray):
            found = pa.repeat(pa.scalar(found, field.type), number)
        arrays.append(pa.array(found).cast(field.type))
    assert len(FIXED) + len(axes) == len(arrays)
    return pa.Table.from_arrays(arrays, schema=whole)


def _peak() -> float:
    """Most memory this process ever held, in 10^9 bytes."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9


if __name__ == "__main__":
    main()

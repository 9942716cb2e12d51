"""What our training costs beside TRL's own trainer, and what sharing a reference saves.

    python -m benchmarks.training [--rows step sweep ...]

Both sides train the same random model on the same tokens, in turns, in one process. A step is the
time between two optimizer steps; what a run needs before its first is reported apart.
"""

import contextlib
import io
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.bare_trl import bare_trainer
from benchmarks.preference_workload import BenchmarkRoot, PreferenceWorkload, gpt2_fields
from benchmarks.workload import arguments, settled

WORKLOAD = PreferenceWorkload(
    fields=gpt2_fields(num_layers=6, d_model=256, num_heads=8, vocab_size=4000),
    prompt_tokens=32,
    completion_tokens=48,
)
BATCH = 4
BETAS = (0.05, 0.1, 0.2, 0.4)
EPOCHS = 2


@dataclass(frozen=True, kw_only=True)
class Timed:
    """One run."""

    start_s: float
    """From its beginning to its first optimizer step."""
    steps_s: list[float]
    """From each optimizer step to the next."""


def main() -> None:
    """Print the rows asked for."""
    parser = arguments(__doc__)
    parser.add_argument("--rows", nargs="+", choices=sorted(ROWS), default=sorted(ROWS))
    parser.add_argument("--rounds", type=int, default=4)
    chosen = parser.parse_args()
    print(settled(chosen), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), threads=chosen.threads, rounds=chosen.rounds)
        for row in chosen.rows:
            ROWS[row](bench)


class Bench:
    """A root, and both ways to train on it."""

    def __init__(self, folder: Path, *, threads: int, rounds: int) -> None:
        self.folder = folder
        self.rounds = rounds
        self._threads = threads
        self._root = BenchmarkRoot(folder / "root", WORKLOAD)
        self._num_runs = 0
        self._rows = WORKLOAD.texts(shorter_by=1)  # TRL appends an EOS to every completion
        print(f"{WORKLOAD}; {BATCH} pairs per step", flush=True)

    def ours(self, *, steps: int, reference: str, **params: Any) -> Timed:
        """One `align` job."""
        self._num_runs += 1
        given = {
            "objective": "dpo", "steps": steps, "global_batch": BATCH, "num_cpus": self._threads,
            "num_gpus": 0, "checkpoint_every": None, **params,
        }  # fmt: skip
        inputs = {"model": "model", "pairs": "pairs", "reference": reference}
        with quiet(), clocked() as seen:
            self._root.run(f"aligned-{self._num_runs}", "align", given, inputs)
        return seen.timed()

    def reference(self, name: str) -> float:
        """Seconds that one `reference` job takes, beginning and end included."""
        started = time.perf_counter()
        with quiet():
            params = {"micro_batch": 2 * BATCH, "num_cpus": self._threads}
            self._root.run(name, "reference", params, {"model": "model", "pairs": "pairs"})
        return time.perf_counter() - started

    def bare(self, *, steps: int, resident_reference: bool, **settings: Any) -> Timed:
        """TRL by hand."""
        self._num_runs += 1
        with quiet(), clocked() as seen:
            bare_trainer(
                self._root.folder_of("model"),
                self._rows,
                self.folder / f"bare-{self._num_runs}",
                steps=steps,
                batch=BATCH,
                resident_reference=resident_reference,
                **settings,
            ).train()
        return seen.timed()


def step_time(bench: Bench) -> None:
    """Our `align` over TRL's trainer, both with log-probabilities of the reference at hand."""
    bench.reference("reference-step")
    bench.ours(steps=4, reference="reference-step")
    bench.bare(steps=4, resident_reference=False)
    ours, bare = in_turns(
        [partial(bench.ours, steps=40, reference="reference-step")] * bench.rounds,
        [partial(bench.bare, steps=40, resident_reference=False)] * bench.rounds,
    )
    _told("step, align over TRL by hand", ours, bare, floor=1.03)


def sweep(bench: Bench) -> None:
    """Four betas on one reference artifact over four runs of TRL with a resident reference."""
    steps = EPOCHS * WORKLOAD.num_pairs // BATCH
    for checkpointing, forwards in ((False, 3), (True, 4)):
        scoring = bench.reference(f"reference-sweep-{checkpointing}")
        shared: dict[str, Any] = {"steps": steps, "reference": f"reference-sweep-{checkpointing}"}
        resident: dict[str, Any] = {"steps": steps, "resident_reference": True}
        ours, bare = in_turns(
            [
                partial(bench.ours, **shared, beta=beta, activation_checkpointing=checkpointing)
                for beta in BETAS
            ],
            [
                partial(bench.bare, **resident, beta=beta, gradient_checkpointing=checkpointing)
                for beta in BETAS
            ],
        )
        floor = 1.03 * (forwards + 1 / (4 * EPOCHS)) / (forwards + 1)
        with_ = "with" if checkpointing else "without"
        name = f"4-point beta sweep, {EPOCHS} epochs, {with_} checkpointing"
        _told(name, ours, bare, floor=floor, once_s=scoring)


def in_turns(
    ours: list[Callable[[], Timed]], bare: list[Callable[[], Timed]]
) -> tuple[list[Timed], list[Timed]]:
    """Run both lists side by side, each beginning a turn as often as the other."""
    found: tuple[list[Timed], list[Timed]] = ([], [])
    for turn, pair in enumerate(zip(ours, bare, strict=True)):
        for side in (0, 1) if turn % 2 else (1, 0):
            found[side].append(pair[side]())
    return found


ROWS: dict[str, Callable[[Bench], None]] = {"step": step_time, "sweep": sweep}
"""Name -> what measures and prints it."""


class Clock:
    """When each optimizer step ended."""

    def __init__(self) -> None:
        self.began = time.perf_counter()
        self.stamps: list[float] = []

    def timed(self) -> Timed:
        """Return the run that was watched."""
        pairs = zip(self.stamps, self.stamps[1:], strict=False)
        return Timed(
            start_s=self.stamps[0] - self.began, steps_s=[after - before for before, after in pairs]
        )


@contextlib.contextmanager
def clocked() -> Iterator[Clock]:
    """Note the end of every step of any torch optimizer: the same clock for both sides."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    clock = Clock()

    def note(*_: Any) -> None:
        clock.stamps.append(time.perf_counter())

    handle = register_optimizer_step_post_hook(note)
    try:
        yield clock
    finally:
        handle.remove()


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep what trainers print off the table."""
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


def _told(
    name: str, ours: list[Timed], bare: list[Timed], *, floor: float, once_s: float = 0.0
) -> None:
    """Totals, with what is done once for all runs spread over their steps."""
    totals = [sum(sum(run.steps_s) for run in runs) for runs in (ours, bare)]
    medians = [
        statistics.median([step for run in runs for step in run.steps_s]) for runs in (ours, bare)
    ]
    starts = [statistics.mean([run.start_s for run in runs]) for runs in (ours, bare)]
    num_steps = sum(len(run.steps_s) for run in ours)
    share = once_s / num_steps
    print(
        f"{name}: {(totals[0] + once_s) / totals[1]:.3f} by sums, "
        f"{(medians[0] + share) / medians[1]:.3f} by medians (at most {floor:.3f}); "
        f"step {medians[0] * 1e3:.1f} and {medians[1] * 1e3:.1f} ms, shared {once_s:.1f} s over "
        f"{num_steps} steps; start {starts[0]:.1f} and {starts[1]:.1f} s",
        flush=True,
    )


if __name__ == "__main__":
    main()

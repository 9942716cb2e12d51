"""What keeping models on the way costs a training, in time and bytes.

    python -m benchmarks.snapshots [--steps 100]

Time is the processor's, of one and the same run: what the training's thread spends on a snapshot or
a look, and what the thread that writes spends beside it, over all that the run spends from its
first optimizer step to its last. On a machine with no core to spare both are the steps' time. Two
runs with and without cannot be told apart: they differ from each other by more. Bytes are of the
files.
"""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.preference_workload import BenchmarkRoot, PreferenceWorkload, gpt2_fields
from benchmarks.training import quiet
from benchmarks.workload import arguments, settled

BATCH = 8
WORKLOAD = PreferenceWorkload(
    fields=gpt2_fields(num_layers=2, d_model=128, num_heads=4, vocab_size=2000),
    num_validation=BATCH,
    prompt_tokens=32,
    completion_tokens=48,
)
LORA = {"rank": 8, "alpha": 16.0}
NUM_SNAPSHOTS = 4
ABOVE = [1e6]
"""A threshold that is never reached: all looks are taken."""


def main() -> None:
    """Print time and bytes, of all weights and of an adapter."""
    parser = arguments(__doc__)
    parser.add_argument("--steps", type=int, default=100)
    chosen = parser.parse_args()
    print(settled(chosen), flush=True)
    at = [chosen.steps * (place + 1) // (NUM_SNAPSHOTS + 1) for place in range(NUM_SNAPSHOTS)]
    asked = {
        f"{NUM_SNAPSHOTS} snapshots": {"steps": at},
        "looks at a margin, every 10 steps": {"margin": ABOVE, "every": 10},
        "looks at a divergence, every 10 steps": {"kl": ABOVE, "every": 10},
    }
    print(f"{WORKLOAD}; {BATCH} pairs per step, {chosen.steps} steps of sft", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        root = BenchmarkRoot(Path(folder) / "root", WORKLOAD)
        for trained, lora in (("all weights", None), ("an adapter", LORA)):
            for what, snapshots in asked.items():
                _measure(root, f"{trained}, {what}", chosen, lora=lora, snapshots=snapshots)


def _measure(root: BenchmarkRoot, name: str, chosen: Any, **params: Any) -> None:
    given = {
        "objective": "sft", "steps": chosen.steps, "global_batch": BATCH, "num_gpus": 0,
        "num_cpus": chosen.threads, "checkpoint_every": None, **params,
    }  # fmt: skip
    with quiet(), watched() as stamps, timed() as spent:
        facts = root.run(name, "align", given, {"model": "model", "pairs": "pairs"})
    whole = stamps[-1] - stamps[0]
    own, writer = (sum(spent[which]) for which in ("after_step", "_write"))
    print(
        f"{name}: {(own + writer) / (whole - own - writer):.2%} of step time "
        f"({own * 1e3:.0f} ms in the training's thread, {writer * 1e3:.0f} ms in the writer's, "
        f"{whole:.1f} s in all)",
        flush=True,
    )
    for step, held in facts["snapshots"]["held"].items():
        share, why = held["share_of_checkpoint"], held["why"]
        print(f"  step {step}: {share:.2%} of a checkpoint, {held['bytes']:,} bytes; {why}")


@contextlib.contextmanager
def watched() -> Iterator[list[float]]:
    """Note this process's processor time at every optimizer step."""
    from torch.optim.optimizer import register_optimizer_step_post_hook

    stamps: list[float] = []
    handle = register_optimizer_step_post_hook(lambda *_: stamps.append(time.process_time()))
    try:
        yield stamps
    finally:
        handle.remove()


@contextlib.contextmanager
def timed() -> Iterator[dict[str, list[float]]]:
    """Note what each call to take, and to write, a snapshot spends of its own thread."""
    from jobs.training.snapshots.taking import SnapshotTaker

    spent: dict[str, list[float]] = {"after_step": [], "_write": []}

    def noting(name: str) -> Any:
        inner = getattr(SnapshotTaker, name)

        def call(*given: Any) -> None:
            began = time.thread_time()
            inner(*given)
            spent[name].append(time.thread_time() - began)

        return call

    with contextlib.ExitStack() as patched:
        for name in spent:
            patched.enter_context(patch.object(SnapshotTaker, name, noting(name)))
        yield spent


if __name__ == "__main__":
    main()

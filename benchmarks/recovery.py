"""From a killed rank to the next optimizer step, beside what a bare Ray Train needs to its first.

    python -m benchmarks.recovery

A launch on a Ray of its own trains on two ranks; one of them is killed by SIGKILL after a
checkpoint. The clock stops when the next attempt has done a step, as its log shows. Beside it, a
`TorchTrainer` of two workers with TRL as a person writes it, from `fit()` to its first optimizer
step, on a Ray that is up: what starting such a gang costs anyone.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.preference_workload import PreferenceWorkload, gpt2_fields, random_checkpoint
from benchmarks.workload import arguments, settled

WORKLOAD = PreferenceWorkload(
    fields=gpt2_fields(num_layers=4, d_model=128, num_heads=4, vocab_size=2000),
    prompt_tokens=16,
    completion_tokens=16,
)
BATCH = 4
_STEPS = 2000
_KILLED_AFTER = 40
_LIMIT_S = 300.0


def main() -> None:
    """Print both times and their ratio."""
    parser = arguments(__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    print(settled(chosen), flush=True)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        random_checkpoint(WORKLOAD, folder / "model")
        for number in range(chosen.rounds):
            bare = bare_start(folder)
            killed = recovery(folder, number)
            print(
                f"{WORKLOAD}: kill to next step {killed:.1f} s; bare Ray Train, fit() to first "
                f"line {bare['first_line']:.1f} s, to first step {bare['first_step']:.1f} s; "
                f"ratio {killed / bare['first_step']:.2f} (at most 1.2, and the checkpoint)",
                flush=True,
            )


def recovery(folder: Path, number: int) -> float:
    """Seconds from the kill of a rank to the next attempt's first step."""
    study, root = _study(folder, number), folder / f"root-{number}"
    words = [sys.executable, "-m", "orchestrator.cli", "launch", str(study), "--root", str(root)]
    with (
        open(folder / f"launch-{number}.txt", "w", encoding="utf-8") as output,
        subprocess.Popen(words, stdout=output, stderr=output) as launch,
    ):
        try:
            marker = f"checkpoints/checkpoint-{_KILLED_AFTER}/COMPLETE.json"
            attempt = _until(lambda: _attempt_with(root, marker), launch)
            os.kill(_process_writing(attempt / "log-rank-1.txt"), signal.SIGKILL)
            killed = time.monotonic()
            _until(lambda: _attempt_with(root, "training_log.jsonl", but=attempt), launch)
            return time.monotonic() - killed
        finally:
            launch.send_signal(signal.SIGINT)
            launch.wait(timeout=60)


def bare_start(folder: Path) -> dict[str, float]:
    """Seconds from `fit()` to the first line of the workers' function, and to their first step."""
    script = f"""
import json, os, sys, time
sys.path[:0] = [{str(Path.cwd())!r}]
from benchmarks.recovery import bare_fit
print("FOUND " + json.dumps(bare_fit({str(folder)!r})))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=_LIMIT_S
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("FOUND "))
    found: dict[str, float] = json.loads(line.removeprefix("FOUND "))
    return found


def bare_fit(folder: str) -> dict[str, float]:
    """Run it on a Ray of our own."""
    os.environ["RAY_TRAIN_V2_ENABLED"] = "1"
    os.environ["PYTHONPATH"] = os.getcwd()
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    ray.init(address="local", include_dashboard=False, num_cpus=2, log_to_driver=False)
    trainer = TorchTrainer(
        bare_worker,
        train_loop_config={"folder": folder},
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(name="bare", storage_path=tempfile.mkdtemp()),
    )
    began = time.time()
    stamps = trainer.fit().return_value
    ray.shutdown()
    return {name: stamps[name] - began for name in ("first_line", "first_step")}


def bare_worker(config: dict[str, str]) -> dict[str, float]:
    """TRL by hand on one of two ranks, one step of it."""
    first_line = time.time()
    from benchmarks.bare_trl import bare_trainer

    folder = Path(config["folder"])
    bare_trainer(
        folder / "model",
        WORKLOAD.texts(shorter_by=1),
        folder / "bare",
        steps=1,
        batch=BATCH // 2,
        resident_reference=True,
    ).train()
    return {"first_line": first_line, "first_step": time.time()}


def _study(folder: Path, number: int) -> Path:
    rows = "".join(json.dumps(texts) + "\n" for texts in WORKLOAD.texts())
    (folder / "pairs.jsonl").write_text(rows, encoding="utf-8")
    stages: dict[str, Any] = {
        "base": {"kind": "pretrained", "params": {"source": "model"}},
        "pairs": {
            "kind": "pairs",
            "params": {"format": "prompt-chosen-rejected", "source": "pairs.jsonl"},
        },
        "reference": {"kind": "reference", "inputs": {"model": "base", "pairs": "pairs"}},
        "aligned": {
            "kind": "align",
            "inputs": {"model": "base", "pairs": "pairs", "reference": "reference"},
            "params": {
                "steps": _STEPS,
                "global_batch": BATCH,
                "num_ranks": 2,
                "num_gpus": 0,
                "checkpoint_every": _KILLED_AFTER // 2,
            },
        },
    }
    path = folder / f"recovery-{number}.yaml"
    # JSON is YAML.
    study = {"study": f"recovery-{number}", "stages": stages}
    path.write_text(json.dumps(study), encoding="utf-8")
    return path


def _attempt_with(root: Path, name: str, but: Path | None = None) -> Path | None:
    """Find the newest attempt at the training job that holds a file."""
    found = [
        path
        for path in sorted(root.glob("artifacts/align/*/attempts/*"))
        if path != but and (path / name).exists()
    ]
    return found[-1] if found else None


def _process_writing(log: Path) -> int:
    """Find the process that has a log open, and is not the one that keeps it."""
    for link in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            command = (link.parent.parent / "cmdline").read_bytes()
            if link.resolve() == log.resolve() and b"log_keeper" not in command:
                return int(link.parts[2])
        except OSError:
            continue
    raise AssertionError(f"nobody writes {log}")


def _until(look: Callable[[], Path | None], launch: "subprocess.Popen[bytes]") -> Path:
    until = time.monotonic() + _LIMIT_S
    while time.monotonic() < until:
        found = look()
        if found is not None:
            return found
        assert launch.poll() is None, f"the launch ended with {launch.returncode}"
        time.sleep(0.02)
    raise TimeoutError(f"nothing within {_LIMIT_S:g} s")


if __name__ == "__main__":
    main()

"""What hangs cost and what watching costs: from a hang to the next step, false alarms, overhead.

    python -m benchmarks.liveness simulated        # seconds
    python -m benchmarks.liveness overhead
    python -m benchmarks.liveness telemetry
    python -m benchmarks.liveness hang --rounds 3  # real launches, minutes each

`hang`: a launch on a Ray of its own trains on two ranks; one of them is stopped by a signal, sleeps
or spins for ever inside a step (`--how`). The clock runs from that moment to the decision, to the
stacks, and to the next attempt's first step.
`overhead`: processor time of what a step and a beat of the heartbeats cost, beside the step of a
tiny model. `telemetry`: processor time that the launch's telemetry takes of
one core, by ranks that run: reading heartbeats, adding up, writing Parquet. `simulated`: jobs of
500 steps with step times of several families, and how many of them
have a step beyond its limit though they are well. By the rule alone those would be ended; a launch
ends of them what neither moves nor computes.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.preference_workload import random_checkpoint
from benchmarks.recovery import WORKLOAD, training_study
from benchmarks.waiting import until
from benchmarks.workload import arguments, settled
from cluster.machine.process_stat import process_stat
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Job
from jobs.liveness.beating import BEAT_EVERY_S, beating
from jobs.liveness.heartbeat import Heartbeat, Phase, heartbeat_name
from jobs.liveness.pulse import Pulse
from jobs.telemetry.parts import MOST_ROWS
from orchestrator.dispatch.telemetry import FLUSHES_EVERY_S, SAMPLES_EVERY_S, Telemetry
from orchestrator.records.events import Submitted
from orchestrator.watchdog.limits import Limits

_JOBS, _STEPS, _SEED = 1000, 500, 20260715
_HANGS_AFTER = 60
_FAULTS = {"sleeps": "stall", "spins": "spin"}
"""How a rank hangs -> the fault that has it do so; one that is stopped gets a signal."""
_LOOKS = 20


def main() -> None:
    """Print the rows that are asked for."""
    parser = arguments(__doc__)
    parser.add_argument("what", choices=["simulated", "overhead", "telemetry", "hang"])
    parser.add_argument("--rounds", type=int, default=3)
    ways = ["stopped", *_FAULTS]
    parser.add_argument("--how", nargs="+", choices=ways, default=ways)
    chosen = parser.parse_args()
    if chosen.what == "simulated":
        for row in simulated():
            print(row, flush=True)
        return
    print(settled(chosen), flush=True)
    with tempfile.TemporaryDirectory() as name:
        if chosen.what == "overhead":
            print(overhead(Path(name)), flush=True)
            return
        if chosen.what == "telemetry":
            for num_ranks in (1, 16, 200):
                print(telemetry(Path(name), num_ranks), flush=True)
            return
        random_checkpoint(WORKLOAD, Path(name) / "model")
        for number in range(chosen.rounds):
            for how in chosen.how:
                print(hang(Path(name), number, how), flush=True)


def simulated() -> Iterator[str]:
    """Yield a line for each family of step times: jobs beyond the limit of a step, and how far."""
    generator = np.random.default_rng(_SEED)
    for name, draw in families(generator).items():
        times = draw()
        longest = np.maximum.accumulate(times, axis=1)[:, :-1]
        limits = Limits()
        allowed = limits.step_factor * longest + limits.step_slack_s
        ended = int((times[:, 1:] > allowed).any(axis=1).sum())
        used = float((times[:, 1:] / allowed).max())
        yield f"{name}: {ended} of {_JOBS} jobs beyond it; longest step {used:.2f} of its limit"


def families(generator: np.random.Generator) -> dict[str, Callable[[], np.ndarray]]:
    """Return families of step times: name -> draws jobs x steps, in seconds."""

    def lognormal(sigma: float = 0.6) -> np.ndarray:
        return 2.0 * np.exp(sigma * generator.standard_normal((_JOBS, _STEPS)))

    def every(number: int, factor: float, offset: int = 0) -> np.ndarray:
        times = lognormal()
        times[:, number - 1 - offset :: number] *= factor
        return times

    def drifting() -> np.ndarray:
        return lognormal(0.2) * np.geomspace(1.0, 50.0, _STEPS)

    def pareto(shape: float) -> np.ndarray:
        return 2.0 * (1.0 + generator.pareto(shape, (_JOBS, _STEPS)))

    def contended() -> np.ndarray:
        times = lognormal()
        times[:, 250:300] *= 10.0  # a neighbour takes the processors for 50 steps
        return times

    return {
        "lognormal, median 2 s, sigma 0.6": lognormal,
        "lognormal, sigma 1.0": lambda: lognormal(1.0),
        "Pareto tail, shape 3": lambda: pareto(3.0),
        "Pareto tail, shape 1.5": lambda: pareto(1.5),
        "growing fiftyfold over the run": drifting,
        "a neighbour: 50 steps tenfold": contended,
        "checkpoints every 50 steps, 10 times a step, seen as a step": lambda: every(50, 10.0),
        "evaluation every 100 steps, 30 times a step, seen as a step": lambda: every(100, 30.0),
    }


def overhead(folder: Path) -> str:
    """Measure what a step notes, and what a beat writes, in processor time."""
    storage, attempt = Storage(folder), "artifacts/align/0/attempts/1"
    storage.make_folder(attempt)
    pulse, num = Pulse(), 200_000
    began = time.process_time()
    for step in range(num):
        pulse.note_step(step, num)
        pulse.enter(Phase.STEPPING)
    step_s = (time.process_time() - began) / num
    beats, busy_s = 0, 0.0
    with beating(pulse, storage, attempt, "here"):
        thread = next(one for one in threading.enumerate() if one.name == "signs of life")
        while not (storage.path(attempt) / "alive/0.json").exists():
            time.sleep(0.05)
        clock = time.pthread_getcpuclockid(thread.ident or 0)
        before, first = time.clock_gettime(clock), _beat(storage, attempt)
        time.sleep(10 * BEAT_EVERY_S[True])
        busy_s = time.clock_gettime(clock) - before
        beats = _beat(storage, attempt) - first
    beat_s = busy_s / beats
    per_second = beat_s / BEAT_EVERY_S[True]
    lines = [
        f"a step notes for {step_s * 1e6:.2f} us; a beat takes {beat_s * 1e6:.0f} us of processor "
        f"time, one every {BEAT_EVERY_S[True]:g} s"
    ]
    lines += [
        f"of a step of {seconds * 1e3:g} ms that is {100 * (step_s / seconds + per_second):.4f} %"
        for seconds in (0.002, 0.02, 0.2, 2.0)
    ]
    return "\n".join(lines)


def _beat(storage: Storage, attempt: str) -> int:
    number: int = json.loads((storage.path(attempt) / "alive/0.json").read_text())["beat"]
    return number


def telemetry(folder: Path, num_ranks: int) -> str:
    """Measure what a minute of telemetry takes of one core while so many ranks run.

    The thread of a launch samples every 10 s and writes once a minute; no job waits for it, so on a
    machine that it shares with a job its share of a core is the most that a step can lose.
    """
    storage = Storage(folder / f"telemetry-{num_ranks}")
    jobs = [
        Job(kind="align", version=1, params={}, identity_params={"number": number}, stage="train")
        for number in range(num_ranks)
    ]
    told = Telemetry(storage, "study", "launch", {job.key: job for job in jobs})
    told._thread = threading.Thread()  # what its thread does is done here, to be measured
    for job in jobs:
        told.note(Submitted(at=time.time(), key=job.key, attempt=f"{job.key16}-1", num_gpus=1))

    def look(number: int) -> float:
        beat = Heartbeat(
            rank=0, beat=number, node="n1", phase=Phase.STEPPING, step=number, steps=5000,
            unit="step", rate=2.5, tokens=4096 * number, longest_s=2.0, median_s=0.4, idle_s=0.1,
            memory_gb=3.1, gpu_memory_gb=41.2, gpu_use=0.93,
        )  # fmt: skip
        for job in jobs:
            attempt = Artifact(storage, job.kind, job.key).attempt_folder(f"{job.key16}-1")
            storage.write(heartbeat_name(attempt, 0), beat.to_json().encode())
        began = time.thread_time()
        told._sample()
        return time.thread_time() - began

    for number in range(MOST_ROWS // 2):  # a part that is half full
        where = {"attempt": f"{jobs[0].key16}-1", "key": jobs[0].key, "stage": "train"}
        told._samples.add({"at": number, **where, "rank": 0, "step": number, "memory_gb": number})
    told._flush()
    looks = [look(1000 + number) for number in range(_LOOKS)]
    began = time.thread_time()
    told._flush()
    flush_s = time.thread_time() - began
    look_s = sum(looks) / len(looks)
    share = 100 * (look_s / SAMPLES_EVERY_S[True] + flush_s / FLUSHES_EVERY_S)
    return (
        f"{num_ranks} ranks: a look takes {look_s * 1e3:.2f} ms of processor time, one every "
        f"{SAMPLES_EVERY_S[True]:g} s, a flush {flush_s * 1e3:.1f} ms, one every "
        f"{FLUSHES_EVERY_S:g} s: {share:.3f} % of one core"
    )


def hang(folder: Path, number: int, how: str) -> str:
    """Have a rank hang for ever inside a step; say how long the decision and the next step took."""
    name = f"hang-{how}-{number}"
    study, root = training_study(folder, name, 2), folder / f"root-{name}"
    words = [sys.executable, "-m", "orchestrator.cli", "launch", str(study), "--root", str(root)]
    if how != "stopped":
        words += ["--chaos", f"{_FAULTS[how]}=100000@aligned@step:{_HANGS_AFTER + 1}"]
    with (
        open(folder / f"{name}.txt", "w", encoding="utf-8") as output,
        subprocess.Popen(words, stdout=output, stderr=output) as launch,
    ):
        try:
            first = until(lambda: _at(root, _HANGS_AFTER), launch)
            hung = time.monotonic()
            if how == "stopped":
                os.kill(_beats(first)[1]["pid"], signal.SIGSTOP)
            else:
                struck = "studies/*/chaos/*/injected/*.json"
                file = until(lambda: next(root.glob(struck), None), launch)
                hung = time.monotonic() - (time.time() - file.stat().st_mtime)  # told of later
            until(lambda: next(first.glob("stacks/1-*.txt"), None), launch)
            looked = time.monotonic() - hung
            beats = _beats(first)
            until(lambda: not any(_is_there(beat["pid"]) for beat in beats), launch)
            decided = time.monotonic() - hung
            until(lambda: _with_log(root, but=first), launch)
            again = time.monotonic() - hung
        finally:
            launch.send_signal(signal.SIGINT)
            launch.wait(timeout=60)
    longest_s, limits = max(beat["longest_s"] for beat in beats), Limits()
    limit_s = limits.step_limit_s(longest_s, None)
    if how == "stopped":
        limit_s = limits.stopped_step_limit_s(longest_s)
    stacks = len([*first.glob("stacks/*.txt")])
    return (
        f"{WORKLOAD}; a rank {how}: hang to first look {looked:.1f} s, to the kill {decided:.1f} s "
        f"(limit {limit_s:.1f}), to the next attempt's first step {again:.1f} s (target 3 x "
        f"{longest_s:.2f} + 30 = {3 * longest_s + 30:.1f}); {stacks} files of stacks"
    )


def _at(root: Path, step: int) -> Path | None:
    for file in root.glob("artifacts/align/*/attempts/*/alive/1.json"):
        if (json.loads(file.read_text()).get("step") or 0) >= step:
            return file.parents[1]
    return None


def _beats(attempt: Path) -> list[dict[str, Any]]:
    return [json.loads((attempt / f"alive/{rank}.json").read_text()) for rank in range(2)]


def _with_log(root: Path, but: Path) -> Path | None:
    found = root.glob("artifacts/align/*/attempts/*/training_log.jsonl")
    return next((file for file in found if file.parent != but), None)


def _is_there(pid: int) -> bool:
    stat = process_stat(pid)
    return stat is not None and not stat.has_ended


if __name__ == "__main__":
    main()

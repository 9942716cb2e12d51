"""What a launch costs beside the jobs' own work: rate of empty jobs, start of a study, its status.

    python -m benchmarks.scheduling [--jobs 1000] [--turns 3] [--against 77fa24f]

A job here is an empty `probe`: assignment, claim, attempt folder, log, record, ledger and all,
nothing computed. Whatever is compared takes turns, each in processes of its own: bare Ray tasks,
this checkout and the earlier commit, which `git archive` lays out in a temporary folder. A rate
runs from the moment that the first job or task is at work to the last ending. Bare tasks have warm
workers by then; of a launch one worker has begun its first job, and what the others still import
counts. How long a worker takes to its first job is what `start` measures; the rate from the first
submission on, which is before any worker of a launch is ready, is kept beside. Processor time is
that of the launch and of all that it started, Ray included, in the same span.

Nothing is deleted before the end: ext4 passes over what was deleted in the last half minute, name
by name, and a new file then costs fifty times as much.
"""

import argparse
import json
import os
import platform
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from benchmarks.planning import flat_study
from benchmarks.waiting import until
from benchmarks.warm_ray import bare_start, family, warm_ray

_HERE = Path(__file__).parents[1]
_RESULT = _HERE / "benchmarks" / "results" / "scheduling.json"
_SAMPLE_EVERY_S = 0.1
_SETTLED_S = 5.0
"""Pause before each turn: the disk has what the last one wrote, and its processes have ended."""
_QUEUE = 8
"""Bare tasks in flight: more gave no more on 2 cores."""

_BARE = """
import logging, sys, time
import ray
num_tasks, cores = int(sys.argv[1]), int(sys.argv[2])
ray.init(address="local", include_dashboard=False, log_to_driver=False, num_cpus=cores,
         logging_level=logging.ERROR)
def empty():
    return None
empty = ray.remote(max_retries=0)(empty)
ray.get([empty.remote() for _ in range(cores)])
began, pending = time.time(), []
for _ in range(num_tasks):
    if len(pending) == int(sys.argv[3]):
        _, pending = ray.wait(pending, num_returns=1)
    pending.append(empty.remote())
ray.get(pending)
print("span", began, time.time())
ray.shutdown()
"""


@dataclass(frozen=True, kw_only=True)
class Rate:
    """How fast one of the sides was in one turn."""

    per_s: float
    """Jobs or tasks a second, from the first at work to the last ending."""
    submitted_per_s: float
    """Jobs or tasks a second, from the first submission to the last ending."""
    processor_ms: float
    """Processor time of each, over all processes."""


def main() -> None:
    """Measure, print the table and write the result file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--large", type=int, default=10_000, help="jobs of the study for `status`")
    parser.add_argument("--against", default="77fa24f", help="earlier commit; empty for none")
    parser.add_argument("--out", type=Path, default=_RESULT)
    asked = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # a user's Python compiles our code once
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        bench = _Bench(Path(name), cores)
        result: dict[str, object] = {"machine": _machine(cores)}
        if asked.turns:
            result["rate"] = bench.rates(asked.jobs, asked.turns, asked.against)
        if asked.starts:
            result["start"] = bench.starts(asked.starts)
        if asked.large:
            result["large"] = bench.large(asked.large)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"written: {asked.out}")


class _Bench:
    """What is measured, in one temporary folder on one machine."""

    def __init__(self, folder: Path, cores: int) -> None:
        self._folder, self._cores = folder, cores

    def rates(self, jobs: int, turns: int, against: str) -> Mapping[str, object]:
        """Measure how many empty jobs a second end, in turns with bare tasks and another commit."""
        study = self._folder / "flat.yaml"
        study.write_text(flat_study(jobs))
        sides: dict[str, Callable[[int], Rate]] = {
            "bare Ray tasks": lambda _: self._bare(jobs),
            "launch": lambda turn: self._launched(_HERE, study, f"ours-{turn}"),
        }
        if against:
            tree = _lay_out(against, self._folder / "earlier")
            sides[f"launch at {against}"] = lambda turn: self._launched(tree, study, f"old-{turn}")
        measured: dict[str, list[Rate]] = {name: [] for name in sides}
        for turn in range(turns):
            for name, measure in sides.items():
                os.sync()
                time.sleep(_SETTLED_S)
                measured[name].append(measure(turn))
                last = measured[name][-1]
                print(f"{name:20} {last.per_s:8.1f} /s  {last.processor_ms:6.2f} ms of processor")
        ratios = {
            name: [
                ours.per_s / theirs.per_s
                for ours, theirs in zip(measured["launch"], others, strict=True)
            ]
            for name, others in measured.items()
            if name != "launch"
        }
        for name, over in ratios.items():
            print(f"launch over {name:20} {statistics.median(over):6.3f}  {_listed(over)}")

        def of_each(value: Callable[[Rate], float]) -> Mapping[str, Sequence[float]]:
            return {name: list(map(value, all_)) for name, all_ in measured.items()}

        return {
            "jobs": jobs,
            "per_s": of_each(lambda one: round(one.per_s, 1)),
            "per_s_from_submission": of_each(lambda one: round(one.submitted_per_s, 1)),
            "processor_ms": of_each(lambda one: round(one.processor_ms, 2)),
            "launch_over": {name: [round(one, 4) for one in over] for name, over in ratios.items()},
        }

    def starts(self, turns: int) -> Mapping[str, object]:
        """Measure from a command to its first job at work, on a warm Ray, beside a bare script."""
        study = self._folder / "one.yaml"
        study.write_text(flat_study(4).replace("planning", "start"))
        with warm_ray(self._folder, self._cores) as address:
            self._first_job(study, address, "start-warm")
            pairs = []
            for turn in range(turns):
                bare = bare_start(address)
                ours = self._first_job(study, address, f"start-{turn}")
                assert bare is not None, "the Ray has gone"
                print(f"first job after {ours:5.2f} s, bare task after {bare:5.2f} s")
                pairs.append((ours, bare))
        over = [ours - bare for ours, bare in pairs]
        print(f"start of a study over a bare task: {statistics.median(over):.2f} s {_listed(over)}")
        return {
            "launch_s": [round(ours, 3) for ours, _ in pairs],
            "bare_s": [round(bare, 3) for _, bare in pairs],
            "over_bare_s": round(statistics.median(over), 3),
        }

    def large(self, num_jobs: int) -> Mapping[str, object]:
        """Measure `status` of a large study while it runs and afterwards, and its launch's plan."""
        study, root = self._folder / "large.yaml", self._folder / "large"
        study.write_text(flat_study(num_jobs).replace("planning", "large"))
        began = time.time()
        launch = self._start(_HERE, ["launch", str(study), *self._where(root)])
        try:
            until(lambda: _events(root, "large", "ended"), launch)
            first = min(event["at"] for event in _events(root, "large", "submitted")) - began
            running = [self._status(root) for _ in range(3)]
            launch.send_signal(signal.SIGTERM)
        finally:
            launch.wait(120)
        resting = [self._status(root) for _ in range(3)]
        print(f"{num_jobs} jobs: first submitted after {first:.2f} s, Ray's start included")
        print(f"status while it runs: {_listed(running)} s; afterwards: {_listed(resting)} s")
        return {
            "jobs": num_jobs,
            "first_submitted_s": round(first, 2),
            "status_running_s": [round(one, 3) for one in running],
            "status_resting_s": [round(one, 3) for one in resting],
        }

    def _where(self, root: Path) -> Sequence[str]:
        return ["--root", str(root), "--cpus", str(self._cores)]

    def _start(self, tree: Path, words: Sequence[str]) -> "subprocess.Popen[str]":
        return subprocess.Popen(
            [sys.executable, "-m", "orchestrator.cli", *words],
            cwd=self._folder, env={**os.environ, "PYTHONPATH": str(tree)}, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip

    def _launched(self, tree: Path, study: Path, name: str) -> Rate:
        root = self._folder / name
        launch = self._start(tree, ["launch", str(study), *self._where(root)])
        samples, said = _follow(launch)
        assert launch.returncode == 0, said
        ended = [event for event in _events(root, "planning", "ended") if event["result"] == "done"]
        submitted = min(event["at"] for event in _events(root, "planning", "submitted"))
        last = max(event["at"] for event in ended)
        return _rate(len(ended), submitted, (_first_at_work(root), last), samples)

    def _bare(self, num_tasks: int) -> Rate:
        return self._script(_BARE, num_tasks, str(num_tasks), str(self._cores), str(_QUEUE))

    def _script(self, code: str, number: int, *words: str) -> Rate:
        script = subprocess.Popen(
            [sys.executable, "-c", code, *words], text=True, cwd=self._folder,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        samples, said = _follow(script)
        match = re.search(r"^span (\S+) (\S+)$", said, re.MULTILINE)
        assert match, said
        began, ended = float(match[1]), float(match[2])
        return _rate(number, began, (began, ended), samples)

    def _first_job(self, study: Path, address: str, name: str) -> float:
        root, began = self._folder / name, time.time()
        words = ["launch", str(study), "--root", str(root), "--address", address]
        launch = self._start(_HERE, words)
        said = launch.communicate(timeout=120)[0]
        assert launch.returncode == 0, said
        return _first_at_work(root) - began

    def _status(self, root: Path) -> float:
        began = time.perf_counter()
        status = self._start(_HERE, ["status", "large", "--root", str(root)])
        said = status.communicate(timeout=120)[0]
        assert status.returncode in (0, 1), said
        return time.perf_counter() - began


def _lay_out(commit: str, folder: Path) -> Path:
    """Write the files of a commit into a folder."""
    folder.mkdir()
    archive = subprocess.run(
        ["git", "-C", str(_HERE), "archive", commit], capture_output=True, check=True
    )
    subprocess.run(["tar", "-x", "-C", str(folder)], input=archive.stdout, check=True)
    return folder


def _follow(process: "subprocess.Popen[str]") -> tuple[Sequence[tuple[float, float]], str]:
    """Wait for a process; return its family's processor time as it grew, and what it printed."""
    spent: dict[int, float] = {}
    samples = []
    with process:
        while process.poll() is None:
            for member in family(process.pid):
                try:
                    times = member.cpu_times()
                except psutil.Error:
                    continue
                spent[member.pid] = times.user + times.system
            samples.append((time.time(), sum(spent.values())))
            time.sleep(_SAMPLE_EVERY_S)
        assert process.stdout is not None
        return samples, process.stdout.read()


def _first_at_work(root: Path) -> float:
    """Return when the first job began: its attempt makes the folder that is its own first."""
    folders = root.glob("artifacts/probe/*/attempts")
    return min(folder.stat().st_ctime for folder in folders)


_Samples = Sequence[tuple[float, float]]


def _rate(number: int, submitted: float, span: tuple[float, float], samples: _Samples) -> Rate:
    began, ended = span
    spent = [min(samples, key=lambda sample: abs(sample[0] - at))[1] for at in span]
    return Rate(
        per_s=number / (ended - began),
        submitted_per_s=number / (ended - submitted),
        processor_ms=1000 * (spent[1] - spent[0]) / number,
    )


def _events(root: Path, study: str, name: str) -> list[dict[str, Any]]:
    """Return the events of one name in a ledger, of this version or an earlier one."""
    lines = [
        line
        for file in root.glob(f"studies/{study}/ledger/*")
        for line in file.read_text().splitlines(keepends=True)
    ]
    events = [json.loads(line) for line in lines if line.endswith("\n")]
    return [event for event in events if event["event"] == name]


def _machine(cores: int) -> Mapping[str, object]:
    commit = ["git", "-C", str(_HERE), "rev-parse", "--short=12", "HEAD"]
    return {
        "cores": cores,
        "processor": _processor(),
        "system": platform.platform(),
        "python": platform.python_version(),
        "ray": metadata.version("ray"),
        "commit": subprocess.run(commit, capture_output=True, text=True).stdout.strip(),
        "load_before": os.getloadavg()[0],
        "date": time.strftime("%Y-%m-%d"),
    }


def _processor() -> str:
    names = re.findall(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text())
    return names[0] if names else platform.processor()


def _listed(values: Sequence[float]) -> str:
    return "[" + " ".join(f"{value:.3g}" for value in values) + "]"


if __name__ == "__main__":
    main()

"""What one job costs through `deltascale launch` on a local Ray, beside bare Ray and Ray Tune.

    python -m benchmarks.dispatch [--jobs 1000] [--trials 20] [--again 10000]

A job here is an empty `probe`: payload, claim, attempt folder, log, record, ledger and all, nothing
computed. Rates run from the first submission to the last ending, Ray's own start left out. At the
end, `launch` once more on a root where that many jobs are done, as a fresh process.
"""

import argparse
import logging
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.planning import finish, flat_study, tree_study
from cluster.executors.ray import Executor
from cluster.machine.resources import Resources
from cluster.storage import Storage
from orchestrator.dispatch.execution import new_launch_id, run_study
from orchestrator.plan.plan import make_plan
from orchestrator.records.history import History
from orchestrator.records.ledger import Ended, Submitted, read_events
from orchestrator.study.study import load_study

_QUEUE = 8
"""Bare tasks in flight: more gave no more on 2 cores."""


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--again", type=int, default=10_000)
    asked = parser.parse_args()
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as name:
        ours = _launched(asked.jobs, Path(name), cores)
        tasks, trials = _bare(asked.jobs, asked.trials, Path(name), cores)
        print(f"{cores} cores; load before this run {os.getloadavg()[2]:.1f}")
        print(f"{'deltascale launch':24}{ours:8.1f} jobs/s")
        print(f"{'bare Ray tasks':24}{tasks:8.1f} tasks/s   launch is {ours / tasks:6.3f} of it")
        print(f"{'Ray Tune':24}{trials:8.1f} trials/s  launch is {ours / trials:6.1f} of it")
        _again(asked.again, Path(name))


def _launched(num_jobs: int, folder: Path, cores: int) -> float:
    study, root = folder / "flat.yaml", Storage(folder / "root")
    study.write_text(flat_study(num_jobs))
    report = run_study(
        make_plan(load_study(study)).jobs,
        done=set(),
        storage=root,
        study="planning",
        launch=new_launch_id(),
        executor=Executor(offered=Resources(num_cpus=cores)),
        executor_name="ray",
        past=History(),
    )
    assert len(report.ran) == num_jobs, report.state
    events = list(read_events(root, "planning"))
    first = next(event.at for event in events if isinstance(event, Submitted))
    last = max(event.at for event in events if isinstance(event, Ended))
    return num_jobs / (last - first)


def _bare(num_tasks: int, num_trials: int, folder: Path, cores: int) -> tuple[float, float]:
    os.environ["RAY_AIR_NEW_OUTPUT"] = "0"
    import ray
    from ray import tune

    ray.init(
        address="local",
        include_dashboard=False,
        log_to_driver=False,
        num_cpus=cores,
        logging_level=logging.ERROR,
    )
    empty = ray.remote(max_retries=0)(_empty)
    ray.get([empty.remote() for _ in range(cores)])
    began = time.perf_counter()
    pending: list[Any] = []
    for _ in range(num_tasks):
        if len(pending) == _QUEUE:
            _, pending = ray.wait(pending, num_returns=1)
        pending.append(empty.remote())
    ray.get(pending)
    tasks = num_tasks / (time.perf_counter() - began)
    began = time.perf_counter()
    tuner = tune.Tuner(
        tune.with_resources(_trial, {"cpu": 1}),
        param_space={"index": tune.grid_search(list(range(num_trials)))},
        run_config=tune.RunConfig(storage_path=str(folder / "tune"), verbose=0),
    )
    results = tuner.fit()
    trials = num_trials / (time.perf_counter() - began)
    assert len(results) == num_trials
    assert not results.errors
    ray.shutdown()
    return tasks, trials


def _empty() -> None:
    """Do nothing, as a task."""


def _trial(config: dict[str, Any]) -> dict[str, Any]:
    """Do nothing, as a trial."""
    return {"index": config["index"]}


def _again(num_jobs: int, folder: Path) -> None:
    study, root = folder / "tree.yaml", folder / "full"
    study.write_text(tree_study(num_jobs))
    finish(study, root)
    words = [sys.executable, "-m", "orchestrator.cli", "launch", str(study), "--root", str(root)]
    began = time.perf_counter()
    said = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    seconds = time.perf_counter() - began
    # Of all children so far; Ray's are not ours to wait for.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1000
    print(f"launch again: {seconds:.2f} s, at most {peak:.0f} MB: {said.splitlines()[0]}")


if __name__ == "__main__":
    main()

"""What bare Ray needs after the same kills, and a node killed under a call of ours.

Each runs in a process of its own: `bare("killed_task", folder)`.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.preference_workload import PreferenceWorkload, gpt2_fields
from cluster.executor import Surroundings

WORKLOAD = PreferenceWorkload(
    fields=gpt2_fields(num_layers=4, d_model=128, num_heads=4, vocab_size=2000),
    prompt_tokens=16,
    completion_tokens=16,
)
_LIMIT_S = 300.0
_PAUSE_S = 0.02


def bare(name: str, folder: Path) -> dict[str, Any]:
    """Run one of the functions below in a process of its own; return what it found."""
    script = f"""
import json, sys
sys.path[:0] = [{str(Path.cwd())!r}]
from benchmarks import recovery_bare
print("FOUND " + json.dumps(getattr(recovery_bare, {name!r})({str(folder)!r})))
"""
    environment = {**os.environ, "PYTHONPATH": os.getcwd(), "RAY_TRAIN_V2_ENABLED": "1"}
    began = time.time()
    done = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        env={**environment, "RECOVERY_BEGAN": str(began)},
    )
    lines = [line for line in done.stdout.splitlines() if line.startswith("FOUND ")]
    if not lines:
        raise RuntimeError((done.stderr.strip().splitlines() or ["it printed nothing"])[-1])
    found: dict[str, Any] = json.loads(lines[-1].removeprefix("FOUND "))
    return found


def started(folder: str) -> dict[str, float]:
    """Start Ray and run a task, from the start of the process on."""
    import ray

    ray.init(address="local", include_dashboard=False, num_cpus=2, log_to_driver=False)
    ray.get(ray.remote(_now).remote())
    found = {"first_task": time.time() - float(os.environ["RECOVERY_BEGAN"])}
    ray.shutdown()
    return found


def killed_task(folder: str) -> dict[str, float]:
    """Kill a task that trains after its first step; Ray tries it again until its first step."""
    import ray

    ray.init(address="local", include_dashboard=False, num_cpus=2, log_to_driver=False)
    place = Path(tempfile.mkdtemp(dir=folder))
    ref = ray.remote(num_cpus=1, max_retries=1)(_train_alone).remote(folder, str(place))
    first = _wait_for(place, 1)[0]
    os.kill(int(first.name), signal.SIGKILL)
    killed = time.monotonic()
    _wait_for(place, 2)
    found = {"recovery": time.monotonic() - killed}
    ray.cancel(ref, force=True)
    ray.shutdown()
    return found


def first_steps_of_train(folder: str) -> dict[str, float]:
    """Time Ray Train from `fit()` to the workers' first line, and to their first step."""
    import ray
    from ray.train import RunConfig, ScalingConfig
    from ray.train.torch import TorchTrainer

    ray.init(address="local", include_dashboard=False, num_cpus=2, log_to_driver=False)
    trainer = TorchTrainer(
        _train_as_rank,
        train_loop_config={"folder": folder},
        scaling_config=ScalingConfig(num_workers=2),
        run_config=RunConfig(name="bare", storage_path=tempfile.mkdtemp(dir=folder)),
    )
    began = time.time()
    stamps = trainer.fit().return_value
    ray.shutdown()
    return {name: stamps[name] - began for name in ("first_line", "first_step")}


def node_killed(folder: str) -> dict[str, Any]:
    """Kill a node under a task; wait until that fails, and until Ray says that the node is dead."""
    import ray
    from ray.cluster_utils import Cluster

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=2)
    ray.init(address=cluster.address, log_to_driver=False)
    place = Path(tempfile.mkdtemp(dir=folder))
    ref = ray.remote(num_cpus=2, max_retries=0)(_stay).remote(str(place))
    _wait_for(place, 1)
    killed = time.monotonic()
    _kill_node(second)
    error = "nothing"
    try:
        ray.get(ref, timeout=_LIMIT_S)
    except ray.exceptions.RayError as fault:
        error = type(fault).__name__
    raised = time.monotonic() - killed
    while all(node["Alive"] for node in ray.nodes()):
        assert time.monotonic() - killed < _LIMIT_S, "Ray takes the node for alive"
        time.sleep(_PAUSE_S)
    known = time.monotonic() - killed
    ray.shutdown()
    cluster.shutdown()
    return {"raised": raised, "error": error, "known": known}


def node_killed_under_ours(folder: str) -> dict[str, Any]:
    """Kill a node under a call of our executor, and wait until that has its class."""
    from ray.cluster_utils import Cluster

    from cluster.executors.ray import Executor
    from cluster.machine.resources import Resources

    os.environ["DELTASCALE_ALLOW_OPEN_RAY"] = "1"
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    second = cluster.add_node(num_cpus=2)
    cluster.wait_for_nodes()
    executor = Executor(address=cluster.address)
    executor.start()
    place = Path(tempfile.mkdtemp(dir=folder))
    executor.submit("t", "benchmarks.recovery_bare:stay", str(place), Resources(num_cpus=2))
    _wait_for(place, 1)
    until = time.monotonic() + 5
    while time.monotonic() < until:  # it has been looked at while it lived, as in any launch
        executor.wait(0.5)
    killed = time.monotonic()
    _kill_node(second)
    while not (outcomes := executor.wait(0.05)):
        assert time.monotonic() - killed < _LIMIT_S, "no end was reported"
    fault_class = outcomes[0].fault_class
    found = {
        "decided": time.monotonic() - killed,
        "fault_class": fault_class.value if fault_class else "none",
    }
    executor.close()
    cluster.shutdown()
    return found


def _now() -> float:
    return time.time()


def stay(payload: str, surroundings: Surroundings) -> str:
    """Say that it has begun, and stay until it is killed."""
    _stay(payload)
    return ""


def _stay(place: str) -> None:
    (Path(place) / str(os.getpid())).touch()
    while True:
        time.sleep(_PAUSE_S)


def _kill_node(node: Any) -> None:
    """Kill all processes of a node at once, as a machine takes them with it."""
    import psutil

    raylets = [started.process.pid for started in node.all_processes["raylet"]]
    family = [child for pid in raylets for child in psutil.Process(pid).children(recursive=True)]
    for process in [*map(psutil.Process, raylets), *family]:
        try:
            process.kill()
        except psutil.NoSuchProcess:
            continue


def _wait_for(place: Path, number: int) -> list[Path]:
    """Wait until so many processes have left their file, the oldest first."""
    until = time.monotonic() + _LIMIT_S
    while time.monotonic() < until:
        files = sorted(place.iterdir(), key=lambda file: file.stat().st_mtime)
        if len(files) >= number:
            return files
        time.sleep(_PAUSE_S)
    raise TimeoutError(f"{number} processes did not come that far within {_LIMIT_S:g} s")


def _train_alone(folder: str, place: str) -> None:
    """Train by hand in one process, tell after the first step, and stay."""
    _first_step(folder, batch=4)
    _stay(place)


def _train_as_rank(config: dict[str, str]) -> dict[str, float]:
    """Train by hand on one of two ranks, one step of it."""
    first_line = time.time()
    _first_step(config["folder"], batch=2)
    return {"first_line": first_line, "first_step": time.time()}


def _first_step(folder: str, *, batch: int) -> None:
    from benchmarks.bare_trl import bare_trainer

    bare_trainer(
        Path(folder) / "model",
        WORKLOAD.texts(shorter_by=1),
        Path(folder) / "bare",
        steps=1,
        batch=batch,
        resident_reference=True,
    ).train()

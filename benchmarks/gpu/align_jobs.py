"""Whole `align` jobs on the GPU: from a checkpoint on disk to a record, through the worker's entry.

Several jobs share a root with one random model, its pairs, and the pairs' scores.
"""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from benchmarks.gpu.machine import Machine
from benchmarks.preference_workload import BenchmarkRoot, PreferenceWorkload
from benchmarks.training import quiet

_PRELOADED = ("deepspeed", "jobs.run", "jobs.training.alignment", "trl.trainer.sft_trainer")
"""What processes of a rehearsal are forked with: importing it takes 10 s, and starts no thread."""
_LIMIT_S = 200
"""For a job in processes of its own."""


@dataclass(frozen=True, kw_only=True)
class Ran:
    """Losses, facts and weights that one training job left."""

    losses: list[float]
    """Of every step."""
    facts: Mapping[str, Any]
    """Of its record."""
    weights: bytes
    """Digest of the trained weights' files."""


class AlignJobs:
    """A root on which jobs train the same model on the same pairs."""

    def __init__(self, machine: Machine, fields: Mapping[str, Any], folder: Path) -> None:
        """Write the model and the pairs."""
        self.machine, self.folder = machine, folder
        self._scored: set[str] = set()
        tokens = 8 if machine.rehearses else 64
        workload = PreferenceWorkload(
            fields=fields, num_pairs=32, prompt_tokens=tokens, completion_tokens=tokens
        )
        self.root = BenchmarkRoot(folder, workload)

    def params(self, **given: Any) -> dict[str, Any]:
        """Return params of a job: four pairs a step in twos, at a rate that moves the loss."""
        settings = {
            "objective": "dpo", "learning_rate": 1e-3 if self.machine.rehearses else 1e-5,
            "steps": 5, "global_batch": 4, "micro_batch": 2, "checkpoint_every": None,
            "num_gpus": int(self.machine.on_gpu), "dtype": "float32", "attention": "sdpa",
        }  # fmt: skip
        return {**settings, **given}

    def inputs(self, params: Mapping[str, Any]) -> dict[str, str]:
        """Return the inputs of a job; the pairs are scored as it computes, once."""
        how = {name: params[name] for name in ("dtype", "attention")}
        scores = "-".join(["reference", *how.values()])
        given = {"model": "model", "pairs": "pairs"}
        if scores not in self._scored:
            self._scored.add(scores)
            own = {**how, "micro_batch": 8, "num_gpus": int(self.machine.on_gpu)}
            with quiet():
                self.root.run(scores, "reference", own, given)
        return {**given, "reference": scores}

    def run(self, name: str, *, attempt: str = "1", **given: Any) -> Ran:
        """Run one job to its end."""
        self.machine.free_memory()
        params = self.params(**given)
        inputs = self.inputs(params)
        with quiet():
            self.root.run(name, "align", params, inputs, attempt=attempt)
        return self._left(name)

    def run_ranks(self, name: str, num_ranks: int, **given: Any) -> Ran:
        """Run one job on several ranks of this machine, a process and a GPU for each."""
        params = self.params(num_gpus=num_ranks * int(self.machine.on_gpu), num_ranks=num_ranks,
                             **given)  # fmt: skip
        store = self.folder / f"{name}.store"
        job = (name, "align", params, self.inputs(params))
        self.root.begin(name, "align")
        in_ranks(self.machine, num_ranks, _run_rank, self.root, job, str(store))
        return self._left(name)

    def _left(self, name: str) -> Ran:
        """Read what a job left."""
        artifact = self.root.artifact(name)
        found = artifact.find_record()
        assert found is not None, f"job {name} left no record"
        rows = artifact.read("training_log.jsonl").decode("utf-8").splitlines()
        losses = [row["loss"] for row in map(json.loads, rows) if "loss" in row]
        weights = _digest(artifact.directory("model"))
        return Ran(losses=losses, facts=dict(found[0].facts), weights=weights)

    def run_until_killed(self, name: str, **given: Any) -> int | None:
        """Run one job in a process that kills itself once a checkpoint is whole.

        Returns its exit code, below 0 where a signal ended it; None where it had to be ended.
        """
        params = self.params(**given)
        job = (name, "align", params, self.inputs(params))
        process = _context(self.machine).Process(target=_run_and_die, args=(self.root, job))
        process.start()
        process.join(_LIMIT_S)
        if process.is_alive():
            process.kill()
            process.join()
            return None
        return process.exitcode


def in_ranks(machine: Machine, num_ranks: int, work: Callable[..., None], *given: Any) -> None:
    """Call `work(rank, num_ranks, *given)` in so many processes; all must end well."""
    context = _context(machine)
    processes = [
        context.Process(target=work, args=(rank, num_ranks, *given)) for rank in range(num_ranks)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join(_LIMIT_S)
    codes = [process.exitcode for process in processes]
    for process in processes:
        process.kill()
    if any(code != 0 for code in codes):
        raise RuntimeError(f"ranks ended with exit codes {codes}")


@contextmanager
def joined(rank: int, num_ranks: int, store: str, *, on_gpu: bool) -> Iterator[None]:
    """Let this process be one rank, with torch's process group, as a gang sets it up."""
    import torch
    import torch.distributed as dist

    place = {"RANK": rank, "LOCAL_RANK": rank}
    size = {"WORLD_SIZE": num_ranks, "LOCAL_WORLD_SIZE": num_ranks}
    os.environ.update({name: str(value) for name, value in {**place, **size}.items()})
    if on_gpu:
        torch.cuda.set_device(rank)
    dist.init_process_group(
        "nccl" if on_gpu else "gloo", init_method=f"file://{store}", rank=rank,
        world_size=num_ranks, timeout=timedelta(seconds=_LIMIT_S),
    )  # fmt: skip
    try:
        yield
    finally:
        dist.destroy_process_group()


def _context(machine: Machine) -> Any:
    """Return how processes are started: none may be forked from one that has touched a GPU."""
    if machine.on_gpu:
        return get_context("spawn")
    context = get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    return context


def _run_rank(
    rank: int, num_ranks: int, root: BenchmarkRoot, job: tuple[Any, ...], store: str
) -> None:
    place = {"rank": rank, "num_ranks": num_ranks, "local_rank": rank}
    with joined(rank, num_ranks, store, on_gpu=bool(job[2]["num_gpus"])), quiet():
        root.run(*job, **place)


def _run_and_die(root: BenchmarkRoot, job: tuple[Any, ...]) -> None:
    root.begin(job[0], job[1])
    checkpoints = root.storage.path(root.artifact(job[0]).attempt_folder("1")) / "checkpoints"

    def die_after_a_checkpoint() -> bool:
        if any(checkpoints.glob("*/COMPLETE.json")):
            os.kill(os.getpid(), signal.SIGKILL)
        return False

    with quiet():
        root.run(*job, stop_requested=die_after_a_checkpoint)


def _digest(folder: Path) -> bytes:
    import hashlib

    digest = hashlib.sha256()
    for file in sorted(folder.glob("*.safetensors")):
        digest.update(file.read_bytes())
    return digest.digest()

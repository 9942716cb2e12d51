"""A root whose jobs also run in processes of their own: killed, or as several ranks together."""

import itertools
import json
import os
import signal
import socket
from dataclasses import dataclass, field
from multiprocessing.connection import wait

from tests.forked import forked
from tests.jobs.root import Root


def tiny_pretraining(num_documents, global_batch):
    """Params of a model of one layer, trained on the embedded language."""
    return {
        "config": {"family": "gpt2", "num_layers": 1, "d_model": 16, "num_heads": 2},
        "format": "nursery",
        "options": {"num_documents": num_documents},
        "sequence_length": 16,
        "global_batch": global_batch,
    }


KILLED_AT_A_STEP = """
import os, signal, sys
from cluster.executor import Surroundings
from jobs.run import run
asked = 0
def dies():
    global asked
    asked += 1
    if asked == int(sys.argv[2]):
        os.kill(os.getpid(), signal.SIGKILL)
    return False
run(sys.argv[1], Surroundings(stop_requested=dies))
"""


ONE_RANK = """
import datetime, json, os, pathlib, signal, sys
import torch.distributed as dist
from cluster.executor import Surroundings
from jobs.run import run
order = json.loads(sys.argv[1])
rank, num_ranks = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
dist.init_process_group(
    "gloo", init_method=f"file://{order['store']}", rank=rank, world_size=num_ranks,
    timeout=datetime.timedelta(seconds=120),
)
for number, job in enumerate(order["jobs"]):
    asked = 0
    def stop_requested():
        global asked
        asked += 1
        if asked == job["kill_at"].get(str(rank)):
            os.kill(os.getpid(), signal.SIGKILL)
        return bool(job["stop_at"].get(str(rank))) and asked >= job["stop_at"][str(rank)]
    answer = run(
        job["payload"],
        Surroundings(
            stop_requested=stop_requested, rank=rank, num_ranks=num_ranks, local_rank=rank
        ),
    )
    pathlib.Path(f"{order['answers']}/{number}-{rank}.json").write_text(answer)
dist.destroy_process_group()
"""
LIMIT_S = 240
"""For a gang to end, or for its last rank after another."""


@dataclass(frozen=True, kw_only=True)
class RankedJob:
    """One job that several ranks do together.

    `inputs` gives each slot a name in the root. `stop_at` and `kill_at` say of a rank the
    how-manieth question for a request to stop is answered with yes, or ends it by SIGKILL.
    """

    name: str
    kind: str
    params: dict
    inputs: dict = field(default_factory=dict)
    attempt: str = "1"
    stop_at: dict = field(default_factory=dict)
    kill_at: dict = field(default_factory=dict)


def stop_at(step):
    """Return a request to stop, made after this many steps of the process."""
    asked = itertools.count(1)
    return lambda: next(asked) >= step


def crash_at(step):
    """Return a fault of the machine after this many steps of the process."""
    asked = itertools.count(1)

    def crash():
        if next(asked) == step:
            raise OSError("the disk is gone")
        return False

    return crash


def interrupted_at(step):
    """Return what asks for nothing, and has the process interrupted after this many steps."""
    asked = itertools.count(1)

    def interrupt():
        if next(asked) == step:
            os.kill(os.getpid(), signal.SIGINT)
        return False

    return interrupt


class RankedRoot(Root):
    """A root whose jobs also run in processes of their own."""

    Job = RankedJob

    def run_and_kill(self, kind, params, *, at_step, name, attempt="1", **inputs):
        """Run a job in a process that SIGKILL ends after a step."""
        payload, _ = self.payload(kind, params, attempt, inputs, name=name)
        self.run_code(KILLED_AT_A_STEP, payload, str(at_step), ends=-signal.SIGKILL)

    def run_code(self, code, *words, ends=0):
        """Run a program with these arguments in a process that must end with this code."""
        said = self.folder.parent / "said.txt"
        process = forked(code, words, said)
        process.join(LIMIT_S)
        ended = process.exitcode
        process.kill()
        assert ended == ends, said.read_text()

    def run_ranks(self, name, kind, params, inputs=None, num_ranks=2, attempt="1", **when):
        """Run one job on ranks; return the answer of each, None where it was killed."""
        job = RankedJob(
            name=name, kind=kind, params=params, inputs=inputs or {}, attempt=attempt, **when
        )
        (answers,) = self.run_jobs_on_ranks([job], num_ranks)
        return answers

    def run_jobs_on_ranks(self, jobs, num_ranks=2):
        """Run jobs one after another in the same processes; return answers by job and rank.

        Where a rank was killed its answer is None.

        When one rank is killed, all of them are, as a gang's are.
        """
        place = self.folder.parent / f"ranks-{len(list(self.folder.parent.glob('ranks-*')))}"
        place.mkdir()
        order = {
            "store": str(place / "store"),
            "answers": str(place),
            "jobs": [
                {
                    "payload": self.payload(
                        job.kind, job.params, job.attempt, job.inputs, name=job.name
                    )[0],
                    "stop_at": job.stop_at,
                    "kill_at": job.kill_at,
                }
                for job in jobs
            ],
        }
        ranks = [_start_rank(order, place, rank, num_ranks) for rank in range(num_ranks)]
        _until_all_end(ranks)
        for rank, ended in enumerate(ranks):
            said = (place / f"rank-{rank}.txt").read_text()
            assert ended.exitcode <= 0, f"rank {rank} fell out of the worker's entry:\n{said}"
        return [
            [_answer(place / f"{number}-{rank}.json") for rank in range(num_ranks)]
            for number in range(len(jobs))
        ]


def _start_rank(order, place, rank, num_ranks):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # nothing may need it: the group stands already
    environment = {
        **os.environ,
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(num_ranks),
        "LOCAL_WORLD_SIZE": str(num_ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }
    return forked(ONE_RANK, [json.dumps(order)], place / f"rank-{rank}.txt", environment)


def _until_all_end(ranks):
    """Wait; when one is killed or fails, kill the others."""
    running = {rank.sentinel: rank for rank in ranks}
    try:
        while running:
            ended = wait(list(running), timeout=LIMIT_S)
            assert ended, f"ranks still run after {LIMIT_S} s without any of them ending"
            for handle in ended:
                rank = running.pop(handle)
                rank.join()
                if rank.exitcode:
                    return
    finally:
        for rank in ranks:
            rank.kill()
            rank.join()


def _answer(path):
    return json.loads(path.read_text()) if path.exists() else None

"""A root with a tiny model and pairs, and a way to run jobs on it through the worker's entry."""

import json
import multiprocessing
import os
import signal
import socket
from dataclasses import dataclass, field
from multiprocessing.connection import wait

import pyarrow
import pyarrow.parquet
import pytest

from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.job import InputRef
from jobs.run import run
from jobs.worker.work import AttemptFolder
from tests.jobs.assignments import assigned

IMPORTED = ("deepspeed", "jobs.run", "jobs.training.alignment", "trl.trainer.sft_trainer")
"""What processes of these tests are forked with: it takes 10 s, and starts no thread."""

BEGIN = """
import os, sys
os.environ.update(ENVIRONMENT)
sys.argv = ["-c", *WORDS]
heard = os.open(SAID, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
os.dup2(heard, 1), os.dup2(heard, 2)
exec(CODE)
"""

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
    """One job that several ranks do together."""

    name: str
    """Its name in the root."""
    kind: str
    """Its kind."""
    params: dict
    """Its params."""
    inputs: dict = field(default_factory=dict)
    """Slot -> name in the root."""
    attempt: str = "1"
    """Id of the attempt."""
    stop_at: dict = field(default_factory=dict)
    """Rank -> the how-manieth question for a request to stop is the first answered with yes."""
    kill_at: dict = field(default_factory=dict)
    """Rank -> the how-manieth such question ends it by SIGKILL."""


class Root:
    """One output root."""

    Job = RankedJob

    def __init__(self, folder):
        self.folder = folder
        self.storage = Storage(folder)
        self.known = {}

    def artifact(self, name):
        kind, key = self.known[name]
        return Artifact(self.storage, kind, key)

    def publish(self, name, kind, write, facts=None):
        """An artifact whose files `write(folder)` puts there."""
        artifact = self._named(name, kind)
        attempt = AttemptFolder(artifact, "1")
        write(attempt.path)
        record = Record(
            key=artifact.key, kind=kind, attempt="1", files=attempt.seal(), facts=facts or {}
        )
        assert artifact.storage.create(artifact.record_name, record.to_json())
        return artifact

    def _named(self, name, kind):
        self.known[name] = (kind, f"{len(self.known):x}".rjust(16, "0").ljust(64, "f"))
        return self.artifact(name)

    def spec(self, name, kind, params, inputs, attempt):
        if name not in self.known:
            self._named(name, kind)
        refs = {
            slot: [InputRef(kind=k, key=key, stage=slot, cell={})]
            for slot, (k, key) in ((slot, self.known[given]) for slot, given in inputs.items())
        }
        return assigned(
            root=self.storage.url,
            kind=kind,
            key=self.known[name][1],
            label=name,
            attempt=attempt,
            inputs=refs,
            own_params=params,
        ).to_json()

    def run(self, name, kind, params, inputs=None, attempt="1", stop=lambda: False):
        """What the worker answers."""
        payload = self.spec(name, kind, params, inputs or {}, attempt)
        return json.loads(run(payload, Surroundings(stop_requested=stop)))

    def run_and_kill(self, name, kind, params, inputs=None, attempt="1", *, at_step):
        """Run it in a process that SIGKILL ends after a step."""
        payload = self.spec(name, kind, params, inputs or {}, attempt)
        self.run_code(KILLED_AT_A_STEP, payload, str(at_step), ends=-signal.SIGKILL)

    def run_code(self, code, *words, ends=0):
        """Run a program with these arguments in a process that must end with this code."""
        said = self.folder.parent / "said.txt"
        process = started(code, words, said)
        process.join(LIMIT_S)
        ended = process.exitcode
        process.kill()
        assert ended == ends, said.read_text()

    def run_ranks(self, name, kind, params, inputs=None, num_ranks=2, attempt="1", **when):
        """What each rank's worker answers, by rank; None where it was killed. See RankedJob."""
        job = RankedJob(
            name=name, kind=kind, params=params, inputs=inputs or {}, attempt=attempt, **when
        )
        (answers,) = self.run_jobs_on_ranks([job], num_ranks)
        return answers

    def run_jobs_on_ranks(self, jobs, num_ranks=2):
        """The same for several jobs, one after another in the same processes: by job, by rank.

        When one rank is killed, all of them are, as a gang's are.
        """
        place = self.folder.parent / f"ranks-{len(list(self.folder.parent.glob('ranks-*')))}"
        place.mkdir()
        order = {
            "store": str(place / "store"),
            "answers": str(place),
            "jobs": [
                {
                    "payload": self.spec(job.name, job.kind, job.params, job.inputs, job.attempt),
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

    def log_of(self, name):
        text = self.artifact(name).read("training_log.jsonl").decode()
        return [json.loads(line) for line in text.splitlines()]


def _start_rank(order, place, rank, num_ranks):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]  # nothing may need it: the group stands already
    environment = {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank),
        "WORLD_SIZE": str(num_ranks),
        "LOCAL_WORLD_SIZE": str(num_ranks),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
        "OMP_NUM_THREADS": "1",
    }
    return started(ONE_RANK, [json.dumps(order)], place / f"rank-{rank}.txt", environment)


def started(code, words, said, environment=None):
    """A process that runs a program; what it says goes to a file."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(IMPORTED))
    # The server has the environment of the first test that used it.
    given = {
        "CODE": code,
        "WORDS": list(words),
        "SAID": str(said),
        "ENVIRONMENT": {**os.environ, **(environment or {})},
    }
    process = context.Process(target=exec, args=(BEGIN, given))
    process.start()
    return process


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


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture(scope="session")
def texts():
    """40 pairs; the chosen side always has words 10 to 14, the rejected side words 15 to 19."""
    rows = []
    for pair in range(40):
        length = 2 + pair % 3
        rows.append(
            {
                "pair": 100 + pair,
                "prompt": " ".join(f"word{(pair + step) % 10}" for step in range(3 + pair % 4)),
                "chosen": " ".join(f"word{10 + (pair + step) % 5}" for step in range(length)),
                "rejected": " ".join(f"word{15 + (pair + step) % 5}" for step in range(length)),
                "split": "validation" if pair % 5 == 0 else "train",
                "group": pair % 20,
            }
        )
    return rows


def write_pairs(rows):
    def write(folder):
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), folder / "pairs.parquet")

    return write


@pytest.fixture
def root(tmp_path, texts, tiny_model, word_tokenizer):
    """A root that holds `model` (tiny gpt2) and `pairs`."""
    from jobs.models.loading import save_checkpoint

    made = Root(tmp_path / "root")
    made.publish(
        "model",
        "pretrained",
        lambda folder: save_checkpoint(
            tiny_model("gpt2"),
            word_tokenizer(eos_token="<end>"),
            folder / "model",
        ),
    )
    made.publish("pairs", "pairs", write_pairs(texts))
    return made


@pytest.fixture
def scored(root):
    """The same root with `reference`."""
    answer = root.run(
        "reference", "reference", {"max_length": 32}, {"model": "model", "pairs": "pairs"}
    )
    assert answer["state"] == "done", answer
    return root

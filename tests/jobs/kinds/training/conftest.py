"""A root with a tiny model and pairs, and a way to run jobs on it through the worker's entry."""

import json
import subprocess
import sys

import pyarrow
import pyarrow.parquet
import pytest

from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs.artifact import Artifact, Record
from jobs.run import run
from jobs.work import AttemptFolder

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


class Root:
    """One output root."""

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
            slot: [{"kind": k, "key": key, "stage": slot, "cell": {}}]
            for slot, (k, key) in ((slot, self.known[given]) for slot, given in inputs.items())
        }
        key = self.known[name][1]
        return json.dumps(
            {
                "root": str(self.folder),
                "kind": kind,
                "key": key,
                "attempt": attempt,
                "threads": 1,
                "inputs": refs,
                "params": params,
                "commit": None,
                "tracking": {
                    "root_id": "test",
                    "key": key,
                    "study": "test",
                    "kind": kind,
                    "label": name,
                    "folder": str(self.folder / "wandb"),
                    "config": {},
                },
            }
        )

    def run(self, name, kind, params, inputs=None, attempt="1", stop=lambda: False):
        """What the worker answers."""
        payload = self.spec(name, kind, params, inputs or {}, attempt)
        return json.loads(run(payload, Surroundings(stop_requested=stop)))

    def run_and_kill(self, name, kind, params, inputs=None, attempt="1", *, at_step):
        """Run it in a process that SIGKILL ends after a step."""
        payload = self.spec(name, kind, params, inputs or {}, attempt)
        done = subprocess.run(
            [sys.executable, "-c", KILLED_AT_A_STEP, payload, str(at_step)],
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == -9, done.stderr

    def log_of(self, name):
        text = self.artifact(name).read("training_log.jsonl").decode()
        return [json.loads(line) for line in text.splitlines()]


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

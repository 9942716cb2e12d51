"""A root on which kinds run one after the other, each through the worker's entry."""

import json

import pytest

from cluster.executor import Surroundings
from cluster.storage import Storage
from jobs import run
from jobs.artifacts.artifact import Artifact, Record
from jobs.artifacts.identity import key_of
from jobs.artifacts.job import InputRef
from jobs.worker.work import AttemptFolder
from tests.jobs.assignments import assigned


class Root:
    """An output root in a temporary folder."""

    def __init__(self, folder):
        self.storage = Storage(folder)

    def publish_model(self, model, tokenizer):
        from jobs.models.loading import describe_model, save_checkpoint

        artifact = Artifact(self.storage, "pretrain", key_of({"model": len(tokenizer)}))
        attempt = AttemptFolder(artifact, "one")
        save_checkpoint(model, tokenizer, attempt.path / "model")
        facts = {"model": describe_model(model.config)}
        record = Record(
            key=artifact.key, kind="pretrain", attempt="one", files=attempt.seal(), facts=facts
        )
        assert self.storage.create(artifact.record_name, record.to_json())
        return artifact

    def answer(self, kind, params, *, attempt="one", stop=lambda: False, **inputs):
        """What the worker says, and the artifact it was about."""
        assignment, artifact = self.spec(kind, params, attempt=attempt, **inputs)
        answer = run.run(assignment.to_json(), Surroundings(stop_requested=stop))
        return json.loads(answer), artifact

    def spec(self, kind, params, *, attempt="one", **inputs):
        """What a worker is told, and the artifact that it is about."""
        keys = {name: artifact.key for name, artifact in inputs.items()}
        artifact = Artifact(
            self.storage, kind, key_of({"kind": kind, "params": params, "inputs": keys})
        )
        assignment = assigned(
            root=self.storage.url,
            kind=kind,
            key=artifact.key,
            attempt=attempt,
            own_params=params,
            inputs={
                name: [InputRef(kind=given.kind, key=given.key, stage=name, cell={})]
                for name, given in inputs.items()
            },
        )
        return assignment, artifact

    def done(self, kind, params, **inputs):
        """The artifact of a job that must succeed."""
        answer, artifact = self.answer(kind, params, **inputs)
        assert answer["state"] == "done", answer
        return artifact


@pytest.fixture(autouse=True)
def _no_mirror(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root")

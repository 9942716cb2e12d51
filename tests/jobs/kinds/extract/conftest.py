"""A root with published checkpoints and prompts, and kinds run on it as a worker runs them."""

import json
import random

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

    def publish(self, kind, name, write, facts):
        """Publish an artifact that `write(folder)` fills; returns it."""
        artifact = Artifact(self.storage, kind, key_of({"name": name}))
        attempt = AttemptFolder(artifact, "one")
        write(attempt.path)
        record = Record(
            key=artifact.key, kind=kind, attempt="one", files=attempt.seal(), facts=facts
        )
        assert self.storage.create(artifact.record_name, record.to_json())
        return artifact

    def model(self, name, model, tokenizer, kind="pretrain"):
        from jobs.models.loading import describe_model, save_checkpoint

        facts = {"model": describe_model(model.config)}
        return self.publish(
            kind, name, lambda to: save_checkpoint(model, tokenizer, to / "model"), facts
        )

    def prompts(self, name, prompts, **facts):
        text = "".join(json.dumps(prompt) + "\n" for prompt in prompts)
        return self.publish(
            "prompts", name, lambda to: (to / "prompts.jsonl").write_text(text), facts
        )

    def payload(self, kind, params, attempt, inputs, **more):
        """What a worker is handed, and the artifact it is about."""
        named = {name: artifact.key for name, artifact in inputs.items()}
        artifact = Artifact(self.storage, kind, key_of({"params": params, "inputs": named}))
        refs = {
            name: [InputRef(kind=each.kind, key=each.key, stage=name, cell={})]
            for name, each in inputs.items()
        }
        assignment = assigned(
            root=self.storage.url,
            kind=kind,
            key=artifact.key,
            attempt=attempt,
            inputs=refs,
            own_params=params,
            **more,
        )
        return assignment.to_json(), artifact

    def run(self, kind, params, *, attempt="a", stop=lambda: False, **inputs):
        """Run one attempt as a worker does; returns (answer, artifact)."""
        payload, artifact = self.payload(kind, params, attempt, inputs)
        return json.loads(run.run(payload, Surroundings(stop_requested=stop))), artifact

    def done(self, *arguments, **named):
        answer, artifact = self.run(*arguments, **named)
        assert answer["state"] == "done", answer
        return artifact


@pytest.fixture(autouse=True)
def no_mirror(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")


@pytest.fixture
def root(tmp_path):
    return Root(tmp_path / "root")


@pytest.fixture(scope="session")
def plain_prompts():
    """48 prompts with responses, of many lengths, in 20 groups."""
    draw = random.Random(5)

    def text(count):
        return "".join(f" word{draw.randrange(20)}" for _ in range(count))

    return [
        {
            "prompt": number,
            "group": number % 20,
            "segments": [
                {"role": "prompt", "text": text(draw.randint(2, 9))},
                {"role": "response", "text": text(draw.randint(1, 6))},
            ],
        }
        for number in range(48)
    ]


@pytest.fixture
def moved():
    """A function: model, scale -> a copy whose every weight has moved a little."""

    def move(model, scale=0.02):
        import copy

        import torch

        other = copy.deepcopy(model)
        generator = torch.Generator().manual_seed(11)
        with torch.no_grad():
            for weight in other.parameters():
                weight.add_(scale * torch.randn(weight.shape, generator=generator))
        return other

    return move


@pytest.fixture
def pair(root, tiny_model, word_tokenizer, moved, plain_prompts):
    """The three inputs of an extraction of a tiny GPT-2, and the two models."""
    base = tiny_model("gpt2", num_layers=3, max_positions=32)
    aligned = moved(base)
    inputs = {
        "base": root.model("base", base, word_tokenizer(eos_token="<end>")),
        "aligned": root.model("aligned", aligned, word_tokenizer(eos_token="<end>"), "align"),
        "prompts": root.prompts("plain", plain_prompts),
    }
    return inputs, base, aligned

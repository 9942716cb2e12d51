"""A root with a base, what two trainings made of it, pairs, and the requests behind the models."""

import json

import pytest

from tests.jobs.root import Root


def write_request(artifact, params=None, **inputs):
    """Write `job.json` as a launch does: a model's training is read off it."""
    request = {
        "key": artifact.key,
        "kind": artifact.kind,
        "params": params or {},
        "identity": {},
        "inputs": {
            name: [{"kind": given.kind, "key": given.key}] for name, given in inputs.items()
        },
    }
    artifact.storage.write(f"{artifact.folder}/job.json", json.dumps(request).encode())


def rows_of_pairs(count=60, first=0):
    """Pairs of other prompts each; the sides of every second one differ in length."""
    rows = []
    for number in range(first, first + count):
        words = [f"word{(number * step + step) % 20}" for step in range(1, 9)]
        rows.append(
            {
                "pair": number,
                "prompt": f"word{number // 20} {' '.join(words[:2])} word{number % 20} ",
                "chosen": " ".join([f"word{(number + 3) % 20}", *words[4 : 5 + number % 2]]),
                "rejected": " ".join([f"word{(number + 7) % 20}", *words[6 : 7 + number % 3]]),
                "split": ("train", "validation", "test")[number % 3],
                "group": number % 20,
            }
        )
    return rows


@pytest.fixture
def tokenizer(word_tokenizer):
    return word_tokenizer(eos_token="<end>", unk_token="<unk>")


@pytest.fixture
def moved():
    """A function: model, scale -> a copy whose weights moved at random."""

    def move(model, scale=0.3):
        import copy

        import torch

        other = copy.deepcopy(model)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(5)
            for parameter in other.parameters():
                parameter.add_(scale * torch.randn_like(parameter) * parameter.std())
        return other.eval()

    return move


@pytest.fixture
def models(tiny_model, moved):
    """Base and aligned model in memory, with clear preferences among tokens."""
    import torch

    base = tiny_model("gpt2").eval()
    with torch.no_grad():
        base.transformer.wte.weight.mul_(20)
    return base, moved(base)


@pytest.fixture
def given(tmp_path, models, tokenizer):
    """A root, and the inputs of a job: `aligned` was trained on the train split of `pairs`."""
    root = Root(tmp_path / "root")
    inputs = {
        "base": root.model("base", models[0], tokenizer),
        "aligned": root.model("aligned", models[1], tokenizer, "align"),
        "pairs": root.parquet("pairs", "pairs", rows_of_pairs()),
    }
    write_request(inputs["base"])
    write_request(
        inputs["aligned"], {"objective": "dpo"}, model=inputs["base"], pairs=inputs["pairs"]
    )
    return root, inputs

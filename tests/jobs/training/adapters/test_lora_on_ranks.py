"""An adapter that two ranks train is that of one process, whatever engine they have."""

import pytest
import torch
from safetensors.torch import load_file

pytestmark = pytest.mark.slow

INPUTS = {"model": "model", "pairs": "pairs"}
PARAMS = {
    "max_length": 32,
    "steps": 4,
    "learning_rate": 1e-3,
    "optimizer": "adamw",
    "seed": 5,
    "lora": {"rank": 4, "alpha": 8.0},
}
LAYOUTS = {
    "ddp": {"engine": "ddp"},
    "zero2": {"engine": "zero2", "micro_batch": 1},
    "zero3": {"engine": "zero3"},
    "zero3-again": {"engine": "zero3", "activation_checkpointing": True},
    "fsdp2": {"engine": "fsdp2", "micro_batch": 1},
}


@pytest.fixture
def trained(root):
    """The root with `alone`, and a run on two ranks by each layout."""
    answer, _ = root.run("align", PARAMS, name="alone", **INPUTS)
    assert answer["state"] == "done", answer
    answers = root.run_jobs_on_ranks(
        [
            root.Job(
                name=name, kind="align", params={**PARAMS, **layout, "num_ranks": 2}, inputs=INPUTS
            )
            for name, layout in LAYOUTS.items()
        ]
    )
    for name, said in zip(LAYOUTS, answers, strict=True):
        assert [each["state"] for each in said] == ["done", "done"], (name, said)
    return root


def update(root, name):
    """What training made of the weights, as one vector."""
    before, after = (
        load_file(root.artifact(each).path("model/model.safetensors")) for each in ("model", name)
    )
    return torch.cat([(after[each] - before[each]).flatten() for each in sorted(before)]).double()


def test_two_ranks_train_the_same_adapter_beside_one_base(trained):
    alone = update(trained, "alone")
    for name in LAYOUTS:
        for mine, other in zip(trained.log_of("alone"), trained.log_of(name), strict=True):
            for metric in ("loss", "rewards/margins", "grad_norm"):
                assert mine[metric] == pytest.approx(other[metric], rel=1e-3, abs=1e-5), name
        assert mine["validation/margin"] == pytest.approx(other["validation/margin"], rel=1e-3)
        cosine = torch.nn.functional.cosine_similarity(alone, update(trained, name), dim=0)
        assert cosine > 0.999, (name, float(cosine))
        facts = trained.artifact(name).facts
        assert facts["adapter"] == trained.artifact("alone").facts["adapter"]
        assert trained.artifact(name).names("adapter/") == [
            "adapter/adapter_config.json",
            "adapter/adapter_model.safetensors",
        ]

"""Two ranks under every engine train what one process trains, and leave it whole and in fp32."""

import sys

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
from safetensors.numpy import load

SCORED = {"model": "model", "pairs": "pairs"}
INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {
    "max_length": 32,
    "steps": 4,
    "learning_rate": 1e-3,
    "validate_every": 2,
    "checkpoint_every": None,
    # Shorter than the gradients are, so that clipping decides the step.
    "max_grad_norm": 0.5,
    "optimizer": "adamw",
}
TINY = {"learning_rate": 1e-6, "optimizer": "rmsprop", "max_grad_norm": 10.0}
"""The paper's recipe: updates that 16 bits would round away."""
LAYOUTS = {
    "ddp": {"engine": "ddp", "activation_checkpointing": True},
    "fsdp2": {"engine": "fsdp2", "micro_batch": 1},
    "zero1": {"engine": "zero1"},
    "zero2, offloaded": {"engine": "zero2", "offload": True, "micro_batch": 1},
    "zero3, offloaded": {"engine": "zero3", "offload": True, "activation_checkpointing": True},
}
COMPARED = (
    *("loss", "rewards/margins", "rewards/chosen", "grad_norm"),
    *("validation/loss", "validation/margin", "validation/accuracy"),
)
CUT_BY_ZERO3 = {"d_model": 64, "vocab_size": 128}
"""Sizes at which it divides every matrix; it leaves those of 4096 elements whole."""


@pytest.fixture
def divided(root, tiny_model, word_tokenizer):
    """A root with a model that ZeRO-3 divides, and its reference."""

    model, tokenizer = tiny_model("gpt2", **CUT_BY_ZERO3), word_tokenizer(eos_token="<end>")
    root.model("model", model, tokenizer, "pretrained")
    return root


def do(root, name, kind, params, inputs):
    answer, _ = root.run(kind, params, name=name, **inputs)
    assert answer["state"] == "done", answer


def do_on_two_ranks(root, **jobs):
    """Jobs by name, `params` of `align` each, in one pair of processes."""
    ranked = sys.modules[type(root).__module__].RankedJob
    asked = [
        ranked(name=name, kind="align", params={**params, "num_ranks": 2}, inputs=INPUTS)
        for name, params in jobs.items()
    ]
    answers = root.run_jobs_on_ranks(asked)
    assert [rank["state"] for job in answers for rank in job] == ["done"] * 2 * len(jobs), answers


def weights(root, name):
    return load(root.artifact(name).read("model/model.safetensors"))


def update(root, name):
    """What training added to the base, as one vector."""
    base, trained = weights(root, "model"), weights(root, name)
    assert base.keys() == trained.keys()
    assert {tensor.dtype for tensor in trained.values()} == {np.dtype("float32")}
    return np.concatenate(
        [(trained[name].astype(np.float64) - base[name]).ravel() for name in sorted(base)]
    )


def cosine(one, other):
    return one @ other / (np.linalg.norm(one) * np.linalg.norm(other))


def require_same_run(root, name, expected):
    """Equal metrics at every step, and equal updates, to what sums in another order give."""
    for row, wanted in zip(root.log_of(name), root.log_of(expected), strict=True):
        for metric in set(COMPARED) & set(wanted):
            where = (name, row["step"], metric)
            assert row[metric] == pytest.approx(wanted[metric], rel=1e-4, abs=1e-5), where
    assert cosine(update(root, name), update(root, expected)) > 0.99999, name


def test_two_ranks_train_what_one_process_trains_and_zero3_keeps_tiny_updates(divided):
    do(divided, "reference", "reference", {"max_length": 32}, SCORED)
    do(divided, "alone", "align", PARAMS, INPUTS)
    do(divided, "alone, tiny", "align", {**PARAMS, **TINY}, INPUTS)
    do_on_two_ranks(
        divided,
        ddp={**PARAMS, "engine": "ddp", "micro_batch": 1},
        zero3={**PARAMS, "engine": "zero3"},
        tiny={**PARAMS, **TINY, "engine": "zero3"},
    )
    require_same_run(divided, "ddp", "alone")
    require_same_run(divided, "zero3", "alone")
    # Weights of 0.02 move by a thousandth of themselves at most, which 16 bits would not hold.
    assert cosine(update(divided, "tiny"), update(divided, "alone, tiny")) >= 0.999


@pytest.mark.slow
def test_weights_that_the_last_step_ruined_are_found_on_whichever_rank_they_lie(divided, texts):
    """Nothing else sees them: without validation pairs no loss comes after the last step."""
    table = pyarrow.Table.from_pylist([{**row, "split": "train"} for row in texts])
    divided.parquet("pairs", "pairs", table)
    given = {"model": "model", "pairs": "pairs"}
    ruined = {**PARAMS, **TINY, "objective": "sft", "steps": 1, "learning_rate": 1e38}
    engines = ("ddp", "zero2", "zero3", "fsdp2")
    jobs = [
        divided.Job(
            name=name, kind="align", params={**ruined, "engine": name, "num_ranks": 2}, inputs=given
        )
        for name in engines
    ]
    for name, answers in zip(engines, divided.run_jobs_on_ranks(jobs), strict=True):
        assert [answer["error"]["code"] for answer in answers] == ["user_mistake"] * 2, name
        assert "after the last step" in answers[1]["error"]["message"]


@pytest.mark.slow
def test_every_layout_of_two_ranks_gives_the_same_run(divided):
    do(divided, "reference", "reference", {"max_length": 32}, SCORED)
    do(divided, "alone", "align", PARAMS, INPUTS)
    do_on_two_ranks(divided, **{name: {**PARAMS, **layout} for name, layout in LAYOUTS.items()})
    for name, layout in LAYOUTS.items():
        require_same_run(divided, name, "alone")
        training = divided.artifact(name).facts["training"]
        found = training["engine_in_force"]
        assert training["layout"]["num_ranks"] == found["ranks"] == 2
        assert found["weights"] == "float32"
        if layout["engine"].startswith("zero"):
            assert found["zero_stage"] == int(layout["engine"][-1])
            assert found["offload"] == layout.get("offload", False)


@pytest.mark.slow
def test_engines_compute_in_bfloat16_over_weights_in_fp32_alike(divided):
    narrow = {**PARAMS, "dtype": "bfloat16"}
    do(divided, "reference", "reference", {"max_length": 32, "dtype": "bfloat16"}, SCORED)
    do(divided, "alone", "align", narrow, INPUTS)
    do_on_two_ranks(divided, **{name: {**narrow, "engine": name} for name in ("ddp", "zero3")})
    for name in ("ddp", "zero3"):
        for row, wanted in zip(divided.log_of(name), divided.log_of("alone"), strict=True):
            assert row["loss"] == pytest.approx(wanted["loss"], rel=0.02)
        assert cosine(update(divided, name), update(divided, "alone")) > 0.99


@pytest.mark.slow
def test_fsdp2_continues_from_its_own_pieces(divided):
    do(divided, "reference", "reference", {"max_length": 32}, SCORED)
    params = {**PARAMS, "engine": "fsdp2", "checkpoint_every": 1, "num_ranks": 2}
    divided.run_ranks("whole", "align", params, INPUTS)
    divided.run_ranks("killed", "align", params, INPUTS, kill_at={1: 3})
    assert divided.artifact("killed").find_record() is None
    answers = divided.run_ranks("killed", "align", params, INPUTS, attempt="2")
    assert [answer["state"] for answer in answers] == ["done", "done"]
    training = divided.artifact("killed").facts["training"]
    assert training["resume"]["resumed_from"] in (1, 2)
    assert training["engine_in_force"]["share_of_weights"] == 0.5
    assert divided.log_of("killed") == divided.log_of("whole")
    assert weights(divided, "killed").keys() == weights(divided, "whole").keys()
    assert np.array_equal(update(divided, "killed"), update(divided, "whole"))

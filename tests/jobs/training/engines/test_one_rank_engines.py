"""One process under engines that are made for several, and an engine that is not in force."""

from contextlib import nullcontext

import deepspeed
import pytest
import torch

from jobs.training import zero
from jobs.training.engine import ENGINES
from jobs.training.layout import Layout
from jobs.training.recipe import Recipe, RecipeParams
from jobs.training.zero import Zero

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {"max_length": 32, "steps": 3, "learning_rate": 1e-3, "checkpoint_every": None}
OFFLOADED = {**PARAMS, "engine": "zero2", "offload": True}
ONE_AFTER_ANOTHER = (
    *({"engine": "ddp"}, {"engine": "zero1"}, {"engine": "zero2"}, {"engine": "zero3"}),
    *({"engine": "zero2", "offload": True}, {"engine": "ddp"}),
)


def test_one_process_offloads_to_host_memory_and_leaves_nothing_behind(scored):
    for name, params in (("plain", PARAMS), ("offloaded", OFFLOADED), ("again", PARAMS)):
        answer, _ = scored.run("align", params, name=name, **INPUTS)
        assert answer["state"] == "done", answer
    for row, wanted in zip(scored.log_of("offloaded"), scored.log_of("plain"), strict=True):
        assert row["loss"] == pytest.approx(wanted["loss"], abs=1e-6)
    assert scored.artifact("offloaded").facts["training"]["engine_in_force"]["offload"]
    assert scored.log_of("again") == scored.log_of("plain")


@pytest.mark.slow
def test_one_process_trains_by_one_engine_after_another(scored):
    for number, engine in enumerate(ONE_AFTER_ANOTHER):
        answer, _ = scored.run("align", {**PARAMS, **engine}, name=f"{number}", **INPUTS)
        assert answer["state"] == "done", (engine, answer)
        for row, wanted in zip(scored.log_of(f"{number}"), scored.log_of("0"), strict=True):
            assert row["loss"] == pytest.approx(wanted["loss"], abs=1e-6)
    assert scored.log_of("5") == scored.log_of("0")


def test_only_a_job_without_gpus_keeps_deepspeed_from_compiling(monkeypatch):
    known = {"deepspeed_shm_comm": True}
    monkeypatch.setattr(deepspeed.ops, "__compatible_ops__", known, raising=False)
    recipe = Recipe(settings=RecipeParams(), layout=Layout(micro_batch=4), steps=1)
    for num_gpus, is_known in ((1, True), (0, False)):
        layout = Layout(num_gpus=num_gpus, micro_batch=4)
        monkeypatch.setattr(zero, "_process_group", lambda layout: nullcontext())
        monkeypatch.setattr(deepspeed, "init_distributed", lambda **given: None)
        with ENGINES.find("zero2").session(layout, recipe):
            assert known["deepspeed_shm_comm"] is is_known


def test_what_deepspeed_puts_in_place_of_a_product_ends_with_the_job(monkeypatch):
    """Its third stage replaces `linear` for good: later jobs of a process would compute by it."""
    from deepspeed.runtime.zero import partition_parameters

    monkeypatch.setattr(partition_parameters, "print_rank_0", lambda *words, **given: None)
    own = torch.nn.functional.linear
    monkeypatch.setattr(zero, "_process_group", lambda layout: nullcontext())
    monkeypatch.setattr(deepspeed, "init_distributed", lambda **given: None)
    recipe = Recipe(settings=RecipeParams(), layout=Layout(micro_batch=4), steps=1)
    with ENGINES.find("zero3").session(Layout(micro_batch=4), recipe):
        partition_parameters.InsertPostInitMethodToModuleSubClasses()._enable_mem_efficient_linear()
        assert torch.nn.functional.linear is not own
    assert torch.nn.functional.linear is own


def test_an_engine_that_is_not_in_force_ends_training_before_a_step(scored, monkeypatch):
    # As a library does that ignores what it was told.
    monkeypatch.setattr(Zero, "arguments", lambda self, *plan: ENGINES.find("ddp").arguments(*plan))
    answer, _ = scored.run("align", OFFLOADED, name="ignored", **INPUTS)
    assert answer["state"] == "failed", answer
    assert answer["error"]["message"].startswith("AssertionError"), answer
    assert scored.artifact("ignored").find_record() is None

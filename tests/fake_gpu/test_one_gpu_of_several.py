"""A job of one GPU on a machine that shows its process two: it trains on one, and asserts so."""

from importlib import import_module
from importlib.util import find_spec
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from jobs.training.layout import Layout
from jobs.training.layout_check import require_layout
from jobs.training.objective import OBJECTIVES, Lesson, ScoredPairs
from jobs.training.pretraining import Rows, _make_trainer
from jobs.training.recipe import Recipe, RecipeParams
from jobs.training.tokenized_pairs import TokenizedPair
from tests.fake_gpu.fake_cuda import fake_gpus

pytestmark = pytest.mark.fake_gpu


@pytest.fixture(autouse=True)
def _deepspeed_sees_none():
    """Let DeepSpeed, which accelerate loads, look for GPUs first: it looks once in a process."""
    if find_spec("deepspeed"):
        import_module("deepspeed")


@pytest.fixture
def recipe():
    layout = Layout(engine="ddp", num_gpus=1, micro_batch=2)
    return Recipe(settings=RecipeParams(global_batch=4), layout=layout, steps=1)


def trainer_of(what, recipe, folder, model, tokenizer):
    """Make the Trainer of a pretraining, or of an objective of alignment."""
    if what == "pretrain":
        rows = Rows(np.zeros((4, 8), dtype=np.int64), np.arange(4))
        return _make_trainer(model, rows, recipe, folder, "cuda")
    pair = TokenizedPair(
        pair=0, split="train", prompt_ids=[3, 4], chosen_ids=[5], rejected_ids=[6], truncated=False
    )
    sums = np.array([-1.0])
    objective = OBJECTIVES.find(what)
    return objective.make_trainer(
        Lesson(
            model=model,
            tokenizer=tokenizer,
            scored=ScoredPairs(pairs=[pair], chosen=sums, rejected=sums),
            order=np.zeros(4, dtype=np.int64),
            arguments=recipe.trainer_arguments(folder, "cuda"),
            settings={name: one.default for name, one in objective.SETTINGS.items()},
            seed=0,
        )
    )


@pytest.mark.parametrize("what", ["pretrain", "dpo", "sft"])
def test_one_gpu_trains_where_two_are_shown(what, recipe, tmp_path, tiny_model, word_tokenizer):
    model = tiny_model("gpt2")
    with fake_gpus(2):
        trainer = trainer_of(what, recipe, tmp_path, model, word_tokenizer(eos_token="<end>"))
        wrapped = trainer._wrap_model(trainer.model)
    assert trainer.args.n_gpu == 1
    assert trainer._train_batch_size == recipe.layout.micro_batch
    assert not isinstance(wrapped, torch.nn.DataParallel)


def test_a_model_spread_over_all_gpus_that_are_visible_is_no_layout_of_ours(recipe, tiny_model):
    spread = torch.nn.DataParallel(tiny_model("gpt2"))
    trainer = SimpleNamespace(
        supervision=SimpleNamespace(recipe=recipe),
        model_wrapped=spread,
        accelerator=SimpleNamespace(num_processes=1),
        args=SimpleNamespace(per_device_train_batch_size=2, gradient_accumulation_steps=2),
    )
    with pytest.raises(AssertionError, match="DataParallel"):
        require_layout(trainer, recipe.layout)

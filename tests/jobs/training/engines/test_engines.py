"""What engines say before a step is done, and one rank with what needs several."""

import pytest

from cluster.errors import UserError
from jobs.training.engine import ENGINES, Held
from jobs.training.layout import Layout
from jobs.training.params import TrainingParams
from jobs.training.zero import settings


def recipe(**params):
    return TrainingParams(**params).recipe(steps=3)


def test_each_stage_of_zero_divides_more():
    sharded = [ENGINES.find(f"zero{stage}").SHARDED for stage in (1, 2, 3)]
    assert sharded[0] < sharded[1] < sharded[2] == set(Held)
    assert not ENGINES.find("ddp").SHARDED


@pytest.mark.parametrize("stage", [1, 2, 3])
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_deepspeed_is_told_to_keep_weights_and_what_is_sent_in_fp32(stage, dtype):
    told = settings(stage, Layout(micro_batch=2, num_ranks=2), recipe(dtype=dtype, global_batch=8))
    assert (told["bf16"], told["fp16"]) == ({"enabled": False}, {"enabled": False})
    assert told["torch_autocast"]["enabled"] == (dtype == "bfloat16")
    assert told["torch_autocast"]["lower_precision_safe_modules"] == []
    assert told["communication_data_type"] == "fp32"
    assert (told["gradient_accumulation_steps"], told["train_batch_size"]) == (2, 8)
    assert told["zero_optimization"]["stage"] == stage


def test_an_unknown_engine_is_named_with_what_exists():
    with pytest.raises(UserError, match="unknown engine 'zero4'") as caught:
        ENGINES.find("zero4", where="engine")
    assert {"ddp", "zero1", "zero2", "zero3"} <= set(caught.value.allowed)


def test_fsdp2_says_that_one_rank_has_nobody_to_share_with():
    with pytest.raises(UserError, match="divides weights among ranks, and this job has one"):
        ENGINES.find("fsdp2").session(Layout(micro_batch=2), recipe())

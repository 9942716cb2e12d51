"""A model that accelerate prepared for 16 bits is scored by its own logits, not by wide copies."""

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState

from jobs.training.completion_log_probabilities import sum_log_probabilities

SEQUENCES = [([3, 4, 5], [6, 7]), ([8, 9], [10, 11, 12])]


@pytest.fixture
def model(tiny_model):
    return tiny_model("gpt2").train()


@pytest.fixture(autouse=True)
def no_precision_of_another_test():
    """accelerate keeps one precision for a process: that of the first who asks."""
    AcceleratorState._reset_state(reset_partial_state=True)
    yield
    AcceleratorState._reset_state(reset_partial_state=True)


def scored(model, dtype):
    return sum_log_probabilities(model, SEQUENCES, batch_size=2, dtype=dtype)


def test_logits_stay_as_wide_as_they_are_computed_and_the_sums_are_the_same(model):
    widths = []
    bare = scored(model, "bfloat16")
    prepared = Accelerator(cpu=True, mixed_precision="bf16").prepare_model(model)
    handle = prepared.register_forward_hook(
        lambda module, given, output: widths.append(output.logits.dtype)
    )
    assert np.array_equal(scored(prepared, "bfloat16"), bare)
    assert widths == [torch.bfloat16] and prepared.training
    prepared(input_ids=torch.tensor([[1, 2]]))  # a step of training gets what it got
    assert widths[1:] == [torch.float32]
    handle.remove()


def test_a_model_that_fails_while_it_is_scored_is_left_as_prepared(model):
    prepared = Accelerator(cpu=True, mixed_precision="bf16").prepare_model(model)
    before = prepared.forward
    with pytest.raises(IndexError):
        sum_log_probabilities(prepared, [([10**6], [1])], batch_size=1, dtype="bfloat16")
    assert prepared.forward == before and prepared.training

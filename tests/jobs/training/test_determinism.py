"""Kernels that repeat themselves: in force while a job trains that asks for them, and only then."""

import os

import pytest
import torch

from cluster.errors import UserError
from jobs.training import alignment, supervision
from jobs.training.determinism import repeating_kernels, repeats_itself
from tests.jobs.training.ranks import stop_at

INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {"max_length": 32, "steps": 2, "learning_rate": 1e-3}


def test_they_are_in_force_while_it_trains_and_change_nothing_on_a_processor(scored, monkeypatch):
    seen, train = [], alignment.train

    def watched(trainer):
        seen.append(torch.are_deterministic_algorithms_enabled())
        return train(trainer)

    monkeypatch.setattr(alignment, "train", watched)
    for name, given in (("plain", {}), ("repeating", {"deterministic": True})):
        scored.done("align", {**PARAMS, **given}, name=name, **INPUTS)
    assert seen == [False, True] and not torch.are_deterministic_algorithms_enabled()
    assert scored.log_of("plain") == scored.log_of("repeating")
    weights = "model/model.safetensors"
    assert scored.artifact("plain").read(weights) == scored.artifact("repeating").read(weights)


def test_what_was_set_before_is_put_back_and_products_have_their_workspace(monkeypatch):
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with repeating_kernels(True):
            assert not torch.is_deterministic_algorithms_warn_only_enabled()
            assert not torch.utils.deterministic.fill_uninitialized_memory
            assert os.environ["CUBLAS_WORKSPACE_CONFIG"] == ":4096:8"
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.utils.deterministic.fill_uninitialized_memory
    finally:
        torch.use_deterministic_algorithms(False)


def test_what_has_no_such_kernel_is_the_users_to_leave_out():
    """torch's own refusal; `put_` is one of the few that it has on a processor."""
    said = "put_ does not have a deterministic"
    with pytest.raises(UserError, match=said) as caught, repeating_kernels(True):
        torch.zeros(3).put_(torch.tensor([0, 0]), torch.ones(2), accumulate=False)
    assert caught.value.where == "deterministic"
    assert not torch.are_deterministic_algorithms_enabled()
    with pytest.raises(RuntimeError, match="another"), repeating_kernels(True):
        raise RuntimeError("another")


def test_a_gpu_repeats_itself_only_where_it_is_asked_to():
    assert repeats_itself(on_gpu=False, deterministic=False)
    assert repeats_itself(on_gpu=True, deterministic=True)
    assert not repeats_itself(on_gpu=True, deterministic=False)


@pytest.mark.parametrize("repeats", [True, False])
def test_a_resumed_run_is_exact_only_where_equal_steps_give_equal_bits(
    scored, monkeypatch, repeats
):
    asked = []

    def answers(**given):
        asked.append(given)
        return repeats

    monkeypatch.setattr(supervision, "repeats_itself", answers)
    params = {**PARAMS, "steps": 3, "checkpoint_every": 1, "deterministic": True}
    stopped, _ = scored.run("align", params, name="run", stop=stop_at(1), **INPUTS)
    assert stopped["state"] == "stopped", stopped
    scored.done("align", params, name="run", attempt="2", **INPUTS)
    resume = scored.artifact("run").facts["training"]["resume"]
    assert resume["resumed_from"] and resume["exact"] is repeats
    assert asked == [{"on_gpu": False, "deterministic": True}] * 2

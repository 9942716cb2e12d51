"""Which random number generators are asked for their states."""

import torch

from jobs.training.resume.random_state import read_generators, restore_generators


def test_a_gpu_that_the_process_does_not_use_is_not_touched(monkeypatch) -> None:
    def refuse(*given):
        raise RuntimeError("CUDA-capable device(s) is/are busy or unavailable")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: False)
    monkeypatch.setattr(torch.cuda, "get_rng_state", refuse)
    monkeypatch.setattr(torch.cuda, "set_rng_state", refuse)
    states = read_generators()
    assert "cuda" not in states
    drawn = torch.rand(3)
    restore_generators({**states, "cuda": "00" * 16})
    assert torch.equal(torch.rand(3), drawn)


def test_the_state_of_one_in_use_is_kept_and_put_back(monkeypatch) -> None:
    state, back = torch.arange(16, dtype=torch.uint8), []
    monkeypatch.setattr(torch.cuda, "is_initialized", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_rng_state", lambda: state)
    monkeypatch.setattr(torch.cuda, "set_rng_state", back.append)
    restore_generators(read_generators())
    assert torch.equal(back[0], state)

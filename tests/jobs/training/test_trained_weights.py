"""What a rank holds of a weight that training changes."""

import torch

from jobs.training.trained_weights import local_part


def test_what_fills_up_the_last_piece_of_a_weight_is_no_part_of_it(monkeypatch):
    weight = torch.nn.Parameter(torch.empty(0))
    weight.ds_numel = 5  # divided by two ranks into pieces of three
    weight.ds_tensor = torch.tensor([4.0, 5.0, float("nan")])
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "1")
    assert local_part(weight).tolist() == [4.0, 5.0]
    monkeypatch.setenv("RANK", "0")
    assert local_part(weight).isnan().sum() == 1


def test_a_weight_that_nothing_divides_is_held_whole():
    weight = torch.nn.Parameter(torch.ones(2, 3))
    assert local_part(weight) is weight

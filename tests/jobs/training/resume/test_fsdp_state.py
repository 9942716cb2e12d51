"""What an optimizer is given of a checkpoint where FSDP2 divides the weights, and where it lies."""

from types import SimpleNamespace

import pytest
import torch

from jobs.training.resume.fsdp_state import _divided_like


@pytest.mark.parametrize(("fused", "device"), [(True, "meta"), (False, "cpu")])
def test_the_number_of_steps_lies_where_the_optimizer_reads_it(fused, device) -> None:
    weight = torch.zeros(3, 2, device="meta")  # a device that is not the host's, as a GPU is none
    divided = SimpleNamespace(to_local=lambda: weight, device=weight.device)
    steps = _divided_like(divided, torch.tensor(7.0), fused=fused)
    assert steps.device.type == device

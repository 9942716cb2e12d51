"""Softmax of rows in place: the same numbers, without a second copy of all of them."""

import pytest
import torch

from jobs.behaviour import next_token_probabilities
from jobs.behaviour.next_token_probabilities import _log_probabilities


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("at_once", [1, 3 * 997, 2**24])
def test_log_probabilities_are_those_of_one_softmax_to_the_bit(dtype, at_once, monkeypatch):
    monkeypatch.setattr(next_token_probabilities, "_NUMBERS_AT_ONCE", at_once)
    rows = torch.randn(32, 997, generator=torch.Generator().manual_seed(1)).mul(8).to(dtype)
    whole, place = rows.float().log_softmax(dim=-1), rows.data_ptr()
    with torch.inference_mode():
        pieces = _log_probabilities(rows)
    assert pieces.dtype == torch.float32 and torch.equal(pieces, whole)
    assert (pieces.data_ptr() == place) == (dtype == torch.float32)

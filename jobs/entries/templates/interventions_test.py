"""Test of intervention `my-entry`: what it adds to activations."""

from pathlib import Path

import numpy as np

from jobs.entries.own_entries import read_entries
from jobs.intervening.intervention import INTERVENTIONS, Target

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def test_a_dose_of_two_takes_one_step_away() -> None:
    import torch

    target = Target(
        site="resid_post",
        layer=0,
        direction=np.array([1.0, 0.0]),
        step=3.0,
        neurons={},
        num_neurons=4,
    )
    with ENTRIES.bringing():
        (edit,) = INTERVENTIONS.find("my-entry").edits(target, 2.0)
    assert edit.shift(torch.zeros(1, 2)).tolist() == [[-3.0, 0.0]]

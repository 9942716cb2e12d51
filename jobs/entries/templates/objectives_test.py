"""Test of objective `my-entry`: its validation loss by hand."""

from pathlib import Path

import numpy as np

from jobs.entries.own_entries import read_entries
from jobs.training.objective import OBJECTIVES, ScoredPairs

ENTRIES = read_entries(Path(__file__).parents[1], "this test")


def test_the_validation_loss_is_that_of_the_margin() -> None:
    policy, reference = (
        ScoredPairs(pairs=[], chosen=np.array([level]), rejected=np.array([0.0]))
        for level in (3.0, 1.0)
    )
    with ENTRIES.bringing():
        objective = OBJECTIVES.find("my-entry")
        settings = objective.settings_from(dict.fromkeys(objective.SETTINGS))
        loss = objective.validation_loss(policy, reference, settings)
    assert abs(loss - np.log1p(np.exp(-0.1 * 2.0))) < 1e-12

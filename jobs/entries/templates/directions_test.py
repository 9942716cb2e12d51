"""Test of direction `my-entry`."""

from pathlib import Path
from typing import Any

import numpy as np

from jobs.entries.own_entries import read_entries
from jobs.generation.direction import DIRECTIONS, Contrast

ENTRIES = read_entries(Path(__file__).parents[1], "this test")
NONE: Any = None


def test_it_points_from_decent_to_toxic() -> None:
    contrast = Contrast(
        model=NONE,
        tokenizer=NONE,
        toxic_words=(),
        rejected_mean=np.array([2.0, 0.0, -1.0]),
        chosen_mean=np.array([0.5, 0.0, 3.0]),
        typical_norm=1.0,
    )
    with ENTRIES.bringing():
        direction = DIRECTIONS.find("my-entry").direction(contrast)
    assert direction.tolist() == [1.0, 0.0, -1.0]

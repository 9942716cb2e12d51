"""Samples made of rows at hand: what every metric test starts from."""

from collections.abc import Callable

import numpy as np
import pytest

from analysis.rows.summary import GroupSummary, Reservoir, Sample

MakeSample = Callable[..., Sample]


@pytest.fixture
def sample_of() -> MakeSample:
    """Sample of rows, of prompts 0, 1, 2, ... unless given, prompt p in group p mod 20."""

    def make(
        rows: np.ndarray,
        prompts: np.ndarray | None = None,
        groups: np.ndarray | None = None,
        base_norms: np.ndarray | None = None,
        moments: bool = True,
        base: np.ndarray | None = None,
    ) -> Sample:
        prompts = np.arange(len(rows)) if prompts is None else prompts
        groups = prompts % 20 if groups is None else groups
        norms = np.ones(len(rows)) if base_norms is None else base_norms
        summaries = {}
        for number in np.unique(groups):
            at = groups == number
            summaries[int(number)] = GroupSummary.from_rows(
                rows[at], norms[at], prompts[at], moments
            )
        with np.errstate(over="ignore"):
            kept = Reservoir(
                rows=rows.astype(np.float32),
                prompts=prompts,
                groups=groups,
                base=None if base is None else base.astype(np.float32),
            )
        return Sample(groups=summaries, reservoir=kept)

    return make

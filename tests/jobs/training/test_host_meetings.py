"""How often a step of training waits for its device: TRL's metrics and masks do, nothing of ours.

Counted on a processor, where `.item()` dispatches the same operator as on a GPU.
"""

import sys
from collections import Counter
from pathlib import Path

import pytest
from torch.utils._python_dispatch import TorchDispatchMode

from jobs.training import recipe
from jobs.training.supervision import Supervised

HOUSE = Path(recipe.__file__).parents[2]
INPUTS = {"model": "model", "pairs": "pairs", "reference": "reference"}
PARAMS = {"max_length": 32, "steps": 2, "micro_batch": 2, "checkpoint_every": None}
LIBRARIES = frozenset({"trl", "transformers"})
MOST_OF_LIBRARIES = 20
"""Of one forward and backward pass, as the pinned versions do it: 14 of TRL's metrics, and looks at
the mask; more would be news."""


class Meetings(TorchDispatchMode):
    """Counts values that the host waits for, by whose code asks for them."""

    def __init__(self, found):
        super().__init__()
        self.found = found

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if "_local_scalar_dense" in str(func) or "nonzero" in str(func):
            self.found[asker()] += 1
        return func(*args, **(kwargs or {}))


def asker():
    """The innermost library, or folder of ours, beside torch itself."""
    frame = sys._getframe(2)
    while frame is not None:
        path = Path(frame.f_code.co_filename)
        if "site-packages" in path.parts:
            name = path.parts[path.parts.index("site-packages") + 1]
            if name != "torch":
                return name
        elif path.is_relative_to(HOUSE) and "tests" not in path.parts:
            return path.relative_to(HOUSE).parts[0]
        frame = frame.f_back
    return "nobody"


@pytest.mark.slow
def test_no_pass_of_a_step_meets_the_host_for_our_sake(scored, monkeypatch):
    found, passes = Counter(), Counter()
    step = Supervised.training_step

    def counted(self, *args, **kwargs):
        passes["done"] += 1
        with Meetings(found):
            return step(self, *args, **kwargs)

    monkeypatch.setattr(Supervised, "training_step", counted)
    scored.done("align", PARAMS, name="counted", **INPUTS)
    assert passes["done"] == 4
    assert set(found) <= LIBRARIES, found
    assert 0 < found.total() / passes["done"] <= MOST_OF_LIBRARIES, found

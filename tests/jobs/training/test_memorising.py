"""A loss that falls has learned, wherever it ends; one that does not, has not."""

import json

import pytest

from jobs.kinds.align import Align
from jobs.training.memorising import why_not_learned
from jobs.training.reference_agreement import AGREED


def log(losses) -> bytes:
    """A training log with these losses."""
    rows = [{"step": step + 1, "loss": loss} for step, loss in enumerate(losses)]
    return "\n".join(json.dumps(row) for row in rows).encode()


@pytest.mark.parametrize(
    "losses",
    [
        [0.69 * 0.9**step for step in range(48)],
        [-0.5 - 0.01 * step for step in range(48)],
        [0.69] * 8 + [0.5] * 8 + [3.0] * 32,  # it fell, then the rate was too high
        [0.7, 0.68] * 2,  # too short to say
    ],
)
def test_what_fell_has_learned(losses) -> None:
    assert why_not_learned(log(losses)) is None


@pytest.mark.parametrize(
    "losses", [[1.0] * 48, [0.6931, 0.6932] * 24, [0.0] * 48, [1.0] * 8 + [2.0] * 40]
)
def test_what_never_fell_has_not(losses) -> None:
    assert "did not fall" in (why_not_learned(log(losses)) or "")


def test_what_the_reference_was_computed_with_is_left_as_it_is() -> None:
    written = {name: f"the study's {name}" for name in AGREED}
    learned = Align().memorising({"objective": "dpo", **written})
    assert learned is not None
    assert {name: learned[name] for name in AGREED} == written

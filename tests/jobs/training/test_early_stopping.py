"""When validations end a run, and whose weights it keeps."""

import pytest

from jobs.training.early_stopping import LOSS, EarlyStopping, stopping_state

STEPS = 100


def rows(*losses, every=10):
    return [{"step": every * (place + 1), LOSS: loss} for place, loss in enumerate(losses)]


def said(losses, patience=2, min_improvement=0.0):
    settings = EarlyStopping(every=10, patience=patience, min_improvement=min_improvement)
    return stopping_state(settings, rows(*losses), STEPS)


def test_without_a_validation_there_is_no_state():
    assert said([]) is None
    assert (
        stopping_state(EarlyStopping(every=10, patience=1), [{"step": 10, "loss": 1.0}], STEPS)
        is None
    )


@pytest.mark.parametrize(
    ("losses", "best_step", "stop"),
    [
        ([3.0], 10, False),
        ([3.0, 2.0, 1.0], 30, False),
        ([3.0, 2.0, 2.5], 20, False),
        ([3.0, 2.0, 2.5, 2.4], 20, True),
        ([3.0, 2.0, 2.5, 1.9, 2.0], 40, False),
        ([3.0, 3.0, 3.0], 10, True),
    ],
)
def test_patience_counts_validations_since_the_lowest(losses, best_step, stop):
    found = said(losses)
    assert (found.best_step, found.stop) == (best_step, stop)
    assert found.best_loss == losses[best_step // 10 - 1]


def test_a_fall_that_is_too_small_is_none():
    assert said([3.0, 2.95, 2.92], min_improvement=0.1).stop
    assert said([3.0, 2.95, 2.92], min_improvement=0.1).best_loss == 3.0
    assert said([3.0, 2.85, 2.7], min_improvement=0.1).best_step == 30


def test_only_its_own_validations_and_the_last_steps_count():
    settings = EarlyStopping(every=20, patience=1)
    between = [{"step": 10, LOSS: 1.0}, {"step": 20, LOSS: 3.0}, {"step": 30, LOSS: 2.0}]
    assert stopping_state(settings, between, STEPS).best_step == 20
    assert stopping_state(settings, between, 30).best_step == 30

import pytest

from orchestrator.records.failure import RETRIES, Result, Verdict, decide


@pytest.mark.parametrize("result", list(RETRIES))
def test_a_class_of_failure_is_given_up_when_its_own_budget_is_spent(result):
    assert decide({result: RETRIES[result] + 1}) is Verdict.GIVE_UP
    if RETRIES[result]:
        assert decide({result: RETRIES[result]}) is Verdict.AGAIN


def test_failures_of_one_class_do_not_use_up_the_budget_of_another():
    assert decide({Result.LOST: 3, Result.ERROR: 1}) is Verdict.AGAIN


def test_a_mistake_of_the_user_is_never_tried_again():
    assert decide({Result.MISTAKE: 1}) is Verdict.GIVE_UP


def test_cancelled_and_busy_attempts_are_charged_to_nothing():
    assert decide({Result.CANCELLED: 50, Result.BUSY: 50}) is Verdict.AGAIN

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from orchestrator.records.failure import RETRIES, Consequence, Result, decide, has_spent_retries


@pytest.mark.parametrize("result", list(RETRIES))
def test_a_class_of_failure_is_given_up_when_its_own_budget_is_spent(result):
    assert has_spent_retries({result: RETRIES[result] + 1})
    assert not has_spent_retries({result: RETRIES[result]})


def test_failures_of_one_class_do_not_use_up_the_budget_of_another():
    assert not has_spent_retries({Result.LOST: 3, Result.ERROR: 1})


def test_a_mistake_of_the_user_is_never_tried_again():
    assert has_spent_retries({Result.MISTAKE: 1})


def test_cancelled_and_busy_attempts_are_charged_to_nothing():
    assert not has_spent_retries({Result.CANCELLED: 50, Result.BUSY: 50})


def after(result, *, settled=False, others=0, cancelled=False, failures=()):
    return decide(
        result,
        is_settled=settled,
        num_others=others,
        is_cancelled=cancelled,
        failures=Counter(failures),
    )


@pytest.mark.parametrize(
    ("result", "alone", "among_others"),
    [
        (Result.DONE, Consequence.FINISH, Consequence.FINISH),
        (Result.REUSED, Consequence.FINISH, Consequence.FINISH),
        (Result.MISTAKE, Consequence.GIVE_UP, Consequence.GIVE_UP),
        (Result.LOST, Consequence.AGAIN, Consequence.NONE),
        (Result.ERROR, Consequence.AGAIN, Consequence.NONE),
        (Result.BUSY, Consequence.PARK, Consequence.NONE),
        (Result.CANCELLED, Consequence.CANCEL, Consequence.NONE),
    ],
)
def test_what_an_ending_means_alone_and_while_others_are_at_the_job(result, alone, among_others):
    assert after(result, failures=[result]) is alone
    assert after(result, others=1, failures=[result]) is among_others


def test_a_job_whose_budget_is_spent_is_given_up():
    assert after(Result.ERROR, failures=[Result.ERROR] * 2) is Consequence.GIVE_UP


def test_nothing_is_tried_again_that_somebody_asked_to_cancel():
    assert after(Result.LOST, cancelled=True, failures=[Result.LOST]) is Consequence.CANCEL


@given(
    results=st.lists(st.sampled_from(list(Result)), min_size=1, max_size=6), cancelled=st.booleans()
)
def test_however_a_crew_ends_its_job_is_settled_exactly_once(results, cancelled):
    settled = False
    decisions = []
    for at, result in enumerate(results):
        found = after(result, settled=settled, others=len(results) - 1 - at, cancelled=cancelled)
        if found is not Consequence.NONE:
            decisions.append(found)
            settled = True
    assert len(decisions) == 1

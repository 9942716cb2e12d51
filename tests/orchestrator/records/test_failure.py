from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cluster.fault_classes import FaultClass
from orchestrator.records.events import Ended, Renewed
from orchestrator.records.failure import (
    RETRIES,
    WAITED_FOR,
    Consequence,
    Result,
    consequence_of,
    has_spent_retries,
    result_of_class,
)
from orchestrator.records.history import gather

LOST, ERROR, MISTAKE = FaultClass.LOST_PROCESS, FaultClass.PROGRAM, FaultClass.MISTAKE


@pytest.mark.parametrize("fault_class", list(RETRIES))
def test_a_class_of_failure_is_given_up_when_its_own_budget_is_spent(fault_class):
    assert has_spent_retries({fault_class: RETRIES[fault_class] + 1})
    assert not has_spent_retries({fault_class: RETRIES[fault_class]})


def test_failures_of_one_class_do_not_use_up_the_budget_of_another():
    assert not has_spent_retries({LOST: 3, ERROR: 1})


def test_a_mistake_of_the_user_is_never_tried_again():
    assert has_spent_retries({MISTAKE: 1})


@pytest.mark.parametrize("fault_class", sorted(set(FaultClass) - set(RETRIES), key=str))
def test_a_fault_of_the_surroundings_is_waited_out_however_often_it_comes(fault_class):
    assert not has_spent_retries({fault_class: 1000})
    result = result_of_class(fault_class)
    expected = Consequence.PARK if result is Result.NO_ROOM else Consequence.WAIT
    assert after(result, fault_class=fault_class, failures=[fault_class] * 50) is expected


def test_only_the_jobs_own_faults_are_charged():
    own = {
        FaultClass.MISTAKE,
        FaultClass.PROGRAM,
        FaultClass.OUT_OF_MEMORY,
        FaultClass.HUNG,
        FaultClass.DIVERGED,
        FaultClass.LOST_PROCESS,
        FaultClass.UNKNOWN,
        # Bounded all the same: a job that is stopped always at one point, a key nobody renews.
        FaultClass.PREEMPTED,
        FaultClass.PERMISSION,
    }
    assert set(RETRIES) == own
    assert own & WAITED_FOR == {FaultClass.PERMISSION}


def after(
    result,
    *,
    settled=False,
    others=0,
    cancelled=False,
    failures=(),
    fault_class=None,
    repeated=False,
):
    return consequence_of(
        result,
        fault_class=fault_class,
        is_settled=settled,
        num_others=others,
        is_cancelled=cancelled,
        failures=Counter(failures),
        is_repeated=repeated,
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
    assert after(result) is alone
    assert after(result, others=1) is among_others


def test_a_job_whose_budget_is_spent_is_given_up():
    assert after(Result.ERROR, failures=[ERROR] * 2) is Consequence.GIVE_UP


def test_nothing_is_tried_again_that_somebody_asked_to_cancel():
    assert after(Result.LOST, cancelled=True, failures=[LOST]) is Consequence.CANCEL


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


def ended(number, fraction=0.5, message="step 7: loss 0x7f is odd", fault_class=ERROR, **more):
    return Ended(
        at=1.0,
        key="k",
        attempt=f"a{number}",
        result=result_of_class(fault_class),
        seconds=1.0,
        message=message,
        fraction=fraction,
        fault_class=fault_class,
        **more,
    )


def past_of(*events):
    return gather(events).of_job("k")


def test_two_attempts_that_end_at_one_step_in_one_way_are_one_too_many():
    crash = {"fault_class": LOST, "signature": "bus-error", "step": 12}
    past = past_of(ended(1, **crash), ended(2, **crash))
    assert past.repeated == "a1" and past.given_up
    assert not has_spent_retries(past.failures)
    assert after(Result.LOST, repeated=True) is Consequence.GIVE_UP


def test_ids_and_sizes_in_a_message_are_no_other_way_to_end():
    texts = ("bad block 0x7f3a of 12 MB", "bad block 0x11 of 13 MB")
    events = [
        ended(number, message=text, fault_class=FaultClass.UNKNOWN)
        for number, text in enumerate(texts)
    ]
    assert past_of(*events).repeated == "a0"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ({"step": 12}, {"step": 13}),
        ({"signature": "bus-error"}, {"signature": "oom"}),
        ({"fault_class": FaultClass.NETWORK}, {"fault_class": FaultClass.NETWORK}),
        ({"fault_class": FaultClass.PREEMPTED}, {"fault_class": FaultClass.PREEMPTED}),
        ({"fault_class": FaultClass.LOST_NODE}, {"fault_class": FaultClass.LOST_NODE}),
        ({"fault_class": LOST}, {"fault_class": LOST}),
        ({"fault_class": LOST, "signal": "SIGKILL"}, {"fault_class": LOST, "signal": "SIGKILL"}),
        ({"fraction": 0.5}, {"fraction": 0.6}),
    ],
)
def test_other_steps_other_causes_and_what_is_around_the_job_are_no_repetition(first, second):
    past = past_of(ended(1, **first), ended(2, **second))
    assert past.repeated is None


def test_a_fresh_budget_forgets_how_a_job_ended_before():
    crash = {"fault_class": LOST, "signature": "bus-error", "step": 12}
    failed = (ended(1, **crash), ended(2, **crash))
    assert not past_of(*failed, Renewed(at=2.0, keys=["k"])).given_up
    assert past_of(*failed, Renewed(at=2.0, keys=["other"])).given_up

"""Which pairing is chosen, from sizes alone."""

from dataclasses import replace

import pytest

from cluster.errors import UserError
from jobs.extraction.pairing import (
    Pairing,
    PairingConditions,
    choose_pairing,
    estimate_forward_seconds,
)

ROOMY = PairingConditions(
    has_adapter=False,
    weight_bytes=10**9,
    memory_bytes=10**11,
    spool_bytes=10**9,
    is_shared=True,
    forward_s=1.0,
)


def test_both_models_stay_in_memory_when_they_fit_and_the_forward_is_short():
    assert choose_pairing("auto", ROOMY).pairing is Pairing.RESIDENT


def test_an_adapter_on_the_base_is_switched_on_and_off():
    assert choose_pairing("auto", replace(ROOMY, has_adapter=True)).pairing is Pairing.ADAPTER


def test_models_that_do_not_fit_together_take_turns():
    choice = choose_pairing("auto", replace(ROOMY, memory_bytes=2 * 10**9))
    assert choice.pairing is Pairing.SEQUENTIAL
    assert "2.5 GB, there are 2.0" in choice.why


def test_base_rows_are_kept_for_others_where_that_is_cheaper_than_computing_them_again():
    assert choose_pairing("auto", replace(ROOMY, forward_s=60.0)).pairing is Pairing.SEQUENTIAL


@pytest.mark.parametrize(
    "change",
    [
        {"forward_s": 1.9},  # as long as writing and reading a gigabyte
        {"spool_bytes": 10**8, "forward_s": 5.0},  # nothing to be saved
        {"is_shared": False},
    ],
)
def test_elsewhere_they_are_computed_again(change):
    now = replace(ROOMY, forward_s=60.0)
    assert choose_pairing("auto", replace(now, **change)).pairing is Pairing.RESIDENT


def test_the_study_may_ask_for_one_but_not_for_an_adapter_that_there_is_none_of():
    assert choose_pairing("sequential", ROOMY).pairing is Pairing.SEQUENTIAL
    with pytest.raises(UserError, match="no adapter on this base"):
        choose_pairing("adapter", ROOMY)


def test_a_forward_takes_two_operations_for_each_parameter_and_token():
    one, two = (estimate_forward_seconds(10**9, 1000, "cpu", threads) for threads in (1, 2))
    assert one == 2 * two == pytest.approx(57.1, rel=0.01)

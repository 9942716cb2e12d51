"""Asking again, and what a service means by its answers."""

import email.utils
import time

import pytest

from cluster.errors import UserError
from jobs.service.faults import NoAnswer, TransientFault, fault_of_status, retry_after_s
from jobs.service.retrying import RateLimit, ask_with_retries
from jobs.worker.work import Stopped

QUICK = {"max_retries": 3, "first_wait_s": 0.001}


def pace(stop=lambda: False):
    return RateLimit(1e6, stop)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("2", 2.0), ("0.5", 0.5), ("-3", 0.0), (None, None), ("soon", None), ("inf", None)],
)
def test_retry_after_is_a_number_of_seconds(header, seconds):
    assert retry_after_s(header) == seconds


def test_retry_after_may_be_a_date():
    in_an_hour = email.utils.formatdate(time.time() + 3600, usegmt=True)
    assert 3000 < retry_after_s(in_an_hour) <= 3600
    assert retry_after_s("Wed, 21 Oct 2015 07:28:00 GMT") == 0.0


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 529])
def test_what_may_pass_is_passing(status):
    fault = fault_of_status(status, {}, "server_error", where="there")
    assert isinstance(fault, TransientFault) and str(fault) == f"HTTP {status} server_error"


def test_what_is_no_plain_word_is_not_repeated():
    for code in ("Bearer sk-123", "sk-123", "", None, 7, "a" * 60):
        assert str(fault_of_status(400, {}, code, where="there")) == "HTTP 400"
    assert isinstance(fault_of_status(401, {}, None, where="there"), UserError)


@pytest.mark.parametrize(
    ("fault", "num_tries", "reason"),
    [
        (TransientFault("HTTP 500"), 4, "HTTP 500, 4 times"),
        # Nobody waits for as long as this one asks for.
        (
            TransientFault("HTTP 429", retry_after_s=86_400),
            1,
            "HTTP 429, to be asked after 86400 s",
        ),
    ],
)
def test_it_is_asked_as_often_as_allowed_and_then_given_up(fault, num_tries, reason):
    tries = []

    def ask():
        tries.append(1)
        raise fault

    with pytest.raises(NoAnswer) as caught:
        ask_with_retries(ask, pace(), **QUICK)
    assert (len(tries), str(caught.value)) == (num_tries, reason)


def test_a_stop_ends_a_wait():
    asked = []

    def ask():
        asked.append(1)
        raise TransientFault("HTTP 500")

    with pytest.raises(Stopped):
        ask_with_retries(ask, pace(lambda: bool(asked)), max_retries=9, first_wait_s=100)
    assert len(asked) == 1


def test_no_more_requests_go_out_in_a_minute_than_allowed():
    slow = RateLimit(600, lambda: False)
    began = time.monotonic()
    for _ in range(4):
        slow.wait_turn()
    assert time.monotonic() - began >= 0.3  # a lower bound holds on any machine

"""Requests are tried again (tenacity) and spaced out in time; a stop of the job ends any wait."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, NoReturn, TypeVar

from jobs.service.faults import NoAnswer, TransientFault
from jobs.worker.work import Stopped

if TYPE_CHECKING:
    from tenacity import RetryCallState

Answer = TypeVar("Answer")

_LONGEST_WAIT_S = 120.0
"""Longest wait before a retry; a service that asks for a longer one is not there now."""
_LOOK_EVERY_S = 0.1
"""How often a wait looks whether the job is to stop."""


class RateLimit:
    """Spaces out the requests to one service, whichever thread sends them."""

    def __init__(self, per_minute: float, stop_requested: Callable[[], bool]) -> None:
        self._gap_s = 60.0 / per_minute
        self._stop_requested = stop_requested
        self._lock = threading.Lock()
        self._next = 0.0

    def wait_turn(self) -> None:
        """Block until the next request may go out. Raises Stopped when the job is to stop."""
        while True:
            with self._lock:
                now = time.monotonic()
                wait_s = self._next - now
                if wait_s <= 0:
                    self._next = now + self._gap_s
            self._raise_if_stopped()
            if wait_s <= 0:
                return
            time.sleep(min(wait_s, _LOOK_EVERY_S))

    def hold(self, seconds: float) -> None:
        """Let no thread send a request for so long."""
        with self._lock:
            self._next = max(self._next, time.monotonic() + seconds)

    def sleep(self, seconds: float) -> None:
        """Block this thread alone. Raises Stopped when the job is to stop."""
        until = time.monotonic() + seconds
        while (left_s := until - time.monotonic()) > 0:
            self._raise_if_stopped()
            time.sleep(min(left_s, _LOOK_EVERY_S))

    def _raise_if_stopped(self) -> None:
        if self._stop_requested():
            raise Stopped


def ask_with_retries(
    ask: Callable[[], Answer], rate_limit: RateLimit, *, max_retries: int, first_wait_s: float
) -> Answer:
    """Call `ask` until it raises no TransientFault, within the rate limit.

    Waits double from try to try, for this request alone; a wait that the service asks for
    (Retry-After) holds all requests back.

    Raises:
        NoAnswer: too many tries failed, or the service asks for too long a wait.
        Stopped: the job was asked to stop.
    """
    from tenacity import Retrying, retry_if_exception_type, wait_exponential

    doubling = wait_exponential(multiplier=first_wait_s, max=_LONGEST_WAIT_S)

    def try_once() -> Answer:
        rate_limit.wait_turn()
        return ask()

    def is_over(state: RetryCallState) -> bool:
        return state.attempt_number > max_retries or _requested_wait_s(state) > _LONGEST_WAIT_S

    def give_up(state: RetryCallState) -> NoReturn:
        tries, wait_s = state.attempt_number, _requested_wait_s(state)
        end = f"{tries} times" if tries > max_retries else f"to be asked after {wait_s:.0f} s"
        raise NoAnswer(f"{_fault(state)}, {end}", is_away=True) from None

    return Retrying(
        retry=retry_if_exception_type(TransientFault),
        stop=is_over,
        wait=lambda state: doubling(state) if _fault(state).retry_after_s is None else 0.0,
        before_sleep=lambda state: rate_limit.hold(_requested_wait_s(state)),
        sleep=rate_limit.sleep,
        retry_error_callback=give_up,
    )(try_once)


def _fault(state: RetryCallState) -> TransientFault:
    fault = state.outcome.exception() if state.outcome else None
    assert isinstance(fault, TransientFault), fault
    return fault


def _requested_wait_s(state: RetryCallState) -> float:
    return _fault(state).retry_after_s or 0.0

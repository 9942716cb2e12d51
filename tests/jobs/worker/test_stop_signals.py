"""A worker that gets a scheduler's signal saves and stops; somebody else's handler stays his."""

import os
import signal

import pytest

from cluster.executor import Surroundings
from jobs.worker.stop_signals import heeding_signals

SIGNALS = [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2]


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_asks_the_job_to_stop_and_handlers_are_as_before_afterwards(number):
    before = signal.signal(number, signal.SIG_DFL)
    try:
        with heeding_signals(Surroundings()) as surroundings:
            assert not surroundings.stop_requested()
            os.kill(os.getpid(), number)
            assert surroundings.stop_requested()
        assert signal.getsignal(number) is signal.SIG_DFL
    finally:
        signal.signal(number, before)


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_that_is_handled_or_ignored_already_is_left_alone(number):
    heard = []
    before = signal.signal(number, lambda *arguments: heard.append(arguments[0]))
    try:
        with heeding_signals(Surroundings()) as surroundings:
            os.kill(os.getpid(), number)
            assert heard == [number] and not surroundings.stop_requested()
        signal.signal(number, signal.SIG_IGN)
        with heeding_signals(Surroundings(stop_requested=lambda: True)) as surroundings:
            os.kill(os.getpid(), number)
            assert surroundings.stop_requested()
    finally:
        signal.signal(number, before)

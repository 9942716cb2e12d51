"""A worker that gets a scheduler's signal saves and stops; somebody else's handler stays his."""

import os
import signal

import pytest

from cluster.executor import Surroundings
from jobs.worker.stop_signals import ended_by_interrupts, heeding_signals

SIGNALS = [signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2, signal.SIGXCPU]


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


@pytest.fixture
def interrupt():
    """What interrupts this process as Ray does; its handler is Python's own."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield lambda: os.kill(os.getpid(), signal.SIGINT)
    signal.signal(signal.SIGINT, before)


def test_an_interrupt_ends_only_what_never_asks_whether_to_stop(interrupt):
    with (
        heeding_signals(Surroundings()),
        pytest.raises(KeyboardInterrupt),
        ended_by_interrupts(),
    ):
        interrupt()
        raise AssertionError("it went on")
    with heeding_signals(Surroundings()) as surroundings, ended_by_interrupts():
        assert not surroundings.stop_requested()
        interrupt()
        assert surroundings.stop_requested()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_before_the_work_keeps_it_from_beginning_and_one_after_it_loses_nothing(
    interrupt,
):
    with heeding_signals(Surroundings()) as surroundings:
        with ended_by_interrupts():
            done = True
        interrupt()  # while the work is published
        assert done and surroundings.stop_requested()
        with pytest.raises(KeyboardInterrupt), ended_by_interrupts():
            raise AssertionError("it began")
    with heeding_signals(Surroundings()) as surroundings, ended_by_interrupts():
        assert not surroundings.stop_requested(), "the next call inherits nothing"


def test_an_interrupt_that_somebody_handles_is_left_to_him(interrupt):
    heard = []
    signal.signal(signal.SIGINT, lambda *arguments: heard.append(arguments[0]))
    with heeding_signals(Surroundings()) as surroundings, ended_by_interrupts():
        interrupt()
        assert heard == [signal.SIGINT] and not surroundings.stop_requested()


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM, *SIGNALS])
def told(request):
    """What tells a launch in whose process the job runs to end, as `handle_signals` hears it."""
    from orchestrator.dispatch.interruption import handle_signals

    with handle_signals(may_raise=True) as heard:
        yield heard, lambda: os.kill(os.getpid(), request.param)


def test_a_job_in_the_process_of_its_launch_is_asked_before_a_signal_ends_it(told):
    heard, tell = told
    with heeding_signals(Surroundings()) as surroundings, ended_by_interrupts():
        assert not surroundings.stop_requested()
        tell()
        assert surroundings.stop_requested() and heard.requested


def test_a_job_in_the_process_of_its_launch_that_never_asks_is_ended_at_once(told):
    heard, tell = told
    with (
        heeding_signals(Surroundings()),
        pytest.raises(KeyboardInterrupt),
        ended_by_interrupts(),
    ):
        tell()
        raise AssertionError("it went on")
    assert heard.requested


def test_a_second_interrupt_ends_a_job_in_the_process_of_its_launch():
    from orchestrator.dispatch.interruption import handle_signals

    with (
        handle_signals(may_raise=True),
        heeding_signals(Surroundings()) as surroundings,
        pytest.raises(KeyboardInterrupt),
        ended_by_interrupts(),
    ):
        surroundings.stop_requested()
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)
        raise AssertionError("it went on")

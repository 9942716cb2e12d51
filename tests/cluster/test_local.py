import signal
import subprocess
import sys
import threading
import time

import pytest

from cluster.executor import Ending
from cluster.executors.local import Executor
from cluster.machine.resources import Resources

CALLS = """
import json

def echo(payload, surroundings):
    return json.dumps([payload, surroundings.stop_requested()])

def fail(payload, surroundings):
    raise OSError("no such thing")

def interrupt(payload, surroundings):
    raise KeyboardInterrupt

def wait_for_interrupt(payload, surroundings):
    begin_interrupt()
    return "done"
"""


@pytest.fixture(autouse=True)
def calls(tmp_path, monkeypatch):
    (tmp_path / "local_calls.py").write_text(CALLS)
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("local_calls", None)


@pytest.fixture
def executor():
    return Executor()


def test_a_call_returns_its_answer(executor):
    executor.submit("a", "local_calls:echo", "hello", Resources())
    (outcome,) = executor.wait(0)
    assert (outcome.ticket, outcome.ending) == ("a", Ending.RETURNED)
    assert outcome.answer == '["hello", false]'


def test_calls_run_one_after_another_in_order(executor):
    for ticket in "abc":
        executor.submit(ticket, "local_calls:echo", "", Resources())
    assert [outcome.ticket for _ in range(3) for outcome in executor.wait(0)] == ["a", "b", "c"]
    assert executor.wait(0) == []


def test_what_a_call_raises_is_its_outcome(executor):
    executor.submit("a", "local_calls:fail", "", Resources())
    (outcome,) = executor.wait(0)
    assert (outcome.ending, outcome.error) == (Ending.RAISED, "OSError: no such thing")


def test_an_interrupted_call_counts_as_cancelled(executor):
    executor.submit("a", "local_calls:interrupt", "", Resources())
    assert executor.wait(0)[0].ending is Ending.CANCELLED


def test_a_cancelled_call_does_not_start(executor):
    executor.submit("a", "local_calls:fail", "", Resources())
    executor.cancel("a")
    assert executor.wait(0)[0].ending is Ending.CANCELLED


def test_no_call_is_too_large(executor):
    assert Resources(num_cpus=512, num_gpus=64, memory_gb=4000).fits(executor.nodes()[0])


def test_it_says_that_it_runs_one_process(executor):
    assert executor.most_ranks() == 1


def test_it_does_not_import_ray():
    program = "import sys, cluster.executors.local; sys.exit('ray' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


def test_an_interrupt_that_comes_as_its_call_ends_ends_nothing_else(executor, monkeypatch):
    from cluster.executors import local

    missed, sending, kill = [], threading.Event(), signal.pthread_kill

    def send_late(thread, number):
        sending.set()
        while executor._at_work is not None:
            time.sleep(0.001)
        kill(thread, number)

    def begin():
        thread.start()
        assert sending.wait(20)

    thread = threading.Thread(target=lambda: executor.interrupt("a", "it hangs"))
    monkeypatch.setattr(local.signal, "pthread_kill", send_late)
    monkeypatch.setattr("local_calls.begin_interrupt", begin, raising=False)
    before = signal.signal(local._INTERRUPT, lambda number, frame: missed.append(number))
    try:
        executor.submit("a", "local_calls:wait_for_interrupt", "", Resources())
        (outcome,) = executor.wait(0)
        thread.join()
        executor.submit("b", "local_calls:echo", "", Resources())
        (after,) = executor.wait(0)
    finally:
        signal.signal(local._INTERRUPT, before)
    assert (outcome.answer, after.ending, missed) == ("done", Ending.RETURNED, [])


def test_a_process_without_docstrings_is_refused_before_the_first_call():
    program = """
from cluster.errors import UserError
from cluster.executors.local import Executor
try:
    Executor().start()
except UserError as fault:
    print(fault.hint)
"""
    words = [sys.executable, "-OO", "-c", program]
    told = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60)
    assert "PYTHONOPTIMIZE" in told.stdout

"""Processes that hang, looked at from beside them: each in its own way, none of them helps."""

import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import pytest

from cluster.executor import Surroundings
from cluster.machine.process_stat import process_stat
from jobs.liveness import inspection
from jobs.liveness.heartbeat import Heartbeat
from jobs.liveness.inspection import (
    Suspect,
    describe,
    end,
    glance,
    inspect,
    inspection_payload,
    read_findings,
)
from jobs.liveness.stacks import dump_of

HERE = Surroundings(node="n1")
WAYS = {
    "sleeps": "threading.Event().wait()",
    "holds the interpreter": "[ctypes.PyDLL(None).sleep(1000) for _ in range(1000)]",
    "spins": "re.match(r'(a+)+$', 'a' * 40 + 'b')",
    "moves": "all(deep(number % 60) is not None for number in itertools.count())",
}


@pytest.fixture
def hanging():
    """Starts a process that answers the dump signal and then hangs; returns its pid and thread."""
    started = []

    def start(way):
        code = f"""
            import ctypes, itertools, re, threading
            from jobs.liveness.stacks import answer_dump_signal
            answer_dump_signal()
            def deep(left):
                return left and deep(left - 1)
            def hang_in_here():
                {WAYS[way]}
            print(threading.get_ident(), flush=True)
            hang_in_here()
        """
        words = [sys.executable, "-c", textwrap.dedent(code)]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        started.append(process)
        return Suspect(rank=2, pid=process.pid, started=0, thread=int(process.stdout.readline()))

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdout.close()


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(inspection, "_LOOK_S", 0.4)


def look(suspect, probe=None):
    (finding,) = read_findings(inspect(inspection_payload([suspect], probe), HERE))
    return finding


def glance_at(suspect):
    (finding,) = read_findings(glance(inspection_payload([suspect], None), HERE))
    return finding


@pytest.mark.parametrize("way", ["sleeps", "holds the interpreter", "spins"])
def test_what_hangs_shows_its_stack_and_stays_where_it_is(hanging, way):
    suspect = hanging(way)
    look(suspect)  # by the end of which it hangs
    finding = look(suspect)
    assert "hang_in_here" in finding.stacks and len(finding.places) == 1
    assert not (finding.is_stopped or finding.is_gone or finding.is_root_away)
    assert finding.computes == (way == "spins")


def test_what_moves_is_seen_in_several_places(hanging):
    suspect, places, computes = hanging("moves"), set(), False
    until = time.monotonic() + 30  # where others hold the processors, a look sees little
    while time.monotonic() < until and not (len(places) > 1 and computes):
        finding = look(suspect)
        places.update(finding.places)
        computes |= finding.computes
    assert len(places) > 1 and computes


def test_a_stopped_process_is_told_by_the_kernel_and_a_dead_one_is_gone(hanging, tmp_path):
    suspect = hanging("sleeps")
    os.kill(suspect.pid, signal.SIGSTOP)
    until = time.monotonic() + 10
    while not (glanced := glance_at(suspect)).is_stopped and time.monotonic() < until:
        time.sleep(0.01)
    assert glanced.is_stopped_by_signal and glanced.cpu_s is not None and glanced.pid == suspect.pid
    finding = look(suspect)
    assert finding.is_stopped and finding.stacks is None and not finding.computes
    text = describe(finding, {"step": 3})
    assert "stopped by a signal" in text and "no stacks in Python: it is stopped" in text
    assert json.loads(end(inspection_payload([suspect], None), HERE)) == [2]
    until = time.monotonic() + 10
    while not process_stat(suspect.pid).has_ended and time.monotonic() < until:
        time.sleep(0.01)
    assert look(suspect).is_gone


def test_a_process_that_is_through_with_the_attempt_is_not_ended_for_it(hanging, tmp_path):
    alive = tmp_path / "2.json"
    suspect = replace(hanging("sleeps"), heartbeat=str(alive))
    alive.write_text(Heartbeat(rank=2, beat=4, is_over=True).to_json())
    assert json.loads(end(inspection_payload([suspect], None), HERE)) == []
    assert look(suspect).stacks
    alive.write_text(Heartbeat(rank=2, beat=4).to_json())
    assert json.loads(end(inspection_payload([suspect], None), HERE)) == [2]


def test_another_process_that_has_the_number_by_now_is_left_alone(hanging):
    suspect = hanging("sleeps")
    stranger = Suspect(rank=2, pid=suspect.pid, started=1, thread=0)
    assert glance_at(stranger).is_gone and not glance_at(suspect).is_gone
    assert look(stranger).is_gone
    assert json.loads(end(inspection_payload([stranger], None), HERE)) == []
    assert look(suspect).stacks


def test_a_root_that_takes_no_write_is_told(hanging, tmp_path):
    suspect = hanging("sleeps")
    assert not look(suspect, str(tmp_path / "probe")).is_root_away
    assert not list(tmp_path.iterdir())
    assert look(suspect, str(tmp_path / "missing" / "probe")).is_root_away


def test_a_process_that_does_not_handle_the_signal_is_sent_none():
    with subprocess.Popen(["sleep", "60"]) as process:
        assert dump_of(process.pid) is None and process.poll() is None
        process.kill()


def test_a_description_has_the_last_heartbeat():
    heartbeat = json.loads(Heartbeat(rank=2, beat=4, step=7).to_json())
    (finding,) = read_findings('[{"rank": 2, "node": "n1", "pid": 5, "state": "D"}]')
    text = describe(finding, heartbeat)
    assert "waiting for a device or file system" in text and '"step": 7' in text

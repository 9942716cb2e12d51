"""The sentences of `why`: what is an attempt, and which numbers are a clue."""

import pytest

from cluster.fault_classes import FaultClass
from orchestrator.views.story_text import sentences


def attempt(result, *, at, fault_class=None):
    return {
        "event": "attempt",
        "submitted": at,
        "ended": at + 1,
        "seconds": 1,
        "launch_number": 1,
        "result": result,
        "fault_class": fault_class,
        "signature": None,
        "rank": None,
        "step": None,
        "fraction": None,
        "signal": None,
        "message": "it said so",
        "memory": {"process_gb": 1.0},
        "others": [{"name": "chrome", "pid": 7, "gb": 3.0}],
        "decided_by": "",
        "injected": [],
        "execution": {},
        "log": None,
    }


def told(*history):
    story = {
        "job": "a",
        "key": "0" * 64,
        "kind": "probe",
        "state": "waiting",
        "study": "tale",
        "history": history,
        "result": None,
        "why": None,
        "killed_by": None,
        "queue": None,
        "root_cause": None,
        "waits_for": None,
        "is_running": True,
    }
    return list(sentences(story, "tale"))


def test_looks_at_a_job_of_somebody_else_are_one_line_and_no_attempts():
    looks = [attempt("busy", at=number) for number in range(7)]
    lines = told(*looks, attempt("error", at=9, fault_class="program"), attempt("busy", at=20))
    assert "somebody else was at it, at 7 looks until" in lines[1]
    assert "attempt 1 of 1" in lines[2]
    assert lines[-1].endswith("somebody else was at it")
    assert sum("somebody else" in line for line in lines) == 2


@pytest.mark.parametrize(
    "fault_class, is_clue",
    [
        (FaultClass.MISTAKE, False),
        (FaultClass.PROGRAM, False),
        (FaultClass.OUT_OF_MEMORY, True),
        (FaultClass.LOST_PROCESS, True),
        (FaultClass.UNKNOWN, True),
    ],
)
def test_who_else_held_memory_is_told_where_memory_may_be_the_cause(fault_class, is_clue):
    lines = told(attempt("error", at=1, fault_class=fault_class.value))
    assert any("chrome" in line for line in lines) is is_clue

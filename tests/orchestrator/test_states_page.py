"""The page that draws all states names each of them, so that it cannot fall behind the code."""

import re
from pathlib import Path

import pytest

from analysis.status import Status
from cluster.executor import Ending
from cluster.fault_classes import FaultClass
from jobs.worker.answer import Code, State
from orchestrator.dispatch.job_states import JobState
from orchestrator.plan.decisions import Decision
from orchestrator.records.events import LaunchState
from orchestrator.records.failure import Consequence, NextTry, Result

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/states.md").read_text()
WORDS = set(re.findall(r"\w+", PAGE))


@pytest.mark.parametrize(
    "states",
    [
        Ending,
        State,
        Code,
        FaultClass,
        Result,
        Consequence,
        NextTry,
        JobState,
        Decision,
        LaunchState,
    ],
)
def test_the_page_of_states_names_every_member(states):
    assert not {member.name for member in states} - WORDS
    assert states.__name__ in WORDS


def test_the_page_of_states_names_every_status_as_tables_write_it():
    assert not {status.value for status in Status} - WORDS


def test_the_files_that_the_page_of_states_names_exist():
    named = set(re.findall(r"`((?:orchestrator|analysis|cluster|jobs)/[\w/]+\.py)`", PAGE))
    assert named and all((ROOT / name).is_file() for name in named)

"""What is told of while a launch runs: the first failure with a count, and long waits."""

import inspect

import pytest

from cluster.fault_classes import FaultClass
from orchestrator.dispatch.job_states import JobState
from orchestrator.dispatch.nodes.quarantine import Quarantined
from orchestrator.dispatch.waiting.outage import Wait
from orchestrator.dispatch.watcher import BothWatchers, Watcher
from orchestrator.notices.launch_notices import LONG_WAIT_S, LaunchNotices
from orchestrator.notices.way import Occasion
from orchestrator.records.failure import Result

COUNTS = dict.fromkeys(JobState, 0)


class Taken(list):
    """Takes notices."""

    def send(self, notice):
        self.append(notice)


@pytest.fixture
def taken():
    return Taken()


@pytest.fixture
def clock():
    return {"now": 100.0}


@pytest.fixture
def notices(taken, clock):
    return LaunchNotices("two", taken, lambda: clock["now"])


def wait(fault_class=FaultClass.CLUSTER):
    return Wait(fault_class=fault_class, message="it is away", since=1.0, began=0.0)


def test_a_thousand_failures_are_one_message_with_a_count(notices, taken, clock, make_probe):
    for number in range(1000):
        notices.note_end(make_probe(number), f"a{number}", Result.ERROR, "it broke")
        notices.note_drop(make_probe(number), JobState.FAILED, "it broke 'for some reason'")
        notices.tick(COUNTS)
        clock["now"] += 0.009
    clock["now"] += 10
    notices.tick(COUNTS)
    notices.note_drop(make_probe(1001), JobState.FAILED, "another")
    clock["now"] += 1000
    notices.tick(COUNTS)
    (notice,) = taken
    assert notice.occasion is Occasion.FAILURE
    assert "and 999 others" in notice.title
    assert "it broke '…'" in notice.text


def test_what_is_tried_again_or_cancelled_is_not_told_of(notices, taken, clock, make_probe):
    notices.note_end(make_probe(1), "a", Result.ERROR, "it broke")
    notices.note_drop(make_probe(1), JobState.CANCELLED, "somebody cancelled it")
    clock["now"] += 100
    notices.tick(COUNTS)
    assert taken == []


def test_a_wait_is_told_of_once_it_is_long_and_once(notices, taken, clock):
    notices.note_wait(wait())
    clock["now"] += LONG_WAIT_S - 1
    notices.tick(COUNTS)
    assert taken == []
    for _ in range(5):
        clock["now"] += 1
        notices.tick(COUNTS)
    assert [notice.occasion for notice in taken] == [Occasion.WAIT]
    notices.note_wait(None)
    clock["now"] += LONG_WAIT_S
    notices.tick(COUNTS)
    assert len(taken) == 1
    assert notices.finish() == {"cluster": LONG_WAIT_S + 4}


def test_waits_without_end_are_few_messages(notices, taken, clock):
    for _ in range(50):
        notices.note_wait(wait())
        clock["now"] += LONG_WAIT_S
        notices.tick(COUNTS)
        notices.note_wait(None)
    assert len(taken) == 6


def test_nodes_that_are_set_aside_are_told_of_once_each_and_few(notices, taken):
    for node in "aabcdef":
        notices.note_quarantine(
            Quarantined(node=node, since=1.0, until=2.0, ends_at=2.0, why="2 jobs failed there")
        )
    notices.note_quarantine(
        Quarantined(node="back", since=1.0, until=1.0, ends_at=1.0, why="it gets jobs again")
    )
    assert [notice.occasion for notice in taken] == [Occasion.QUARANTINE] * 4
    assert "node a" in taken[0].title


def test_both_watchers_hear_of_all_that_a_watcher_can_hear_of():
    hooks = [name for name in vars(Watcher) if not name.startswith("_")]
    heard = []

    class Hears:
        def __init__(self, who):
            self.who = who

        def __getattr__(self, name):
            return lambda *values: heard.append((self.who, name))

    both = BothWatchers(Hears(1), Hears(2))
    for name in hooks:
        number = len(inspect.signature(getattr(Watcher, name)).parameters) - 1
        getattr(both, name)(*[None] * number)
    assert heard == [(who, name) for name in hooks for who in (1, 2)]

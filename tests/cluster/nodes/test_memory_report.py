"""Whose fault is it that Ray's monitor killed a call? Read off its report."""

import pytest

from cluster.fault_classes import FaultClass
from cluster.nodes.memory_report import describe_kill, judge, parse_memory_report

HEAD = """{number} worker(s) were killed due to the node running low on memory. \
Memory on the node (IP: 10.0.0.7, ID: 6e3f22) was {used}GB used / 64.00GB limit (0.95)
OOM kill reason: Memory usage {used}000000000B exceeded threshold of 60000000000B \
(95.0% of 64000000000B limit)
Considered workers: [
{killed}
]
Total non-selected idle workers: 0
Top 10 memory users: PID\tMEM(GB)\tCOMMAND
{largest}
Refer to the documentation on how to address the out of memory issue: https://docs.ray.io
"""
KILLED = (
    "Selected to kill: (Task: job ID=01000000, lease ID=02, task name={name}, required "
    "resources={{CPU: 1}}, pid={pid}, actual memory used={gb}GB, worker ID=fe6b)"
)


def report(killed, largest, used=61):
    """Killed calls as {name: GB}, the largest processes as {command: GB}; pids count from 100."""
    lines = [
        KILLED.format(name=name, pid=100 + at, gb=gb)
        for at, (name, gb) in enumerate(killed.items())
    ]
    pids = {f"ray::{name}": 100 + at for at, name in enumerate(killed)}
    table = [
        f"{pids.get(command, 500 + at)}\t{gb}\t{command}"
        for at, (command, gb) in enumerate(largest.items())
    ]
    text = HEAD.format(
        number=len(killed), used=used, killed="\n".join(lines), largest="\n".join(table)
    )
    parsed = parse_memory_report(text)
    assert parsed is not None
    return parsed


def whose(parsed, name, planned_gb=0.0, idle_gb=None):
    return judge(parsed, parsed.of_call(name), planned_gb=planned_gb, idle_gb=idle_gb)


NEIGHBOUR = report({"a": 2.0, "b": 2.1}, {"python take.py": 50.0, "ray::b": 2.1, "ray::a": 2.0})
SERVICE = report({"a": 25.0}, {"database": 30.0, "ray::a": 25.0})
MANY = report({"a": 2.0}, {"ray::a": 2.0, **{f"make {at}": 1.5 for at in range(9)}})
OWN = report({"a": 45.0}, {"ray::a": 45.0, "python small.py": 2.0, "ray::DashboardAgent": 0.1})
SIBLING = report({"a": 2.0, "b": 50.0}, {"ray::b": 50.0, "ray::a": 2.0})


@pytest.mark.parametrize(
    ("parsed", "name", "planned_gb", "idle_gb", "is_own"),
    [
        (NEIGHBOUR, "a", 0, None, False),
        (NEIGHBOUR, "a", 1.5, None, False),
        (NEIGHBOUR, "a", 0, 5, False),
        (SERVICE, "a", 0, 33, False),
        (MANY, "a", 0, None, False),
        (OWN, "a", 0, None, True),
        (OWN, "a", 8, None, True),
        (OWN, "a", 48, None, False),
        (OWN, "a", 0, 10, True),
        (SIBLING, "a", 0, None, False),
        (SIBLING, "b", 0, None, True),
        (SIBLING, "b", 0, 9, True),
    ],
)
def test_whoever_took_more_than_was_planned_and_grew_most_is_at_fault(
    parsed, name, planned_gb, idle_gb, is_own
):
    expected = FaultClass.OUT_OF_MEMORY if is_own else FaultClass.HOST_MEMORY
    assert whose(parsed, name, planned_gb, idle_gb) is expected


def test_ranks_that_filled_a_node_together_are_at_fault_each():
    ranks = report({"a": 25.0, "b": 24.0}, {"ray::a": 25.0, "ray::b": 24.0})
    assert whose(ranks, "a") is whose(ranks, "b") is FaultClass.OUT_OF_MEMORY


def test_a_neighbour_in_shared_memory_stands_in_no_list_of_processes_but_in_the_sum():
    hidden = report({"a": 4.0}, {"ray::a": 4.0, "sshd": 0.1})
    assert whose(hidden, "a", idle_gb=3) is FaultClass.HOST_MEMORY


def test_a_call_that_the_report_does_not_name_is_not_charged():
    assert whose(OWN, "another") is FaultClass.HOST_MEMORY


def test_the_message_names_the_largest_process_beside_the_call():
    own = NEIGHBOUR.of_call("a")
    message = describe_kill(NEIGHBOUR, own, FaultClass.HOST_MEMORY)
    assert "61.0 of 64.0 GB in use" in message
    assert "held 2 GB" in message
    assert "50 GB: python take.py (500)" in message
    assert "\n" not in message


@pytest.mark.parametrize("text", ["", "Task was killed due to the node running low on memory."])
def test_a_report_of_another_ray_is_none(text):
    assert parse_memory_report(text) is None

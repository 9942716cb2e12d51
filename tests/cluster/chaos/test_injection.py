"""What a user writes behind `--chaos`, and what is drawn for it."""

import hashlib
import re
from collections import Counter
from pathlib import Path

import pytest

from cluster.chaos.drawing import read_plan
from cluster.chaos.fault import Fault, fault_names, find_fault
from cluster.errors import UserError
from cluster.fault_points import POINTS

ROOT = Path(__file__).parents[3]
KEYS = [hashlib.sha256(bytes([number])).hexdigest() for number in range(40)]
STAGES = ["aligned", "delta"]


def _plan(text, seed=0):
    return read_plan(text, seed, KEYS, STAGES)


def _refusal(text):
    with pytest.raises(UserError) as refused:
        _plan(text)
    return refused.value


@pytest.mark.parametrize("name", fault_names())
def test_every_kind_fulfils_the_contract(name: str) -> None:
    kind = find_fault(name)
    for field in Fault.__annotations__:
        assert hasattr(kind, field), field
    assert (kind.AMOUNT is None) == (kind.UNIT == "")
    assert set(kind.WHO) <= {"job", "launch"} and kind.WHO
    assert set(kind.POINTS) <= POINTS.keys()


def test_every_point_is_in_the_code_and_every_one_in_the_code_is_known() -> None:
    code = [
        file.read_text(encoding="utf-8")
        for folder in ("cluster", "jobs", "orchestrator")
        for file in (ROOT / folder).rglob("*.py")
    ]
    planted = {name for text in code for name in re.findall(r'fault_point\(\s*"(\w+)"', text)}
    assert planted == POINTS.keys()


def test_a_fault_is_read_with_its_amount_places_and_number() -> None:
    (stall,) = _plan("stall=60@delta@publish:4")
    assert (stall.name, stall.amount, stall.labels) == ("stall", 60.0, ("delta",))
    assert (stall.point, stall.area, stall.number) == ("publish", None, 4)


def test_a_fault_at_files_strikes_where_they_are_written() -> None:
    killed, full = _plan("kill-rank@record, enospc@ledger")
    assert (killed.point, killed.area) == ("write", "record")
    assert (full.point, full.area, full.amount) == ("write", "ledger", 0.0)


@pytest.mark.parametrize(
    "text",
    ["kill-rank", "stall=60@delta@publish:4", "kill-rank@record", "enospc=3@ledger:2",
     f"kill-rank@{KEYS[3][:16]}@write:2"],
)  # fmt: skip
def test_a_fault_in_words_is_the_same_fault(text: str) -> None:
    (first,) = _plan(text)
    assert _plan(first.words) == [first]


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("kill-rnak@aligned", "kill-rank"),
        ("enospc@legder", "ledger"),
        ("kill-rank@alinged:3", "aligned"),
    ],
)
def test_a_wrong_name_is_answered_with_what_exists(text: str, hint: str) -> None:
    refused = _refusal(text)
    assert hint in (refused.allowed or ()) and hint in str(refused.hint)


@pytest.mark.parametrize(
    "text",
    ["kill-rank:0", "kill-rank=3", "stall=1e9", "stall=..", "enospc@settle", "port@ledger",
     "random:99999999", "random:0", "random:", "-", "kill-rank@", "a b", "kill-rank@0000"],
)  # fmt: skip
def test_what_cannot_be_is_refused(text: str) -> None:
    assert _refusal(text).where.startswith("--chaos")


def test_a_number_of_drawn_faults_that_is_none_is_answered_with_what_it_may_be() -> None:
    refused = _refusal("random:-3")
    assert "wants a number from 1" in refused.error and refused.allowed == ["1 to 10000"]


def test_the_same_seed_draws_the_same_faults_and_another_one_others() -> None:
    assert _plan("random:50", 7) == _plan("random:50", 7)
    assert _plan("random:50", 7) != _plan("random:50", 8)


def test_all_kinds_are_drawn_alike_and_each_can_strike_there() -> None:
    drawn = _plan("random:200", 3)
    counts = Counter(injection.name for injection in drawn)
    assert set(counts) == {name for name in fault_names() if find_fault(name).IS_DRAWN}
    assert max(counts.values()) - min(counts.values()) <= 1
    for injection in drawn:
        assert injection.point in injection.kind.POINTS
        assert injection.area is None or injection.point in ("write", "append", "written", "read")


def test_steps_and_checkpoints_are_drawn_of_jobs_that_have_them() -> None:
    drawn = read_plan("random:300", 1, KEYS, STAGES, saving=KEYS[:4])
    saving = {key[:16] for key in KEYS[:4]}
    late = [injection for injection in drawn if injection.point == "step" and injection.number > 1]
    saved = [injection for injection in drawn if injection.area == "checkpoint"]
    assert late and saved
    assert {label for injection in (*late, *saved) for label in injection.labels} <= saving


def test_no_job_meets_two_faults_that_count_against_it() -> None:
    drawn = read_plan("random:150", 1, KEYS, STAGES, saving=KEYS[:4])
    counted = Counter(
        injection.labels for injection in drawn if injection.name in ("error", "kill-rank")
    )
    assert len(counted) > 5 and set(counted.values()) == {1}


def test_drawn_faults_read_as_words() -> None:
    for injection in _plan("random:200", 5):
        (again,) = _plan(injection.words)
        assert again.kind is injection.kind and again.labels == injection.labels

"""Own entries are held against the contracts of their doors when they are planned."""

from pathlib import Path

import pytest

from cluster.errors import UserError
from jobs.entries.fulfilment import _problems
from jobs.entries.own_entries import read_entries
from jobs.entries.rooms import door_of, package_of, room_names
from tests.doors import declared_doors
from tests.jobs.entries.files import KIND, METRIC, NUMBERS, write

OF_COMMAND_LINE = (
    "orchestrator.diagnosis.signatures",
    "orchestrator.doctor.checks",
    "orchestrator.notices.ways",
    "orchestrator.profiles.kinds",
    "orchestrator.verbs",
)
"""Doors of the user's own: no study may bring what judges machines or sends messages."""


def test_every_door_but_those_of_the_command_line_takes_entries_of_a_study() -> None:
    packages = {package_of(room): door_of(room) for room in room_names()}
    declared = {declared.door.package: declared.door for declared in declared_doors()}
    assert packages == {
        package: door for package, door in declared.items() if package not in OF_COMMAND_LINE
    }


@pytest.mark.parametrize("room", room_names())
def test_the_package_s_own_entries_pass(room: str) -> None:
    door = door_of(room)
    for name in door.package_names():
        assert list(_problems(door.find(name), door.contract)) == [], name


_WRONG_METRICS = [
    ("class Spread", "class Other", "it defines Other", 1),
    ("(Metric)", "", "inherits from Metric", 8),
    ("REPORTS", "REPORT", "lacks REPORTS", 8),
    ("prepare", "prepared", "lacks prepare", 8),
    ("against, centred", "against", "prepare is called", 14),
    ("centred)", "centred, more)", "prepare is called", 14),
    ("centred)", "middle)", "by name", 14),
    ('("spread",)', '"spread"', "REPORTS is 'spread'", 10),
    ('"rows"', "3", "AXIS_LABEL is 3, not str", 11),
    ('{"spread": 5}', "{'a': 'b'}", "HEADLINES is", 12),
    ('("spread",)', '("cka",)', "names 'cka'", 10),
    ('HEADLINES = {"spread": 5}', "RANGES = {'spred': (0, 1)}", "names 'spred'", 12),
    ('HEADLINES = {"spread": 5}', "RANGES = {'spread': 0}", "RANGES is", 12),
]
_WRONG_KINDS = [
    ("VERSION = 1", "VERSION = '1'", "VERSION is '1'", 17),
    ("Results.NUMBERS", "'x'", "LEAVES is 'x'", 20),
    ("self, work", "self", "run is called", 25),
]
_WRONG_MODULES = [
    (
        "transforms/t.py",
        "SCOPE = 'all'\ndef apply(text, seed): ...\ndef invert(text): ...\n",
        "SCOPE is 'all'",
        1,
    ),
    ("figures/f.py", "\ndef drawings(): ...\n", "drawings is called", 2),
    ("figures/f.py", "drawings = 3\n", "drawings is 3, not a function", 1),
    ("answers/a.py", "QUESTION = 'Is it?'\n", "lacks ORDER, METRICS, answer", 1),
]
WRONG = [
    *(("metrics/spread.py", METRIC.replace(a, b), *told) for a, b, *told in _WRONG_METRICS),
    *(("kinds/note.py", KIND.replace(a, b), *told) for a, b, *told in _WRONG_KINDS),
    *_WRONG_MODULES,
]


@pytest.mark.parametrize(("path", "text", "error", "line"), WRONG)
def test_a_wrong_entry_is_refused_with_its_line(tmp_path: Path, path, text, error, line) -> None:
    folder = write(tmp_path / "entries", {"_numbers.py": NUMBERS, path: text})
    with pytest.raises(UserError) as raised:
        read_entries(folder, "s.yaml:2")
    assert error in str(raised.value)
    assert raised.value.where == f"{folder}/{path}:{line}"


@pytest.mark.parametrize(
    ("files", "error", "place"),
    [
        ({"metrics/spread.py": f"{METRIC}1 / 0\n"}, "ZeroDivisionError", "metrics/spread.py:18"),
        ({"metrics/spread.py": f"{METRIC}raise SystemExit(3)\n"}, "SystemExit", "spread.py:18"),
        ({"metrics/spread.py": f"import no_such\n{METRIC}"}, "no_such", "metrics/spread.py:1"),
        (
            {"metrics/spread.py": f"from .._a import x\n{METRIC}", "_a.py": "\n\nx = {}['k']\n"},
            "KeyError",
            "_a.py:3",
        ),
        ({"metrics/spread.py": f"{METRIC}x = = 1\n"}, "not Python", "metrics/spread.py:18"),
        ({"metrics/spread.py": ""}, "must define a class Spread", "metrics/spread.py:1"),
    ],
)
def test_one_that_cannot_be_imported_is_told_with_the_line_that_failed(
    tmp_path: Path, files, error, place
) -> None:
    folder = write(tmp_path / "entries", files)
    with pytest.raises(UserError, match=error) as raised:
        read_entries(folder, "s.yaml:2")
    assert str(raised.value.where).endswith(place)


@pytest.mark.parametrize(
    ("path", "class_name", "other"),
    [
        ("metrics/mean_cosine.py", "MeanCosine", "analysis/metrics/mean_cosine.py"),
        ("metrics/perplexity.py", "Perplexity", "jobs/kinds/behave.py"),
        ("metrics/weight_drift.py", "WeightDrift", "jobs/kinds/weights.py"),
        ("objectives/dpo_shuffled.py", "DpoShuffled", "jobs/training/objectives/dpo_shuffled.py"),
        ("kinds/measure.py", "Measure", "jobs/kinds/measure.py"),
        ("transforms/rot13.py", "Rot13", "jobs/text/transforms/rot13.py"),
    ],
)
def test_a_name_of_the_package_s_is_refused_with_both_places(
    tmp_path: Path, path, class_name, other
) -> None:
    text = METRIC.replace("Spread", class_name).replace('"spread"', f'"{Path(path).stem}"')
    folder = write(tmp_path / "entries", {path: text})
    with pytest.raises(UserError) as raised:
        read_entries(folder, "s.yaml:2")
    assert str(folder / path) in str(raised.value.where)
    assert other in str(raised.value.where)


def test_two_metrics_of_one_name_are_refused(tmp_path: Path) -> None:
    folder = write(
        tmp_path / "entries", {"metrics/spread.py": METRIC, "weight_metrics/spread.py": ""}
    )
    with pytest.raises(UserError, match="cannot be called 'spread'") as raised:
        read_entries(folder, "s.yaml:2")
    assert "weight_metrics/spread.py" in str(raised.value.where)

"""What `new --entry` writes passes as written, for every door."""

import inspect
import os
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

from cluster.errors import UserError
from jobs.entries.new_entry import door_words, room_of, write_entry
from jobs.entries.own_entries import OwnEntry, read_entries
from jobs.entries.rooms import room_names

ROOT = Path(__file__).parents[3]


def test_every_template_passes_as_written(tmp_path: Path) -> None:
    folder = tmp_path / "entries"
    for word, room in door_words().items():
        files = write_entry(room_of(word, "--entry"), f"try-{word}", folder)
        assert [file.parent.name for file in files] == [room, "tests"]
        assert not any("my_entry" in file.read_text().lower() for file in files)
    own = read_entries(folder, "study.yaml:2")
    assert {entry.code.room for entry in own.entries if isinstance(entry, OwnEntry)} == set(
        room_names()
    )
    for test in sorted((folder / "tests").iterdir()):
        defined = runpy.run_path(str(test))
        tests = [value for name, value in defined.items() if name.startswith("test_")]
        assert tests, test
        for function in tests:
            function(**{name: tmp_path for name in inspect.signature(function).parameters})


@pytest.mark.slow
def test_pytest_runs_what_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "entries"
    for word, room in door_words().items():
        write_entry(room, f"try-{word}", folder)
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(folder)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout
    assert " failed" not in done.stdout and f"{len(room_names())}" <= done.stdout.split()[-4]


@pytest.mark.parametrize("word", ["metric", "metrics", "weight-metric", "weight_metrics"])
def test_a_door_is_named_in_the_singular_or_as_its_folder(word: str) -> None:
    assert room_of(word, "--entry") in ("metrics", "weight_metrics")


def test_an_unknown_door_is_answered_with_the_nearest() -> None:
    with pytest.raises(UserError) as raised:
        room_of("metrik", "--entry")
    assert raised.value.hint == "did you mean 'metric'?"


@pytest.mark.parametrize("name", ["Spread", "1st", "a b", "../spread", "", "café"])
def test_a_name_that_cannot_be_a_file_of_an_entry_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="cannot be the name of an entry"):
        write_entry("metrics", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("test-spread", "would be read as a test"),
        ("conftest", "as a test"),
        ("toxic-mass", "toxic_mass"),
    ],
)
def test_a_name_that_planning_would_pass_over_or_refuse_is_refused_at_once(
    name: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match=message):
        write_entry("metrics", name, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_name_of_the_package_is_refused_and_nothing_is_overwritten(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="'dpo-shuffled' is the package's"):
        write_entry("objectives", "dpo-shuffled", tmp_path)
    entry, test = write_entry("objectives", "dpo-mine", tmp_path)
    entry.write_text("mine")
    with pytest.raises(UserError, match="exists and is not overwritten"):
        write_entry("objectives", "dpo-mine", tmp_path)
    entry.unlink()
    with pytest.raises(UserError, match="exists and is not overwritten"):
        write_entry("objectives", "dpo-mine", tmp_path)
    assert test.exists() and not entry.exists()

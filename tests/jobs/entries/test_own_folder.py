"""Folders of entries: which files are read, and which are not believed."""

import os
from pathlib import Path

import pytest

from cluster.errors import UserError
from jobs.entries.own_folder import entry_paths, read_folder
from tests.jobs.entries.files import METRIC, write


def _read(folder: Path, **how: bool) -> list[str]:
    return entry_paths(read_folder(folder, "s.yaml:2", **how), folder)


def test_entries_are_the_files_right_in_a_door_s_folder(tmp_path: Path) -> None:
    write(
        tmp_path / "entries",
        {
            "metrics/spread.py": METRIC,
            "metrics/_shared.py": "",
            "metrics/__init__.py": "",
            "metrics/test_spread.py": "1/0",
            "metrics/words.txt": "no code",
            "transforms/shout.py": "",
            "_lib/deep/more.py": "",
            "helpers.py": "",
            "conftest.py": "1/0",
            "tests/test_spread.py": "1/0",
            ".hidden/x.py": "1/0",
            "metrics/__pycache__/x.py": "1/0",
        },
    )
    modules = read_folder(tmp_path / "entries", "s.yaml:2")
    assert set(modules) == {
        "metrics/spread.py",
        "metrics/_shared.py",
        "metrics/__init__.py",
        "transforms/shout.py",
        "_lib/deep/more.py",
        "helpers.py",
    }
    assert modules["metrics/spread.py"] == METRIC.encode()
    assert _read(tmp_path / "entries") == ["metrics/spread.py", "transforms/shout.py"]


@pytest.mark.parametrize(
    ("path", "error", "hint"),
    [
        ("metric/spread.py", "unknown folder of entries 'metric'", "did you mean 'metrics'?"),
        ("objective/spread.py", "unknown folder of entries", "did you mean 'objectives'?"),
        ("verbs/spread.py", "a study brings no verbs", None),
        ("executors/spread.py", "a study brings no executors", None),
        ("metrics/my-spread.py", "cannot be the file of an entry", None),
        ("metrics/Spread.py", "cannot be the file of an entry", None),
        ("metrics/spread/__init__.py", "an entry is one file", "begins with _"),
    ],
)
def test_a_folder_that_is_no_door_and_a_file_that_is_no_entry(tmp_path, path, error, hint) -> None:
    write(tmp_path / "entries", {path: METRIC})
    with pytest.raises(UserError, match=error) as raised:
        _read(tmp_path / "entries")
    assert str(tmp_path / "entries") in str(raised.value.where)
    assert hint is None or hint in str(raised.value.hint)


def test_a_folder_that_is_not_there_is_answered_with_the_nearest(tmp_path: Path) -> None:
    write(tmp_path / "entries", {})
    with pytest.raises(UserError, match="does not exist") as raised:
        _read(tmp_path / "entires")
    assert (raised.value.where, raised.value.hint) == ("s.yaml:2", "did you mean 'entries'?")
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="is no folder"):
        _read(tmp_path / "file")


def test_a_link_out_of_the_folder_is_refused_and_one_inside_is_followed(tmp_path: Path) -> None:
    folder = write(tmp_path / "entries", {"metrics/spread.py": METRIC})
    (tmp_path / "outside.py").write_text(METRIC)
    (folder / "metrics/again.py").symlink_to("spread.py")
    assert _read(folder) == ["metrics/again.py", "metrics/spread.py"]
    (folder / "metrics/taken.py").symlink_to(tmp_path / "outside.py")
    with pytest.raises(UserError, match="from outside of the folder") as raised:
        _read(folder)
    assert raised.value.where == str(folder / "metrics/taken.py")
    (folder / "metrics/taken.py").unlink()
    write(tmp_path / "elsewhere", {"shout.py": ""})
    (folder / "transforms").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UserError, match="from outside of the folder"):
        _read(folder)


@pytest.mark.parametrize("leads_to", ["metrics/loop.py", "nowhere.py"])
def test_a_link_that_leads_nowhere_is_told(tmp_path: Path, leads_to: str) -> None:
    folder = write(tmp_path / "entries", {"metrics/spread.py": METRIC})
    (folder / "metrics/loop.py").symlink_to(folder / leads_to)
    with pytest.raises(UserError) as raised:
        _read(folder)
    assert raised.value.where == str(folder / "metrics/loop.py")


def test_a_pipe_is_not_waited_for_and_a_large_file_is_not_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "entries", {"metrics/spread.py": METRIC})
    os.mkfifo(folder / "metrics/pipe.py")
    with pytest.raises(UserError, match="not a regular file"):
        _read(folder)
    (folder / "metrics/pipe.py").unlink()
    (folder / "metrics/large.py").write_bytes(b"#" * ((1 << 20) + 1))
    with pytest.raises(UserError, match="larger than 1 MiB"):
        _read(folder)


@pytest.mark.parametrize("path", [".", "metrics", "metrics/spread.py", "_lib", "_lib/a.py"])
def test_what_others_may_write_is_not_run_unless_the_user_says_so(tmp_path, path) -> None:
    folder = write(tmp_path / "entries", {"metrics/spread.py": METRIC, "_lib/a.py": ""})
    (folder / path).chmod(0o777 if (folder / path).is_dir() else 0o666)
    with pytest.raises(UserError, match="other users may write this") as raised:
        _read(folder)
    assert str(raised.value.hint).startswith("chmod") and "-w" in str(raised.value.hint)
    assert _read(folder, is_trusted=True) == ["metrics/spread.py"]


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_what_another_user_owns_is_not_run(tmp_path: Path) -> None:
    folder = write(tmp_path / "entries", {"metrics/spread.py": METRIC})
    os.chown(folder / "metrics/spread.py", 12345, -1)
    with pytest.raises(UserError, match="belongs to another user"):
        _read(folder)

"""House rules that no linter knows."""

import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("orchestrator", "jobs", "cluster", "analysis")


def _files() -> list[Path]:
    return [file for folder in FOLDERS for file in (ROOT / folder).rglob("*.py")]


def test_no_file_is_longer_than_400_lines() -> None:
    long = {file.name: n for file in _files() if (n := len(file.read_text().splitlines())) > 400}
    assert not long


def test_no_module_is_a_drawer() -> None:
    drawers = {"utils", "helpers", "common", "misc", "manager", "handler", "base"}
    assert not [file for file in _files() if file.stem in drawers]


def test_packages_hold_a_docstring_only() -> None:
    for file in _files():
        if file.name == "__init__.py":
            assert len(file.read_text().strip().splitlines()) == 1, file


def test_every_door_and_verb_is_named_in_the_readme() -> None:
    readme = (ROOT / "README.md").read_text()
    for folder in ("jobs/kinds", "jobs/models/families", "jobs/text/formats", "analysis/metrics"):
        assert f"`{folder}/" in readme
    for verb in (ROOT / "orchestrator/verbs").glob("[a-z]*.py"):
        assert f"`{verb.stem}" in readme, verb


def test_no_absolute_path_of_a_machine_is_in_a_tracked_file() -> None:
    found = subprocess.run(
        ["git", "grep", "-nE", "/(work|root|home)/[a-z]", "--", ":!tests/test_house.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert not found.stdout

"""House rules that no linter knows."""

import ast
import re
import subprocess
from collections.abc import Iterator
from itertools import pairwise
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


def test_no_process_of_ours_imports_from_the_folder_that_a_command_is_given_in() -> None:
    """`python -c` and `-m` put that folder first, and files of a project are named as libraries."""
    starts = re.compile(r'sys\.executable, "-(?![PI]")')
    assert not [file for file in _files() if starts.search(file.read_text())]


def test_packages_hold_a_docstring_only() -> None:
    for file in _files():
        if file.name == "__init__.py":
            assert len(file.read_text().strip().splitlines()) == 1, file


def test_every_docstring_stands_under_what_it_describes() -> None:
    """A bare string anywhere else is left over: what it described was moved or deleted."""
    astray = [
        f"{file.relative_to(ROOT)}:{line}" for file in _files() for line in _bare_strings(file)
    ]
    assert not astray


def _bare_strings(file: Path) -> Iterator[int]:
    described = (ast.Assign, ast.AnnAssign)
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        body = getattr(node, "body", None)
        for before, statement in pairwise([None, *body] if isinstance(body, list) else []):
            is_string = isinstance(statement, ast.Expr) and isinstance(
                getattr(statement.value, "value", None), str
            )
            if is_string and before is not None and not isinstance(before, described):
                yield statement.lineno


def test_the_readme_fits_one_screen_and_a_half_and_names_every_verb() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert len(readme.encode()) <= 10_000
    for verb in (ROOT / "orchestrator/verbs").glob("[a-z]*.py"):
        assert f"`{verb.stem}" in readme, verb


def test_the_readme_shows_the_table_that_was_made() -> None:
    table = (ROOT / "docs/assets/mean_cosine.txt").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("|")]
    readme = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()
    assert len(rows) > 2 and set(rows) <= set(readme)


def test_the_readme_names_every_room() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for folder in ("orchestrator", "jobs", "analysis"):
        for room in (ROOT / folder).glob("*/__init__.py"):
            assert f" {room.parent.name}/" in readme, room


def test_every_door_is_in_the_list_of_doors() -> None:
    doors = (ROOT / "docs/howto/adding.md").read_text(encoding="utf-8")
    for folder in _door_folders():
        assert f"`{folder}/" in doors, folder


def _door_folders() -> list[str]:
    """Return the folders that stand beside their contract, as `metrics/` beside `metric.py`."""
    folders = [file.parent for file in _files() if file.name == "__init__.py"]
    return [
        str(folder.relative_to(ROOT))
        for folder in folders
        if folder.with_name(f"{_singular(folder.name)}.py").exists()
    ]


def _singular(name: str) -> str:
    return f"{name[:-3]}y" if name.endswith("ies") else name.removesuffix("s")


def test_no_absolute_path_of_a_machine_is_in_a_tracked_file() -> None:
    found = subprocess.run(
        ["git", "grep", "-nE", "/(work|root|home)/[a-z]", "--", ":!tests/test_house.py"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert not found.stdout

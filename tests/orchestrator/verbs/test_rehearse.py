"""The command: where a rehearsal lies, what it says, and its exit codes."""

import json

import pytest

from orchestrator.cli import main

STUDY = """study: texts
stages:
  pairs: {kind: pairs, params: {format: nursery}}
  prompts: {kind: prompts, params: {format: nursery}}
"""


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A study of texts alone, in the current folder."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "study.yaml"
    path.write_text(STUDY)
    return path


def test_what_held_leaves_nothing_behind_in_the_root(study, tmp_path, capsys) -> None:
    (tmp_path / "results").mkdir()
    assert main(["rehearse", str(study), "--root", "results", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["held"] and [stage["num_jobs"] for stage in report["stages"]] == [1, 1]
    assert report["open"] and list((tmp_path / "results").iterdir()) == []
    assert main(["rehearse", str(study), "--root", "results"]) == 0
    assert "all that can be rehearsed held" in capsys.readouterr().out


def test_a_study_that_cannot_be_planned_is_a_mistake(study, capsys) -> None:
    study.write_text(STUDY.replace("format: nursery}}", "format: nurserie}}", 1))
    assert main(["rehearse", str(study)]) == 2
    assert "nurserie" in capsys.readouterr().err


def test_a_folder_of_something_else_is_not_taken(study, tmp_path, capsys) -> None:
    assert main(["rehearse", str(study), "--into", str(tmp_path)]) == 2
    assert "something else" in capsys.readouterr().err and study.exists()

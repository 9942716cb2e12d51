"""What a launch of some of a study's jobs says: of how many, and nothing of the others."""

import json

import pytest

from orchestrator.cli import main

STUDY = """
study: some
axes: {index: [0, 1]}
stages:
  first: {kind: probe, over: [index], params: {index: "${index}"}}
  second: {kind: probe, inputs: {after: first}, params: {waits: true}}
"""


@pytest.fixture
def launch(tmp_path, capsys, monkeypatch):
    """A function: options of a launch -> what it answers."""
    monkeypatch.setenv("WANDB_MODE", "disabled")
    file = tmp_path / "some.yaml"
    file.write_text(STUDY)

    def ask(*words):
        root = str(tmp_path / "root")
        assert main(["launch", str(file), "--executor", "local", "--root", root, *words]) == 0
        return capsys.readouterr().out

    return ask


def test_jobs_that_were_not_asked_for_are_not_said_to_be_done(launch):
    first = launch("--only", "first:index=0")
    assert "1 ran" in first and "1 of 4 jobs were asked for" in first
    again = launch("--only", "first:index=0")
    assert "nothing to do: the 1 asked for of the 4 jobs of 'some' are done" in again
    answer = json.loads(launch("--only", "first:index=0", "--json"))
    assert (answer["jobs"], answer["asked_for"], answer["reused"]) == (4, 1, 1)


def test_a_launch_of_a_whole_study_says_that_it_was_all(launch):
    assert "asked for" not in launch()
    assert "nothing to do: all 4 jobs of 'some' are done" in launch()

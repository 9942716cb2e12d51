"""The verb `retry` on studies that no launch runs; `tests/orchestrator/dispatch` has the rest."""

import json

import pytest

from orchestrator.cli import main
from orchestrator.records.lock import study_lock

PROBES = """
study: probes
axes: {index: [0, 1]}
stages:
  bad: {kind: probe, over: [index], params: {index: "${index}", fail: true}}
  below: {kind: probe, inputs: {after: bad}, params: {waits: true}}
  fine: {kind: probe, params: {index: 7}}
"""


@pytest.fixture
def root(tmp_path, capsys):
    (tmp_path / "probes.yaml").write_text(PROBES)
    root = str(tmp_path / "root")
    words = [str(tmp_path / "probes.yaml"), "--root", root, "--executor", "local"]
    assert main(["launch", *words]) == 1
    capsys.readouterr()
    return root


def retry(root, capsys, *selectors):
    assert main(["retry", "probes", *selectors, "--root", root, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def attempts(root, capsys):
    main(["launch", "probes", "--root", root, "--executor", "local", "--json"])
    capsys.readouterr()
    main(["status", "probes", "--root", root, "--json"])
    return json.loads(capsys.readouterr().out)["attempts"]


def test_only_the_chosen_jobs_are_tried_again_by_the_command_that_is_printed(root, capsys):
    before = attempts(root, capsys)
    said = retry(root, capsys, "bad:index=1")
    assert said["jobs"] == ["bad[index=1]"] and said["taken"] and not said["launch_running"]
    assert said["next"] == f"deltascale launch probes --root {root}"
    assert attempts(root, capsys) == before + 1


def test_a_blocked_job_means_the_failed_ones_above_it(root, capsys):
    assert retry(root, capsys, "below")["jobs"] == ["bad[index=0]", "bad[index=1]"]


def test_jobs_that_have_not_failed_are_left_alone(root, capsys):
    before = attempts(root, capsys)
    assert retry(root, capsys, "fine")["jobs"] == []
    assert retry(root, capsys, "fine")["next"] is None
    assert attempts(root, capsys) == before
    main(["retry", "probes", "fine", "--root", root])
    assert "nothing to try again" in capsys.readouterr().out


def test_a_selector_that_chooses_nothing_is_refused(root, capsys):
    assert main(["retry", "probes", "bda", "--root", root]) == 2
    assert "bad" in capsys.readouterr().err


def test_a_launch_that_does_not_answer_is_told_of_and_the_request_stays(root, capsys, monkeypatch):
    from cluster.storage import Storage
    from orchestrator.dispatch.requests import read_requests
    from orchestrator.verbs import retry as verb

    monkeypatch.setattr(verb, "_HEEDED_WITHIN_S", 0.3)
    with study_lock(Storage(root), "probes", "another"):
        said = retry(root, capsys, "bad")
    assert said["launch_running"] and not said["taken"] and said["next"] is None
    (request,) = read_requests(Storage(root), "probes")
    assert len(request.retry) == 2 and request.keys == frozenset()


def test_the_command_that_is_printed_names_the_file_that_was_asked_with(root, tmp_path, capsys):
    file = str(tmp_path / "probes.yaml")
    assert main(["retry", file, "bad", "--root", root, "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["next"] == f"deltascale launch {file} --root {root}"

"""Verbs that ask a running launch for something, or about it, mean the jobs that it has."""

import json

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.dispatch.requests import read_requests
from orchestrator.records.lock import study_lock

PROBES = """
study: probes
axes: {index: [0, 1]}
stages:
  bad: {kind: probe, over: [index], params: {index: "${index}", fail: true}}
  below: {kind: probe, inputs: {after: bad}, params: {waits: true}}
  fine: {kind: probe, over: [index], params: {index: "2${index}"}}
"""


@pytest.fixture
def file(tmp_path):
    (tmp_path / "probes.yaml").write_text(PROBES)
    return tmp_path / "probes.yaml"


@pytest.fixture
def root(tmp_path, file, capsys):
    """A root on which `fine` alone was launched, by a launch that seems to run still."""
    root = Storage(tmp_path / "root")
    words = ["launch", str(file), "--root", root.url, "--executor", "local", "--only", "fine"]
    assert main(words) == 0
    capsys.readouterr()
    identifier = json.loads(root.read("studies/probes/plan.json"))["launch"]
    with study_lock(root, "probes", identifier):
        yield root


@pytest.fixture
def failed_before(tmp_path, file, capsys):
    """Has `bad` fail, before anything else is launched."""
    words = ["--root", str(tmp_path / "root"), "--executor", "local", "--only", "bad"]
    assert main(["launch", str(file), *words]) == 1


@pytest.fixture
def said(root, file, capsys):
    """A function: words -> what the command printed."""

    def run(verb, *words):
        assert main([verb, str(file), *words, "--root", root.url]) == 0
        return capsys.readouterr().out

    return run


def keys_of(root, stage):
    jobs = json.loads(root.read("studies/probes/plan.json"))["jobs"]
    return {job["key"] for job in jobs if job["stage"] == stage}


def edit(file):
    """Make other jobs of all jobs of `fine`, in their own cells."""
    file.write_text(PROBES.replace("2${index}", "3${index}"))


def test_a_cancel_by_an_edited_file_means_the_jobs_that_run(root, file, said):
    edit(file)
    assert "to cancel 2 jobs" in said("cancel", "fine", "--no-wait")
    (request,) = read_requests(root, "probes")
    assert request.keys == keys_of(root, "fine")


def test_a_cancel_of_jobs_that_the_launch_is_not_to_run_asks_for_nothing(root, said):
    assert "is not to run these jobs: nothing to cancel" in said("cancel", "bad", "--no-wait")
    assert not json.loads(said("cancel", "bad", "--no-wait", "--json"))["asked"]
    assert list(read_requests(root, "probes")) == []


def test_the_log_of_a_job_of_the_launch_that_runs_is_found_by_an_edited_file(file, said):
    edit(file)
    assert json.loads(said("logs", "fine:index=1", "--json"))["job"] == "fine[index=1]"


def test_a_status_says_which_jobs_the_launch_is_not_to_run(file, said):
    status = json.loads(said("status", "--json"))
    waits = {job["stage"]: job["why"] for job in status["unfinished"]}
    assert waits["bad"] == waits["below"] == "not part of the launch that runs"
    assert [group["why"] for group in status["waiting"]] == ["not part of the launch that runs"]
    assert status["eta"] is None  # none of its jobs is left

    edit(file)
    status = json.loads(said("status", "--json"))
    assert {job["why"] for job in status["unfinished"]} == {"not part of the launch that runs"}


def test_a_retry_of_jobs_that_the_launch_is_not_to_run_is_for_the_next(
    failed_before, root, said, monkeypatch
):
    from orchestrator.verbs import retry

    monkeypatch.setattr(retry, "_ask", lambda *request: True)  # as a launch that looks would
    words = said("retry", "bad:index=1")
    assert "the running launch is not to run 1 of them" in words
    assert f"`deltascale launch probes --root {root.url}` does" in words
    assert json.loads(said("retry", "bad", "--json"))["next"]

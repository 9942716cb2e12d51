"""Commands that are printed can be typed as they stand: they name the study, the root, the jobs."""

import errno
import json
import re
import shlex
import sys

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.printed_commands import as_typed, printed_for, typed
from orchestrator.records.lock import study_lock

PROBES = """
study: probes
stages:
  bad: {kind: probe, params: {index: 1, fail: true}}
  below: {kind: probe, inputs: {after: bad}, params: {index: 2, waits: true}}
"""


@pytest.fixture
def run(capsys, tmp_path):
    """A function: words of a command line on a root of an odd name -> exit code, and its words."""

    def command(*words, root=tmp_path / "my root"):
        capsys.readouterr()
        code = main([*words, *(["--root", str(root)] if root else [])])
        return code, "".join(capsys.readouterr())

    return command


@pytest.fixture
def file(tmp_path, run):
    path = tmp_path / "my probes.yaml"
    path.write_text(PROBES)
    assert run("launch", str(path), "--executor", "local")[0] == 1
    return path


def commands_in(text):
    return [shlex.split(found)[1:] for found in re.findall(r"`(deltascale [^`]+)`", text)]


@pytest.mark.parametrize(
    "words",
    [
        ["launch", "STUDY", "--executor", "local"],
        ["why", "STUDY", "below"],
        ["why", "STUDY", "bad"],
        ["retry", "STUDY"],
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_each_printed_command_reaches_the_file_and_the_root(run, file, words):
    said = run(*[str(file) if word == "STUDY" else word for word in words])[1]
    assert commands_in(said)
    for command in commands_in(said):
        assert command[1] == str(file)
        key = re.findall(r"[0-9a-f]{16}", said)[0]
        executor = ["--executor", "local"] if command[0] in ("launch", "resume") else []
        code, told = run(*[key if word == "KEY" else word for word in command], *executor, root="")
        assert code in (0, 1) and "bad" in told


def test_what_a_refusal_says_next_reaches_the_root_too(run, file, tmp_path):
    with study_lock(Storage(tmp_path / "my root"), "probes", "another"):
        code, said = run("launch", str(file), "--executor", "local", "--json")
        assert code == 3
        refused = json.loads(said)
        assert refused["next"] == f"deltascale status probes --root '{tmp_path / 'my root'}'"
        assert refused["next"] in refused["hint"]
        assert refused["next"] in run("launch", str(file), "--executor", "local")[1]
        (status, cancel, *_) = commands_in(refused["hint"])
        assert run(*status, root="")[0] == 0


def test_cancelling_some_jobs_says_what_takes_that_back(run, file, tmp_path):
    with study_lock(Storage(tmp_path / "my root"), "probes", "another"):
        said = run("cancel", str(file), "below", "--no-wait")[1]
    (command,) = commands_in(said)
    assert command[:3] == ["retry", str(file), "below"]
    assert run(*command, root="")[0] == 0


def test_a_study_that_is_asked_for_by_name_says_that_its_file_was_edited(run, file):
    assert "has changed since" not in run("plan", "probes")[1]
    file.write_text(PROBES.replace("true}", "false}", 1))
    for words in (["plan", "probes"], ["resume", "probes", "--executor", "local"]):
        assert f"{file} has changed since 'probes' was launched" in run(*words)[1]
    assert run("resume", str(file), "--executor", "local")[0] == 0
    file.write_text(PROBES.replace("study: probes", "study: others"))
    assert "has changed since" not in run("plan", "probes")[1]


def test_commands_are_completed_once_and_only_where_a_root_matters():
    text = "`deltascale gc --apply`, `deltascale new x`, `deltascale launch --help`, `df -h`"
    with printed_for(lambda verb: f" --root /{verb}"):
        once = as_typed(text)
        assert once == text.replace("--apply`", "--apply --root /gc`")
        assert as_typed(once) == once
        assert typed("deltascale status") == "deltascale status --root /status"
    assert as_typed(text) == text


class FullDisk:
    """A stream whose disk is full."""

    def write(self, text):
        raise OSError(errno.ENOSPC, "No space left on device")

    flush = write


def test_a_refusal_keeps_its_code_where_standard_error_takes_nothing(run, monkeypatch):
    monkeypatch.setattr(sys, "stderr", FullDisk())
    assert run("status", "nix")[0] == 2

"""`launch --on` a profile of kind `ray`, on a real head that asks for a token as Ray starts it."""

import json
import secrets

import pytest

from orchestrator.cli import main
from tests.real_ray import started_head

pytestmark = pytest.mark.cluster
STUDY = """\
study: small
axes: {index: [1, 2, 3]}
stages:
  probes: {kind: probe, over: index, params: {index: "${index}"}}
"""


def answer(capsys, *words, code=0):
    assert main([*map(str, words), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_study_runs_on_an_authenticated_ray_that_a_profile_names(tmp_path, monkeypatch, capsys):
    token = secrets.token_hex(32)
    (tmp_path / "head" / ".ray").mkdir(parents=True)
    (tmp_path / "head" / ".ray" / "auth_token").write_text(token)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DELTASCALE_CONFIG", raising=False)
    study = tmp_path / "lab" / "small.yaml"
    beside = study.parent / "profiles" / "near.yaml"
    beside.parent.mkdir(parents=True)
    study.write_text(STUDY)
    with started_head(tmp_path, monkeypatch) as port:
        fields = f"kind: ray\naddress: 127.0.0.1:{port}\nroot: {tmp_path}/results\n"
        # A profile that came with the study shows nobody a token unasked.
        beside.write_text(fields)
        assert (
            "nobody can be asked"
            in answer(capsys, "launch", study, "--on", "near", code=2)["error"]
        )
        configuration = tmp_path / "config" / "deltascale" / "config.yaml"
        configuration.parent.mkdir(parents=True)
        configuration.write_text(f"profiles: [{beside}]\n")
        # Without a token here the message names authentication.
        fault = answer(capsys, "launch", study, "--on", "near", code=3)
        assert "authentication" in fault["error"] and "~/.ray/auth_token" in fault["hint"]
        by_file = f"authentication: {{file: {tmp_path}/head/.ray/auth_token}}\n"
        beside.write_text(fields + by_file + "nodes: [{cpus: 1, memory: 1GB}]\n")
        assert answer(capsys, "launch", study, "--on", "near")["ran"] == 3
        assert answer(capsys, "status", study, "--on", "near")["state"] == "complete"
        checked = answer(capsys, "profile", "check", beside)
        assert checked["is_good"], checked
        # The same by a variable; `--on ray` with the address, and the token that Ray would take.
        monkeypatch.setenv("LAB_RAY", token)
        beside.write_text(fields + "authentication: {variable: LAB_RAY}\n")
        assert answer(capsys, "launch", study, "--on", "near", "--root", tmp_path / "b")["ran"] == 3
        monkeypatch.setenv("RAY_AUTH_TOKEN", token)
        by_flag = ["--on", "ray", "--address", f"127.0.0.1:{port}", "--root", tmp_path / "c"]
        assert answer(capsys, "launch", study, *by_flag)["ran"] == 3
        # A wrong one is not taken, and not repeated.
        wrong = secrets.token_hex(32)
        monkeypatch.setenv("LAB_RAY", wrong)
        fault = answer(capsys, "launch", study, "--on", "near", "--root", tmp_path / "d", code=3)
        assert "does not take this token" in fault["error"] and wrong not in str(fault)


KIND = '''"""Kind `seen`: what a job sees of a variable."""

import os

from jobs.kind import Kind, Params
from jobs.provenance import Results


class SeenParams(Params):
    """Nothing."""


class Seen(Kind[SeenParams]):
    """Looks."""

    VERSION = 1
    INPUTS = {}
    Params = SeenParams
    LEAVES = Results.NUMBERS
    USES_TORCH = False

    def run(self, work):
        """Return what is there."""
        return {"lab": os.environ.get("LAB_SETTING")}
'''


def test_jobs_on_our_own_ray_see_the_variables_of_the_profile(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.delenv("DELTASCALE_CONFIG", raising=False)
    study = tmp_path / "small.yaml"
    study.write_text("study: small\nentries: ./own\nstages: {look: {kind: seen}}\n")
    (tmp_path / "own" / "kinds").mkdir(parents=True)
    (tmp_path / "own" / "kinds" / "seen.py").write_text(KIND)
    profile = tmp_path / "config" / "deltascale" / "profiles" / "mine.yaml"
    profile.parent.mkdir(parents=True)
    fields = f"kind: local\ncpus: 1\nroot: {tmp_path}/results\n"
    profile.write_text(fields + "environment: {variables: {LAB_SETTING: ib0}}\n")
    assert answer(capsys, "launch", study, "--on", "mine")["ran"] == 1
    (record,) = (tmp_path / "results").glob("artifacts/seen/*/record.json")
    assert json.loads(record.read_text())["facts"]["lab"] == "ib0"

"""`launch --on` and the verbs that look at what it did; flags that do not go with a profile."""

import argparse
import json
import os
import shlex
import subprocess
import sys

import pytest

from cluster.errors import UserError
from cluster.machine.set_variables import variables_set
from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.profiles.kind import Place
from orchestrator.profiles.launching import launch_on
from orchestrator.profiles.profile_file import read_profile
from orchestrator.study.study import load_study
from orchestrator.verb import chosen_root, words_of_root, words_to_root

NODES = """\
nodes:
  - {count: 2, cpus: 16, memory: 128GB, gpus: 8, gpu: A100-80GB, price: 16.0}
  - {count: 1, cpus: 32, memory: 64GB, price: 1.0}
currency: EUR
"""


@pytest.fixture
def box(study, home):
    """A profile beside the study, of this machine without Ray."""
    path = study.parent / "profiles" / "box.yaml"
    path.write_text(f"kind: local\nexecutor: local\nroot: {home}/results\n{NODES}")
    return path


def answer(capsys, *words, code=0):
    assert main([*map(str, words), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_a_launch_takes_executor_and_root_and_other_verbs_the_root(study, box, home, capsys):
    assert answer(capsys, "launch", study, "--on", "box")["ran"] == 2
    assert (home / "results" / "studies" / "small").is_dir()
    assert answer(capsys, "resume", study, "--on", "box")["reused"] == 2
    assert answer(capsys, "status", study, "--on", "box")["jobs"]["done"] == 2
    assert answer(capsys, "plan", study, "--on", "box")["totals"]["reuse"] == 2
    assert answer(capsys, "verify", study, "--on", box)
    assert main(["logs", str(study), "probes:index=1", "--on", "box"]) == 0
    for words in (["status", "small"], ["gc"], ["status"]):  # here nothing lies beside a study
        assert main([*words, "--on", str(box)]) == 0
    capsys.readouterr()
    assert answer(capsys, "status", study, "--on", "box", "--root", home / "else")


def test_root_wins_over_the_profile(study, box, home, capsys):
    answer(capsys, "launch", study, "--on", "box", "--root", home / "other")
    assert (home / "other" / "studies" / "small").is_dir()
    assert not (home / "results").exists()


@pytest.mark.parametrize(
    ("name", "flags", "message"),
    [
        ("box", ["--address", "h:1"], "--address does not go with a profile of kind 'local'"),
        ("ray", ["--cpus", "2"], "--cpus does not go with a profile of kind 'ray'"),
        ("ray", ["--executor", "local"], "--executor does not go with"),
        ("box", ["--cpus", "0"], "0 cores are too few"),
        ("box", ["--executor", "spark"], "unknown executor 'spark'"),
        ("ray", ["--address", "nonsense"], "'nonsense' is no address of a Ray"),
        ("box", ["--cpus", "2"], "--cpus is for `--executor ray`"),
        ("bux", [], "unknown profile 'bux'"),
    ],
)
def test_flags_that_do_not_go_with_it_are_refused(study, box, capsys, name, flags, message):
    fault = answer(capsys, "launch", study, "--on", name, *flags, code=2)
    assert message in fault["error"]


def asked(path, study, **flags):
    """Return the places that a launch on a profile asks to run at."""
    places, none = [], dict.fromkeys(("executor", "address", "cpus", "root"))
    options = argparse.Namespace(**{**none, "json": True, **flags})

    def run_here(place):
        places.append(place)
        return 0

    chosen, root = read_profile(path), Storage(path.parent / "results")
    launch_on(chosen, root, load_study(study), options, fresh=False, run_here=run_here)
    return places


def test_a_profile_says_where_jobs_run_and_flags_win(study, own):
    path = own / "p.yaml"
    path.write_text("kind: local\ncpus: 3\nenvironment: {variables: {A: b}}\n")
    assert asked(path, study) == [Place(cpus=3, variables={"A": "b"})]
    assert asked(path, study, cpus=2) == [Place(cpus=2, variables={"A": "b"})]
    assert asked(path, study, executor="local")[0].executor == "local"
    path.write_text("kind: ray\naddress: head:6379\n")
    assert asked(path, study) == [Place(address="head:6379")]
    assert asked(path, study, address="auto") == [Place(address="auto")]


def test_a_token_is_taken_from_where_the_profile_says(study, own, monkeypatch):
    path = own / "p.yaml"
    token = own.parent / "token"
    path.write_text(f"kind: ray\nauthentication: {{file: {token}}}\n")
    with pytest.raises(UserError, match="cannot be read"):
        asked(path, study)
    token.write_text("…")
    assert asked(path, study)[0].access == {"RAY_AUTH_TOKEN_PATH": str(token)}
    path.write_text("kind: ray\nauthentication: {variable: MY_RAY}\n")
    with pytest.raises(UserError, match="MY_RAY, which is to hold Ray's token, is not set"):
        asked(path, study)
    monkeypatch.setenv("MY_RAY", "abc")
    assert asked(path, study)[0].access == {"RAY_AUTH_TOKEN": "abc"}


def test_variables_of_a_profile_are_there_for_the_launch_alone(monkeypatch):
    monkeypatch.setenv("DSCALE_A", "before")
    with variables_set({"DSCALE_A": "1", "DSCALE_B": "2"}):
        assert (os.environ["DSCALE_A"], os.environ["DSCALE_B"]) == ("1", "2")
    assert os.environ["DSCALE_A"] == "before" and "DSCALE_B" not in os.environ


def test_plan_prices_the_nodes_of_a_profile_and_writes_nothing(study, box, home, capsys):
    study.write_text(study.read_text().replace('{index: "', '{num_gpus: 4, index: "'))
    before = sorted(home.rglob("*"))
    costs = answer(capsys, "plan", study, "--on", "box")["costs"]
    assert costs["profile"] == "box" and costs["currency"] == "EUR"
    assert costs["total"]["jobs_of_unknown_hours"] == 2 and costs["total"]["money"] is None
    assert main(["plan", str(study), "--on", "box"]) == 0
    shown = capsys.readouterr().out
    assert "not counted, of unknown hours: 2 jobs on GPUs (probes 2)" in shown
    assert sorted(home.rglob("*")) == before


def test_machines_of_the_command_line_have_no_price(study, box, capsys):
    costs = answer(capsys, "plan", study, "--on", "box", "--machines", "1x0")["costs"]
    assert costs["currency"] is None


def test_a_profile_without_nodes_cannot_be_planned_for(study, capsys):
    fault = answer(capsys, "plan", study, "--on", "ray", code=2)
    assert "says nothing of its nodes" in fault["error"] and "--machines" in fault["hint"]


def test_plan_on_a_login_node_imports_nothing_heavy_and_stays_small(study, box):
    code = """
import re, sys
from orchestrator.cli import main
code = main(sys.argv[1:])
heavy = [name for name in ("torch", "ray", "transformers") if name in sys.modules]
most = re.search(r"VmHWM:\\s+(\\d+) kB", open("/proc/self/status").read())  # maxrss is inherited
print(code, heavy, int(most[1]) * 1024)
"""
    words = [sys.executable, "-c", code, "plan", str(study), "--on", "box"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    exit_code, heavy, most_bytes = done.stdout.splitlines()[-1].rsplit(maxsplit=2)
    assert (exit_code, heavy) == ("0", "[]")
    assert int(most_bytes) <= 200e6


def test_profile_new_show_and_check(home, capsys, monkeypatch):
    monkeypatch.setenv("DELTASCALE_CONFIG", str(home / "mine" / "config.yaml"))
    made = answer(capsys, "profile", "new", "box", "--kind", "local")
    assert made["file"] == str(home / "mine" / "profiles" / "box.yaml")
    again = answer(capsys, "profile", "new", "box", "--kind", "local", code=2)
    assert "is not overwritten" in again["error"]
    listed = answer(capsys, "profile", "show")["profiles"]
    assert [entry["name"] for entry in listed] == ["local", "ray", "box"]
    assert answer(capsys, "profile", "show", "box")["fields"]["executor"] == "ray"
    checked = answer(capsys, "profile", "check", "box")
    assert checked["is_good"] and any(
        "nodes: 1 node there" in f["text"] for f in checked["findings"]
    )


@pytest.mark.parametrize(
    ("text", "finding"),
    [
        ("root: /dev/null\n", "root: /dev/null"),
        ("nodes: [{count: 2, cpus: 1}]\n", "1 node of 1 CPU: not there now"),
        ("nodes: [{cpus: 1, gpus: 1000, gpu: H100}]\n", "not there now"),
    ],
)
def test_profile_check_ends_with_1_where_something_is_missing(own, capsys, text, finding):
    (own / "box.yaml").write_text(f"kind: local\n{text}")
    checked = answer(capsys, "profile", "check", "box", code=1)
    bad = [f["text"] for f in checked["findings"] if not f["is_good"]]
    assert len(bad) == 1 and finding in bad[0]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["new"], "missing argument: NAME"),
        (["new", "box"], "of which kind"),
        (["new", "box", "--kind", "lokal"], "unknown kind of profile 'lokal'"),
        (["new", "../box", "--kind", "local"], "may not contain"),
        (["new", "nowhere/box.yaml", "--kind", "local"], "no such folder"),
        (["show", "box"], "unknown profile 'box'"),
        (["shw"], "unknown action 'shw'"),
        (["check", "box", "--kind", "local"], "--kind is for `profile new`"),
    ],
)
def test_a_wrong_word_of_profile_is_refused(home, capsys, words, message):
    assert message in answer(capsys, "profile", *words, code=2)["error"]


@pytest.mark.parametrize(
    "words", [["box", "--kind", "local"], ["--kind", "local", "box"], ["--kind=local", "--", "box"]]
)
def test_profile_new_takes_its_words_in_any_order(home, capsys, words):
    assert main(["profile", "new", *words]) == 0
    assert "profile check box" in capsys.readouterr().out
    assert (home / "config/deltascale/profiles/box.yaml").is_file()


def test_what_a_launch_says_of_its_root_works_in_any_folder(study, box, home):
    options = argparse.Namespace(root=None, on=str(box), study=str(study))
    assert words_of_root(options, chosen_root(options)) == f" --root {home}/results"
    assert words_to_root(options, "status") == f" --root {home}/results"
    assert words_to_root(options, "resume") == f" --on {shlex.quote(str(box))}"
    assert words_of_root(argparse.Namespace(root=None, on=None), Storage("results")) == ""
    given = argparse.Namespace(root="my results", on=None)
    assert words_of_root(given, Storage("my results")) == " --root 'my results'"


def test_an_empty_name_is_refused_and_starts_nothing(study, home, capsys):
    fault = answer(capsys, "launch", study, "--on", "", code=2)
    assert "it is empty" in fault["error"]


def test_a_repair_checks_its_flags_before_it_takes_anything_away(study, box, home, capsys):
    answer(capsys, "launch", study, "--on", "box")
    (record, _) = sorted((home / "results").glob("artifacts/probe/*/record.json"))
    artifact = next(path for path in record.parent.rglob("probe.txt"))
    artifact.write_text("damaged")
    fault = answer(capsys, "verify", study, "--on", "box", "--repair", "--address", "h:1", code=2)
    assert "--address does not go" in fault["error"]
    assert artifact.read_text() == "damaged"
    assert answer(capsys, "verify", study, "--on", "box", "--repair")["ran"] == 1
    assert answer(capsys, "verify", study, "--on", "box")["damaged"] == []


def test_a_root_from_an_unset_variable_of_the_shell_is_refused(home, capsys):
    assert "it is empty" in answer(capsys, "status", "--root", "", code=2)["error"]
    assert "is a file" in answer(capsys, "status", "--root", "/dev/null", code=2)["error"]

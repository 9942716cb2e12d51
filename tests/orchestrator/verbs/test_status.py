import json
from argparse import Namespace

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.verbs import status


def test_a_study_that_cannot_be_read_is_listed_with_its_error(tmp_path, capsys):
    root = Storage(tmp_path)
    root.write("studies/broken/index.json", b"{ half")
    root.write("studies/gone/ledger/launch/1.jsonl", b"")
    root.write("studies/worse/index.json", b"[]")
    options = {"root": root.url, "study": None, "watch": False, "jobs": False}

    assert status.run(Namespace(**options, json=True)) == 0
    found = json.loads(capsys.readouterr().out)
    assert [(one["study"], one["state"]) for one in found] == [
        ("broken", "unreadable"),
        ("gone", "unreadable"),
        ("worse", "unreadable"),
    ]
    assert all(one["error"] for one in found)

    assert status.run(Namespace(**options, json=False)) == 0
    assert "broken: unreadable; " in capsys.readouterr().out


def test_a_job_without_axes_is_listed_by_its_stage_alone(capsys):
    job = {"state": "running", "key": "0" * 64, "stage": "base", "why": "attempt 1"}
    about = dict.fromkeys(("doing", "fraction", "activity", "fitted_by"))
    for cell, label in (({}, "base"), ({"size": "s"}, "base[size=s]")):
        status._print_jobs("running", [{**job, **about, "cell": cell}], every_job=True)
        assert f" {label} attempt 1" in capsys.readouterr().out


def test_a_study_of_ten_thousand_jobs_fits_a_screen(tmp_path, capsys):
    stages = "".join(
        f"  s{number}: {{kind: probe, inputs: {{after: s{number - 1}}}, params: {{waits: true}}}}\n"
        for number in range(1, 40)
    )
    file = tmp_path / "wide.yaml"
    file.write_text(
        f"study: wide\naxes: {{index: {list(range(250))}}}\nstages:\n"
        '  s0: {kind: probe, over: [index], params: {index: "${index}"}}\n' + stages
    )
    options = {"root": str(tmp_path / "root"), "study": str(file), "watch": False, "json": False}

    assert status.run(Namespace(**options, jobs=False)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "0/10000 done" in lines[0]
    assert len(lines) <= 24 and max(map(len, lines)) <= 120
    assert any("40 stages not begun (10000 jobs)" in line for line in lines)

    assert status.run(Namespace(**options, jobs=True)) == 0
    assert len(capsys.readouterr().out.splitlines()) > 10000


def test_what_waits_is_told_in_groups_and_what_failed_one_by_one(tmp_path, capsys):
    file = tmp_path / "probes.yaml"
    file.write_text(PROBES)
    root = str(tmp_path / "root")
    assert main(["launch", str(file), "--root", root, "--executor", "local"]) == 1
    capsys.readouterr()

    assert main(["status", "probes", "--root", root]) == 0
    text = capsys.readouterr().out
    rows = {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}
    assert rows["first"] == ["3/3"] and rows["second"] == ["0/3", "3"]
    assert text.count("told to fail") == 3
    assert "9 jobs of third: blocked: a job of second is failed" in text

    assert main(["status", "probes", "--root", root, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    third = {"stage": "third", "jobs": 9, "done": 0, "running": 0, "waiting": 0}
    assert found["stages"][2] == {**third, "blocked": 9, "failed": 0}
    (group,) = found["waiting"]
    assert (group["jobs"], group["stages"]) == (9, {"third": 9})


PROBES = """
study: probes
axes: {index: [0, 1, 2], seed: [0, 1, 2]}
stages:
  first: {kind: probe, over: [index], params: {index: "${index}"}}
  second: {kind: probe, inputs: {after: first}, params: {waits: true, fail: true}}
  third: {kind: probe, over: [seed], inputs: {after: second},
          params: {waits: true, index: "${seed}"}}
"""


def test_a_job_waits_for_the_nearest_of_what_it_needs(tmp_path, capsys):
    file = tmp_path / "chain.yaml"
    file.write_text(CHAIN)
    assert main(["status", str(file), "--root", str(tmp_path / "root"), "--json"]) == 0
    waiting = json.loads(capsys.readouterr().out)["waiting"]
    whys = {tuple(group["stages"]): group["why"] for group in waiting}
    assert whys[("delta",)] == "wait for aligned, texts"
    assert whys[("aligned",)] == "wait for base, pairs"


CHAIN = """
study: chain
stages:
  base: {kind: pretrain, params: {format: nursery, steps: 1,
         config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1}}}
  pairs: {kind: pairs, params: {format: nursery}}
  texts: {kind: prompts, params: {format: nursery}}
  aligned: {kind: align, inputs: {model: base, pairs: pairs}, params: {objective: sft, steps: 1}}
  delta: {kind: extract, inputs: {base: base, aligned: aligned, prompts: texts}}
"""

"""A command reads the ledger of a study once and plans it once."""

from collections import Counter
from functools import wraps
from pathlib import Path

import pytest

from cluster.storage import Storage
from orchestrator.cli import main
from orchestrator.plan import plan
from orchestrator.plan.decided_plan import plan_study
from orchestrator.records import ledger, ledger_lines
from orchestrator.study.study import load_study

PROBES = """
study: probes
axes: {index: [0, 1, 2]}
stages:
  first: {kind: probe, over: [index], params: {index: "${index}"}}
  second: {kind: probe, inputs: {after: first}, params: {waits: true}}
"""
MEASURED = """
study: measured
stages:
  base: {kind: pretrain,
         params: {config: {family: gpt2, num_layers: 1, d_model: 8, num_heads: 1},
                  format: nursery, steps: 1, learning_rate: 1e-3}}
  texts: {kind: prompts, params: {format: nursery}}
  rates: {kind: behave, inputs: {model: base, prompts: texts}}
  table: {kind: compare, gather: [rates], per: []}
"""


@pytest.fixture
def run(tmp_path, monkeypatch):
    """A function: words of a command line -> how often it planned, and read a ledger."""
    counts = Counter()

    def counted(module, name, what):
        original = getattr(module, name)

        @wraps(original)
        def count(*args, **options):
            counts[what] += 1
            return original(*args, **options)

        monkeypatch.setattr(module, name, count)

    counted(plan, "ordered_stages", "planned")
    counted(ledger, "read_events", "ledger")
    counted(ledger_lines, "new_events", "ledger")

    def call(*words, code=0):
        counts.clear()
        assert main([*words, "--root", str(tmp_path / "root"), "--json"]) == code
        return {"planned": counts["planned"], "ledger": counts["ledger"]}

    return call


@pytest.fixture
def probes(tmp_path):
    file = tmp_path / "probes.yaml"
    file.write_text(PROBES)
    return str(file)


@pytest.fixture
def measured(tmp_path):
    file = tmp_path / "measured.yaml"
    file.write_text(MEASURED)
    return str(file)


ONCE = {"planned": 1, "ledger": 1}


@pytest.mark.parametrize("verb", ["launch", "resume"])
def test_a_launch_plans_once_though_it_decides_again_under_its_lock_and_after_it(run, probes, verb):
    assert run(verb, probes, "--executor", "local") == ONCE


@pytest.mark.parametrize("verb", ["launch", "resume"])
def test_a_launch_with_nothing_to_do_needs_no_ledger(run, probes, verb):
    run("launch", probes, "--executor", "local")
    assert run(verb, probes, "--executor", "local") == {"planned": 1, "ledger": 0}


def test_what_only_looks_does_so_once(run, probes):
    assert run("plan", probes) == ONCE
    run("launch", probes, "--executor", "local")
    for verb in ("plan", "status"):
        assert run(verb, probes) == ONCE
    assert run("status") == ONCE
    # Every record is checked whatever the ledger says; garbage is what no index names.
    assert run("verify", probes) == {"planned": 1, "ledger": 0}
    assert run("gc") == {"planned": 0, "ledger": 0}


def test_a_repair_plans_again_because_it_is_a_launch(run, probes, tmp_path):
    run("launch", probes, "--executor", "local")
    next((tmp_path / "root").glob("artifacts/probe/*/attempts/*/probe.txt")).write_text("other")
    again = run("verify", probes, "--repair", "--executor", "local")
    assert again == {"planned": 2, "ledger": 1}


def test_tables_are_made_of_one_look(run, measured):
    assert run("compare", measured) == ONCE
    assert run("report", measured, code=2) == ONCE  # nothing was measured yet


def test_watching_plans_again_only_when_the_study_changes(probes, tmp_path):
    root = Storage(tmp_path / "root")
    first = plan_study(root, load_study(probes))
    assert plan_study(root, load_study(probes), first) is first
    Path(probes).write_text(PROBES.replace("[0, 1, 2]", "[0, 1]"))
    again = plan_study(root, load_study(probes), first)
    assert len(again.jobs) == 4 and len(first.jobs) == 6

"""`launch --budget` at the command line: its exit code and sentence, `status`, and what goes on."""

import json

import pytest

from cluster.machine.resources import Resources
from jobs.kind import Fit
from orchestrator.budget.budget import Budget
from orchestrator.cli import main
from orchestrator.plan.budget_forecast import why_too_small
from orchestrator.plan.decisions import Decision, JobDecision
from tests.chain import CHAIN


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setenv("DELTASCALE_ROOT", str(tmp_path / "results"))
    file = tmp_path / "chain.yaml"
    file.write_text(CHAIN)
    return str(file)


def test_a_spent_budget_ends_with_76_and_a_larger_one_goes_on(study, capsys):
    assert main(["launch", study, "--executor", "local", "--only", "base"]) == 0
    capsys.readouterr()

    assert main(["launch", study, "--executor", "local", "--budget", "0.000001MB"]) == 76
    ending = capsys.readouterr().out
    assert "chain: out-of-budget" in ending
    assert "4 of 6 jobs are not done" in ending and "a larger --budget goes on from here" in ending

    assert main(["status", "chain"]) == 0
    shown = capsys.readouterr().out
    assert "out-of-budget" in shown and "budget spent: " in shown
    assert main(["status", "chain", "--json"]) == 0
    budget = json.loads(capsys.readouterr().out)["budget"]
    assert budget["limits"] == {"bytes": 1.0} and budget["spent"]["bytes"] > 1
    assert budget["ended"].startswith("budget spent: ")

    assert (
        main(["launch", study, "--executor", "local", "--budget", "1GB", "--budget", "1gpuh"]) == 0
    )
    capsys.readouterr()
    assert main(["status", "chain"]) == 0
    assert "0 GPU-hours of 1 GPU-hours spent" in capsys.readouterr().out


def test_a_unit_that_is_none_starts_nothing(study, capsys, tmp_path):
    assert main(["launch", study, "--executor", "local", "--budget", "200gpus"]) == 2

    told = capsys.readouterr().err
    assert "unknown unit 'gpus'" in told and "--budget" in told and "did you mean 'gpuh'?" in told
    assert not (tmp_path / "results/artifacts").exists()


def test_money_needs_a_profile_with_prices(study, capsys):
    assert main(["launch", study, "--executor", "local", "--budget", "500EUR"]) == 2

    assert "a profile gives them: `--on`" in capsys.readouterr().err


def foreseen(make_probe, index, hours, num_gpus=8):
    job = make_probe(index, num_gpus=num_gpus)
    fit = Fit(resources=Resources(num_gpus=num_gpus), execution={}, hours=hours)
    return JobDecision(job=job, decision=Decision.NEW, why="", expected_bytes=None, fit=fit)


def test_a_budget_below_the_forecast_is_told_with_its_numbers(make_probe):
    jobs = [
        foreseen(make_probe, 0, 20.0),
        foreseen(make_probe, 1, 10.0),
        foreseen(make_probe, 2, None),
    ]

    (text,) = why_too_small(Budget(limits={"gpuh": 200.0}), jobs, {"gpuh": 12.5})

    assert "the budget of 200.0 GPU-hours may be too small" in text
    assert "12.5 GPU-hours spent, 240.0 GPU-hours foreseen" in text
    assert "and 1 job of which nothing is foreseen" in text
    assert why_too_small(Budget(limits={"gpuh": 253.0}), jobs, {"gpuh": 12.5}) == []


def test_jobs_that_no_price_counts_are_told_before_and_after(study, capsys, tmp_path):
    profile = tmp_path / "box.yaml"
    profile.write_text(
        "kind: local\ncurrency: EUR\nnodes:\n  - {cpus: 4, price: 1}\n  - {cpus: 64}\n"
    )
    words = ["launch", study, "--on", str(profile), "--budget", "5EUR", "--only", "base"]
    assert main(words) == 0
    assert (
        "the budget does not count 2 jobs that may run on nodes without" in capsys.readouterr().err
    )
    assert main(["status", "chain"]) == 0
    assert "hours of jobs without a price are not counted" in capsys.readouterr().out
    assert main(["status", "chain", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["budget"]["unpriced_seconds"] > 0

"""What a plan costs on a profile, as people read it."""

import pytest

from orchestrator.budget.budget import money_text
from orchestrator.profiles.costs import Cost, Costs
from orchestrator.views.cost_output import show_costs


def cost(jobs, *, unknown=0, on_gpus=0, hours=None, money=None, without_price=0):
    return Cost(
        jobs=jobs,
        gpu_hours=hours,
        money=money,
        jobs_of_unknown_hours=unknown,
        gpu_jobs_of_unknown_hours=on_gpus,
        jobs_without_price=without_price,
    )


def test_stages_total_and_what_is_not_counted(capsys):
    stages = {
        "pairs": cost(1, unknown=1),
        "aligned": cost(16, hours=4.7, money=1014.166),
        "rates": cost(5, unknown=2, on_gpus=2, hours=0.25, money=0.75),
    }
    total = cost(22, unknown=3, on_gpus=2, hours=4.95, money=1014.916)
    show_costs(Costs(currency="EUR", stages=stages, total=total), "hpc")
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    assert lines[1] == "on profile 'hpc', planned, not measured:"
    assert lines[2:5] == [
        "aligned 16 jobs 4.7 GPU-hours 1,014.17 EUR",
        "rates 3 jobs 0.25 GPU-hours 0.75 EUR",
        "in all 19 jobs 5.0 GPU-hours 1,014.92 EUR",
    ]
    assert lines[6:] == [
        "not counted, of unknown hours: 2 jobs on GPUs (rates 2)",
        "not counted, of unknown hours: 1 job on processors (pairs 1)",
    ]


def test_a_price_that_is_not_known_is_said(capsys):
    known = {"a": cost(2, hours=1.0, money=3.0, without_price=1)}
    show_costs(Costs(currency="EUR", stages=known, total=known["a"]), "hpc")
    assert "1 job without a price not counted" in capsys.readouterr().out
    none = {"a": cost(2, hours=1.0, without_price=2)}
    show_costs(Costs(currency=None, stages=none, total=none["a"]), "hpc")
    assert "no prices known" in capsys.readouterr().out


def test_a_plan_with_nothing_to_run_shows_no_stage(capsys):
    show_costs(Costs(currency="EUR", stages={}, total=cost(0)), "hpc")
    assert capsys.readouterr().out.split("\n")[1:] == [
        "on profile 'hpc', planned, not measured:",
        "",
    ]


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0.0, "0.00 EUR"), (0.0004, "0.0004 EUR"), (0.014, "0.01 EUR"), (12345.6, "12,345.60 EUR")],
)
def test_money(amount, text):
    assert money_text(amount, "EUR") == text

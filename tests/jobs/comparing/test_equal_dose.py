"""A study's table at equal dose: what stands in it, what it leaves out and what it says."""

import pytest

from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import to_table
from cluster.errors import UserError
from jobs.comparing.comparison import Comparison, rendered
from jobs.comparing.equal_dose import at_doses
from jobs.comparing.named_cell import rows_of_cell
from jobs.comparing.view import View

STEPS = (10, 20, 40)


@pytest.fixture
def comparison():
    """Two models whose KL grows at another pace, their base, and a model without snapshots."""
    rows, circumstances = [], {}

    def add(model, metric, value, step=0, aligned=None):
        key = f"{model}.{metric}.{step}.{aligned}"
        circumstances[key] = Circumstances(
            base=model,
            aligned=aligned,
            step=step or None,
            prompts="p",
            source="s",
            transform="plain",
        )
        rows.append(
            {
                "snapshot": f"step-{step}" if step else None,
                "model": model,
                "num_parameters": 1000 if model == "small" else 4000,
                "metric": metric,
                "value": value,
                "low": value - 0.01,
                "high": value + 0.01,
                "left_out": [value + 0.001 * (-1) ** n for n in range(20)],
                "key": key,
            }
        )

    for model, pace in (("small", 0.01), ("large", 0.02)):
        add(model, "toxic_mass", 0.7)
        add(model, "toxic_mass", 0.1, aligned=f"{model}@whole")
        for step in STEPS:
            aligned = f"{model}@{step}"
            add(model, "kl_per_token", pace * step, step, aligned)
            add(model, "toxic_mass", 0.7 - pace * step, step, aligned)
    rows.append(
        {
            "snapshot": "step-10",
            "model": "small",
            "metric": "perplexity",
            "status": "not_run",
            "reason": "stage behaviour is not run yet",
        }
    )
    return Comparison(
        gathered=to_table(rows, ["snapshot"]),
        order={"model": ("small", "large"), "snapshot": [f"step-{step}" for step in STEPS]},
        circumstances=lambda: circumstances,
    )


def cells(table):
    return {
        (row[1], *column): cell
        for row, line in zip(table.rows, table.cells, strict=True)
        for column, cell in zip(table.columns, line, strict=True)
    }


def test_a_table_at_one_dose_has_the_base_and_every_training_there(comparison):
    view = View(at={"kl": 0.2}, metrics=["toxic_mass", "step_at_dose"])
    table = at_doses(comparison, view).table(view)
    found = cells(table)
    assert found["small", "toxic_mass", "none"].number.value == 0.7
    for model in ("small", "large"):
        assert found[model, "toxic_mass", "kl=0.2"].number.value == pytest.approx(0.5)
    assert found["small", "step_at_dose", "kl=0.2"].number.value == pytest.approx(20)
    assert found["large", "step_at_dose", "kl=0.2"].number.value == pytest.approx(10)
    assert "At equal dose: kl_per_token 0.2 nats per token" in table.caption


def test_several_doses_are_columns_and_one_that_is_not_reached_says_so(comparison):
    view = View(at={"kl": [0.2, 0.6], "toxic_mass_fall": 0.3}, metrics=["toxic_mass"])
    found = cells(at_doses(comparison, view).table(view))
    assert found["large", "toxic_mass", "kl=0.6"].number.value == pytest.approx(0.1)
    lacking = found["small", "toxic_mass", "kl=0.6"].number
    assert lacking.status == "not_at_dose" and "0.4 at step 40" in lacking.reason
    assert found["small", "toxic_mass", "toxic_mass_fall=0.3"].number.value == pytest.approx(0.4)


def test_what_no_snapshot_measured_keeps_its_reason(comparison):
    view = View(at={"kl": 0.2}, metrics=["toxic_mass", "perplexity"])
    found = cells(at_doses(comparison, view).table(view))
    assert found["small", "perplexity", "kl=0.2"].number.reason == "stage behaviour is not run yet"


def test_every_format_and_the_fits_stand_at_the_dose(comparison):
    view = View(at={"kl": 0.2})
    shown = at_doses(comparison, view)
    assert b"kl=0.2" in rendered(shown.table(view), "csv")
    assert "At equal dose" in shown.scaling(view).caption
    assert {row["snapshot"] for row in shown.rows} == {None, "kl=0.2"}


def test_a_cell_at_a_dose_is_traced_to_what_it_was_read_between(comparison):
    view = View(at={"kl": [0.15, 0.6]})
    shown = at_doses(comparison, view)
    with pytest.raises(UserError, match="matches 3 cells") as refused:
        rows_of_cell(shown, view, "toxic_mass,model=small")
    named = list(refused.value.allowed)
    assert sorted(named)[0] == "toxic_mass,snapshot=kl=0.15,model=small"
    (read,), (lacking,), (base,) = (rows_of_cell(shown, view, text) for text in sorted(named))
    assert read["value"] == pytest.approx(0.55)
    assert {key.rpartition("@")[2] for key in read["key"].split()} >= {"10", "20"}
    assert lacking["status"] == "not_at_dose" and lacking["snapshot"] == "kl=0.6"
    assert base["value"] == 0.7
    with pytest.raises(UserError, match="unknown value of snapshot") as refused:
        rows_of_cell(shown, view, "toxic_mass,model=small,snapshot=kl=0.16")
    assert "kl=0.15" in refused.value.allowed


def test_without_a_dose_nothing_changes(comparison):
    assert at_doses(comparison, View()) is comparison


@pytest.mark.parametrize("at", [{"kll": 0.5}, {"kl": 0.0}, {"kl": -1}, {"kl": []}, {"kl": "x"}])
def test_a_dose_that_cannot_be_is_refused_before_anything_runs(at):
    with pytest.raises((UserError, ValueError)):
        View(at=at)

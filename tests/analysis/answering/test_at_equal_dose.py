"""A ladder whose sizes differ in how hard they were trained: equal steps, equal dose."""

from dataclasses import replace

import numpy as np
import pytest

from analysis.answering.answer import ANSWERS
from analysis.answering.findings import Findings
from analysis.dose.doses import Dose
from analysis.long_table.circumstances import Circumstances
from analysis.long_table.columns import to_rows
from analysis.long_table.selection import Selection
from analysis.tables.power_laws import fit_rows

SIZES = {"a": 1e5, "b": 3e5, "c": 1e6, "d": 3e6}
STEPS = (5, 10, 20, 40, 80)


def ladder(consistency_at=lambda size, dose: 0.9 * np.exp(-dose)):
    """Larger models are trained harder by the same steps; consistency follows the dose alone."""
    rows, circumstances = [], {}

    def add(model, metric, value, step, **columns):
        key = f"{model}/{metric}/{step}"
        run = {"aligned": f"{model}@{step}", "run": model, "objective": "dpo", "step": step}
        run |= {"midway": step < STEPS[-1]}
        circumstances[key] = Circumstances(
            base=model, prompts="p", source="s", transform="plain", **(run if step else {})
        )
        rng = np.random.default_rng([len(rows), 3])
        left = value + 2e-4 * rng.standard_normal(20)
        half = 2.093 * float(np.sqrt(19 * left.var()))
        rows.append(
            {
                "snapshot": f"step-{step}" if step else None,
                "objective": "dpo" if step else None,
                "model": model,
                "family": "gpt2",
                "num_parameters": int(SIZES[model]),
                "num_layers": 5,
                "metric": metric,
                "position": "last",
                "value": value,
                "low": value - half,
                "high": value + half,
                "left_out": left.tolist(),
                "key": key,
                **columns,
            }
        )

    for model, size in SIZES.items():
        pace = (size / 1e5) ** 0.3 / 100
        add(model, "toxic_mass", 0.5, 0)
        for step in STEPS:
            dose = pace * step
            add(model, "kl_per_token", dose, step)
            add(model, "toxic_mass", 0.5 * np.exp(-dose), step)
            value = consistency_at(size, dose)
            add(model, "consistency", value, step, site="resid_mid", layer=3)
    return rows, circumstances


def findings_of(rows, circumstances):
    return Findings.from_rows(to_rows(rows), circumstances, selection=Selection(), seeds="seed")


def exponent(findings):
    numbers = [f.number.as_row() for f in findings.of_metric("consistency")]
    return fit_rows(numbers).exponent


def test_an_exponent_of_the_training_vanishes_at_equal_dose():
    findings = findings_of(*ladder())
    by_step = exponent(findings)
    assert by_step.high < -0.05
    at_dose = exponent(findings.snapshots.at(Dose.named("kl", 0.3)))
    assert at_dose.low < 0 < at_dose.high and abs(at_dose.value) < 0.01
    assert ANSWERS.find("holds_as_models_grow").answer(findings).verdict == "mixed"
    answer = ANSWERS.find("at_equal_dose").answer(findings)
    assert answer.verdict == "yes"
    assert "another verdict than at the end of training (mixed)" in answer.summary
    assert "kl_per_token 0.8 to 2.22 nats per token" in answer.summary


def test_an_exponent_of_the_size_stays_at_equal_dose():
    found = findings_of(
        *ladder(lambda size, dose: 0.9 * (size / 1e5) ** -0.25 * np.exp(-0.1 * dose))
    )
    answer = ANSWERS.find("at_equal_dose").answer(found)
    assert answer.verdict == "mixed"
    assert "the same verdict as" in answer.summary


def test_only_what_training_left_is_a_model_of_the_other_answers():
    rows, circumstances = ladder()
    findings = findings_of(rows, circumstances)
    assert len(findings.of_metric("consistency")) == len(SIZES)
    assert {f.number.axes["snapshot"] for f in findings.all} == {None}
    whole = "a/consistency/80"
    row = {**next(r for r in rows if r["key"] == whole), "key": "whole", "snapshot": None}
    row |= {"value": 0.77, "low": 0.7, "high": 0.8}
    about = replace(circumstances[whole], aligned="a", step=None)
    findings = findings_of([*rows, row], {**circumstances, "whole": about})
    values = [f.number.value for f in findings.of_metric("consistency") if f.model == "a"]
    assert values == [0.77]


@pytest.mark.parametrize("gone", ["kl_per_token", None])
def test_where_no_dose_or_no_snapshot_is_nothing_is_said(gone):
    rows, circumstances = ladder()
    if gone is None:
        circumstances = {key: replace(about, step=None) for key, about in circumstances.items()}
        rows = [row for row in rows if not row["key"].endswith(("/5", "/10", "/20", "/40"))]
    rows = [row for row in rows if row["metric"] not in (gone, "toxic_mass")]
    answer = ANSWERS.find("at_equal_dose").answer(findings_of(rows, circumstances))
    assert answer.verdict == "not measured" and answer.evidence == ()


def test_sizes_that_have_no_dose_in_common_decide_nothing():
    rows, circumstances = ladder()
    kept = [row for row in rows if row["model"] != "d" or row["key"].endswith(("/0", "/80"))]
    kept = [row for row in kept if row["model"] != "a" or not row["key"].endswith("/80")]
    for row in kept:
        if row["model"] == "d" and row["metric"] == "toxic_mass" and row["snapshot"] is not None:
            row["value"], row["low"], row["high"] = 0.01, 0.005, 0.015
    answer = ANSWERS.find("at_equal_dose").answer(findings_of(kept, circumstances))
    assert answer.verdict == "undecided"
    assert "No dose is within reach of all sizes" in answer.summary

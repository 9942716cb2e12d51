"""Every answer keeps the contract, and none raises on a study that measured nothing of it."""

from typing import Any

import pytest

from analysis.answering.answer import ANSWERS, Verdict, metrics_read, ordered_answers
from analysis.answering.evidence import finding_in_words
from analysis.answering.findings import Findings
from analysis.long_table.columns import to_rows
from analysis.long_table.selection import Selection


def test_the_questions_come_in_their_order() -> None:
    assert [each.__name__.rpartition(".")[2] for each in ordered_answers()] == [
        "holds_as_models_grow",
        "bypassed_by_transforms",
        "over_dialogue_turns",
        "under_real_preferences",
        "specific_to_dpo",
        "at_equal_dose",
        *("what_training_achieved", "few_tokens_deep", "shared_with_sft"),
    ]


@pytest.mark.parametrize("name", ANSWERS.names())
def test_an_empty_study_answers_nothing(name: str, study: Any) -> None:
    answer = study.answer(name)
    assert answer.verdict is Verdict.NOT_MEASURED
    assert answer.name == name
    assert answer.question == ANSWERS.find(name).QUESTION
    assert not answer.evidence


@pytest.mark.parametrize("name", ANSWERS.names())
def test_missing_numbers_decide_nothing_and_say_why(name: str, study: Any) -> None:
    for metric in ANSWERS.find(name).METRICS:
        for objective in (None, "dpo", "sft"):
            for condition in ("plain", "rot13", "turns"):
                place = {"objective": objective, "condition": condition, "model": "a"}
                study.add(metric, None, position="last", **place)
    assert study.answer(name).verdict in (Verdict.NOT_MEASURED, Verdict.UNDECIDED)


@pytest.mark.parametrize("name", ANSWERS.names())
def test_jobs_that_left_nothing_are_counted(name: str, study: Any) -> None:
    metric = ANSWERS.find(name).METRICS[0]
    study.add(metric, None, model="a")
    study.rows[-1] |= {"key": None, "status": "job_failed", "reason": "killed"}
    assert any("1 number is missing: the job failed" in c for c in study.answer(name).caveats)


@pytest.mark.parametrize("name", ANSWERS.names())
def test_every_answer_states_its_rule(name: str) -> None:
    rule = ANSWERS.find(name).__doc__
    assert rule is not None
    assert "Yes:" in rule
    assert "no:" in rule.lower()


def test_all_metrics_that_are_read_are_listed_once() -> None:
    assert len(metrics_read()) == len(set(metrics_read()))
    assert {"toxic_mass", "consistency", "turn_drift", "decode_loss_gap"} <= set(metrics_read())


def test_the_words_of_a_number_have_the_digits_that_its_interval_supports(study: Any) -> None:
    """To three digits this number would be its band's end."""
    place = {"model": "a", "site": "resid_mid", "layer": 0, "position": "last"}
    study.add("consistency", 0.98765, half=0.00003, null_high=0.98761, floor=2e-8, **place)
    found = Findings.from_rows(
        to_rows(study.rows), study.circumstances, selection=Selection(), seeds="seed"
    )
    (finding,) = found.of_metric("consistency")
    words = "0.987650 [0.987620, 0.987680]; floor 2.00e-08; null bands end at 0.987610"
    assert finding_in_words(finding) == words

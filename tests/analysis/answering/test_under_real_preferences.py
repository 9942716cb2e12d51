"""Collected, stood in for, and steered preferences."""

from typing import Any

import pytest

from analysis.answering.answer import Verdict
from analysis.long_table.circumstances import Origin

NAME = "under_real_preferences"


def test_collected_preferences_decide(study: Any) -> None:
    study.aligned("a")
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.YES
    assert "Stand-in" not in answer.summary


def test_models_that_are_undecided_keep_the_answer_open(study: Any) -> None:
    study.aligned("a")
    study.aligned("b", like=0.05, half=0.2)
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.UNDECIDED
    assert "1 of 2" in answer.summary


def test_steered_pairs_alone_are_not_measured_and_their_numbers_stand_beside(study: Any) -> None:
    study.aligned("a", about={"preferences": Origin.STEERED})
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.NOT_MEASURED
    assert "Every pair of this study is synthetic" in answer.summary
    assert len(answer.evidence) == 2


def test_pairs_from_a_generated_language_are_called_a_stand_in(study: Any) -> None:
    study.aligned("a", about={"preferences": Origin.LANGUAGE})
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.UNDECIDED
    assert answer.summary.startswith("Stand-in")


@pytest.mark.parametrize(("mass", "verdict"), [(0.05, Verdict.YES), (0.6, Verdict.NO)])
def test_a_narrow_effect_beside_does_not_decide(study: Any, mass: float, verdict: Verdict) -> None:
    study.aligned("a", mass=mass)
    study.aligned("b", about={"preferences": Origin.STEERED})
    assert study.answer(NAME).verdict is verdict


@pytest.mark.parametrize(
    ("mass", "like", "fails"), [(0.1, 0.9, True), (0.4, 0.9, False), (0.1, 0.0, False)]
)
def test_shuffled_labels_that_do_as_much_leave_it_open(
    study: Any, mass: float, like: float, fails: bool
) -> None:
    study.aligned("a")
    study.aligned("b")
    study.aligned("b", objective="dpo-shuffled", mass=mass, like=like)
    answer = study.answer(NAME)
    assert answer.verdict is (Verdict.UNDECIDED if fails else Verdict.YES)
    assert any("control fails" in each and "too: b." in each for each in answer.caveats) is fails
    growth = study.answer("holds_as_models_grow").caveats
    assert any("more than half of the fall, too: b." in each for each in growth) is fails


def test_collected_pairs_of_another_set_stand_beside_and_decide_nothing(study: Any) -> None:
    steered = {"preferences": Origin.STEERED}
    study.aligned("a", about=steered)
    before = study.answer(NAME)
    for pairs, origin, value in (("c", Origin.COLLECTED, 0.7), ("s", Origin.STEERED, 0.9)):
        about = {**steered, "pairs": pairs, "pairs_origin": origin, "foreign": True}
        metric = "preference_accuracy_per_token"
        study.add(metric, value, model="a", position=None, about=about, compared_by=pairs)
    after = study.answer(NAME)
    assert after.verdict is before.verdict and after.summary == before.summary
    (piece,) = after.evidence[len(before.evidence) :]
    assert piece.estimate.value == 0.7 and piece.supports is None
    assert "collected pairs that it was not trained on" in piece.text


def test_models_that_compute_otherwise_are_told_once_a_model(study: Any) -> None:
    study.aligned("a", about={"computed_otherwise": "rope_theta 10000.0 and 500000.0"})
    study.aligned("b")
    told = [each for each in study.answer(NAME).caveats if "compute otherwise" in each]
    assert told == [
        "a: base and aligned model compute otherwise whatever their weights (rope_theta 10000.0 "
        "and 500000.0), which differences between them hold, too."
    ]

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

"""What training achieved: by forms per token, on held-out pairs, with shuffled labels beside."""

from typing import Any

import pytest

from analysis.answering.answer import Verdict

NAME = "what_training_achieved"


def achieved(study: Any, model: str = "a", *, margin: float = 1.0, **where: Any) -> None:
    """A model with an accuracy to match its margin; both sides of its pairs fell."""
    place = {"position": None, "model": model, **where}
    accuracy = 0.9 if margin > 0.1 else 0.1 if margin < -0.1 else 0.5
    study.add("preference_accuracy_per_token", accuracy, **place)
    study.add("reward_margin_per_token", margin, **place)
    study.add("chosen_logp_change", -0.5, **place)
    study.add("rejected_logp_change", -0.5 - margin, **place)


@pytest.mark.parametrize(
    ("margin", "verdict"), [(1.0, Verdict.YES), (0.0, Verdict.UNDECIDED), (-1.0, Verdict.NO)]
)
def test_margin_and_accuracy_decide(study: Any, margin: float, verdict: Verdict) -> None:
    achieved(study, margin=margin)
    assert study.answer(NAME).verdict is verdict


def test_nothing_was_measured_without_pairs(study: Any) -> None:
    study.aligned("a")
    assert study.answer(NAME).verdict is Verdict.NOT_MEASURED


def test_displacement_of_the_chosen_side_is_told(study: Any) -> None:
    achieved(study)
    answer = study.answer(NAME)
    assert "1 of 1 the chosen side became less likely" in answer.summary
    assert any("displaced" in piece.text for piece in answer.evidence)


def test_a_sum_decides_nothing(study: Any) -> None:
    achieved(study, margin=-1.0)
    study.add("reward_margin", 5.0, model="a", position=None)
    assert study.answer(NAME).verdict is Verdict.NO


def test_shuffled_labels_that_achieve_it_leave_the_answer_undecided(study: Any) -> None:
    achieved(study)
    achieved(study, objective="dpo-shuffled")
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.UNDECIDED
    assert any("control fails" in caveat for caveat in answer.caveats)


def test_foreign_pairs_stand_beside_and_decide_where_there_are_no_others(study: Any) -> None:
    foreign = {"compared_by": "carried", "about": {"pairs": "others", "foreign": True}}
    achieved(study, margin=-1.0, **foreign)
    alone = study.answer(NAME)
    assert alone.verdict is Verdict.NO
    assert any("No held-out pairs" in caveat for caveat in alone.caveats)
    achieved(study, margin=1.0, about={"pairs": "own"})
    both = study.answer(NAME)
    assert both.verdict is Verdict.YES
    assert any("foreign pairs" in piece.text for piece in both.evidence)
    achieved(study, "b", margin=-1.0, **foreign)
    mixed = study.answer(NAME)
    assert mixed.verdict is Verdict.MIXED
    assert "No held-out pairs of their own sets were measured: b." in mixed.caveats


@pytest.mark.parametrize("lacking", [1, 2])
def test_a_number_that_some_seeds_lack_makes_no_model_of_its_own(study: Any, lacking: int) -> None:
    for seed in ("0", "1"):
        achieved(study, seed=seed)
        value = None if int(seed) < lacking else 0.5
        study.add("reward_margin_at_equal_length", value, model="a", position=None, seed=seed)
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.YES
    assert "1 of 1 models say yes" in answer.summary

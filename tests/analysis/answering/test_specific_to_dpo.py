"""What other objectives and shuffled labels do beside DPO."""

from typing import Any

import pytest

from analysis.answering.answer import Verdict
from analysis.long_table.circumstances import Origin

NAME = "specific_to_dpo"


@pytest.mark.parametrize(
    ("mass", "verdict"), [(0.1, Verdict.NO), (0.45, Verdict.YES), (0.27, Verdict.UNDECIDED)]
)
def test_sft_decides_by_its_share_of_the_fall(study: Any, mass: float, verdict: Verdict) -> None:
    study.aligned("a")
    study.aligned("a", objective="sft", mass=mass)
    assert study.answer(NAME).verdict is verdict


def test_sft_is_held_against_dpo_on_the_same_kind_of_pairs(study: Any) -> None:
    for origin, mass in ((Origin.STEERED, 0.05), (Origin.COLLECTED, 0.4)):
        place = {"seed": "0", "about": {"preferences": origin, "aligned": f"dpo on {origin}"}}
        study.aligned("a", mass=mass, pairs=str(origin), **place)
    study.aligned("a", objective="sft", mass=0.4, pairs="collected")
    assert study.answer(NAME).verdict is Verdict.NO


def test_sft_without_a_shared_offset_lacks_the_mechanism(study: Any) -> None:
    study.aligned("a")
    study.aligned("a", objective="sft", mass=0.05, like=-0.1)
    assert study.answer(NAME).verdict is Verdict.YES


@pytest.mark.parametrize(
    "dpo", [{"mass": 0.5, "like": 0.0}, {"mass": 0.7}, {"mass": 0.495}, {"like": -0.2}]
)
@pytest.mark.parametrize("sft", [{"mass": 0.5, "like": -0.1}, {"mass": 0.1}])
def test_nothing_is_specific_to_dpo_where_dpo_does_nothing(
    study: Any, dpo: dict[str, float], sft: dict[str, float]
) -> None:
    study.aligned("a", **dpo)
    study.aligned("a", objective="sft", **sft)
    assert study.answer(NAME).verdict is Verdict.UNDECIDED


def test_shuffled_labels_that_do_as_much_leave_the_answer_undecided(study: Any) -> None:
    study.aligned("a")
    study.aligned("a", objective="sft", mass=0.45)
    study.aligned("a", objective="dpo-shuffled", mass=0.06)
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.UNDECIDED
    assert any("control fails" in caveat for caveat in answer.caveats)


def test_shuffled_labels_that_do_nothing_are_the_control_that_is_asked_for(study: Any) -> None:
    study.aligned("a")
    study.aligned("a", objective="sft", mass=0.45)
    study.aligned("a", objective="dpo-shuffled", mass=0.5, like=0.0)
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.YES
    assert not any("dpo-shuffled" in caveat for caveat in answer.caveats)


def test_objectives_are_compared_by_a_metric_that_both_have(study: Any) -> None:
    """The mass may be known of DPO's model alone."""
    study.aligned("a")
    for objective, rate in ((None, 0.6), ("dpo", 0.1), ("sft", 0.12)):
        study.add("toxic_rate", rate, model="a", objective=objective)
    study.offsets(0.9, model="a", objective="sft")
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.NO
    assert answer.evidence[0].metric == "toxic_rate" and answer.evidence[0].supports is False


def test_dpo_alone_measures_no_specificity(study: Any) -> None:
    study.aligned("a")
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.NOT_MEASURED
    assert any("such as sft" in caveat for caveat in answer.caveats)


@pytest.mark.parametrize("objective", ["ipo", "published"])
def test_a_study_without_dpo_says_that(study: Any, objective: str) -> None:
    study.aligned("a", objective=objective)
    for control in ("sft", "dpo-shuffled"):
        study.aligned("a", objective=control, mass=0.1)
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.NOT_MEASURED
    assert answer.summary == "No model aligned by DPO was measured."
    assert not any("control fails" in caveat for caveat in answer.caveats)


def test_the_base_saved_once_more_has_no_vote(study: Any) -> None:
    study.aligned("a")
    study.aligned("a", objective="unaligned", mass=0.5, like=0.0)
    assert study.answer(NAME).verdict is Verdict.NOT_MEASURED


def test_a_second_seed_may_be_compared_with_the_first_beside_what_is_compared_with_plain_prompts(
    study: Any,
) -> None:
    study.aligned("a")
    place = {"model": "a", "seed": "1", "site": "resid_mid", "layer": 3}
    with_itself = {"against_prompts": "plain", "against_objective": "dpo"}
    study.add("mean_cosine", 1.0, about={**with_itself, "against_aligned": "a dpo 1"}, **place)
    other = {**with_itself, "against_aligned": "a dpo 0"}
    study.add("mean_cosine", 0.8, about=other, **place, null_high=0.3)
    on_its_way = {"run": "a dpo 1", "against_run": "a dpo 1", "against_aligned": "a dpo 1 at 3"}
    study.add("mean_cosine", 0.6, about={**with_itself, **on_its_way}, **place, compared_by="own")
    told = [each for each in study.answer(NAME).evidence if each.metric == "mean_cosine"]
    assert [each.estimate.value for each in told] == [0.8]
    assert "another seed" in told[0].text


def test_models_that_one_objective_made_are_told_apart_by_what_they_were_trained_with(
    study: Any,
) -> None:
    for template in ("none", "chat"):
        study.aligned("a", template=template, about={"aligned": f"dpo {template}"})
    texts = " ".join(piece.text for piece in study.answer(NAME).evidence)
    assert "a, dpo, template none: " in texts and "a, dpo, template chat: " in texts

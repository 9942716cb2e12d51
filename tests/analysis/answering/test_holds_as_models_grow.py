"""The mechanism over sizes: yes, no, mixed and undecided, each by the rule of the answer."""

from collections.abc import Callable
from typing import Any

import pytest

from analysis.answering.answer import Verdict
from analysis.long_table.circumstances import Circumstances

NAME = "holds_as_models_grow"


def test_it_holds_where_every_size_shows_it_and_it_does_not_weaken(
    ladder: Callable[..., Any],
) -> None:
    answer = ladder(a={"like": 0.89}, c={"like": 0.91}).answer(NAME)
    assert answer.verdict is Verdict.YES
    assert "4 of 4" in answer.summary
    assert any("describes these sizes" in caveat for caveat in answer.caveats)


def test_one_size_without_it_makes_the_answer_mixed(ladder: Callable[..., Any]) -> None:
    assert ladder(d={"like": -0.2}).answer(NAME).verdict is Verdict.MIXED
    assert "3 of 4" in ladder(d={"like": -0.2}).answer(NAME).summary


def test_no_size_with_it_makes_the_answer_no(ladder: Callable[..., Any]) -> None:
    unchanged = {model: {"mass": 0.6} for model in "abcd"}
    assert ladder(**unchanged).answer(NAME).verdict is Verdict.NO


def test_a_direction_that_weakens_with_size_makes_the_answer_mixed(
    ladder: Callable[..., Any],
) -> None:
    falling = {"a": 0.95, "b": 0.7, "c": 0.52, "d": 0.39}
    answer = ladder(**{model: {"like": like} for model, like in falling.items()}).answer(NAME)
    assert answer.verdict is Verdict.MIXED
    assert answer.evidence[0].supports is False
    assert answer.evidence[0].estimate.high < 0


def test_an_exponent_that_may_be_anything_does_not_show_that_it_holds(
    ladder: Callable[..., Any],
) -> None:
    scattered = {"a": 0.9, "b": 0.3, "c": 0.9, "d": 0.3}
    answer = ladder(**{model: {"like": like} for model, like in scattered.items()}).answer(NAME)
    assert "4 of 4" in answer.summary
    assert answer.verdict is Verdict.UNDECIDED


def test_exponents_over_width_and_parameters_that_disagree_are_told_with_what_is_lacking(
    ladder: Callable[..., Any],
) -> None:
    values = {"a": 0.9, "b": 0.8, "c": 0.7, "d": 0.62}
    study = ladder(**{model: {"like": like} for model, like in values.items()})
    for row in study.rows:
        row["d_model"] = {"a": 64, "b": 512, "c": 32, "d": 256}[row["model"]]
    told = study.answer(NAME).caveats
    assert any(
        caveat.startswith("Of gpt2, 0 is excluded over parameters, not over width; the line over ")
        for caveat in told
    )
    assert any("4 of 4 values are not known without each prompt group" in each for each in told)


def test_the_answer_s_interval_is_over_the_prompts_that_sizes_share_too(
    ladder: Callable[..., Any],
) -> None:
    """A part of each group that grows with size: the points are on a line, the exponent unsure."""
    falling = {"a": 0.95, "b": 0.7, "c": 0.52, "d": 0.39}
    study = ladder(**{model: {"like": like} for model, like in falling.items()})
    assert study.answer(NAME).verdict is Verdict.MIXED
    for row in (row for row in study.rows if row["metric"] == "consistency"):
        steep = (row["num_parameters"] / 1e5) ** 0.2
        row["left_out"] = [row["value"] * steep ** ((-1) ** group) for group in range(20)]
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.UNDECIDED
    assert answer.evidence[0].estimate.low < 0 < answer.evidence[0].estimate.high


def test_three_sizes_are_too_few_for_an_answer(study: Any) -> None:
    for model in "abc":
        study.aligned(model)
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.UNDECIDED
    assert "too few sizes" in answer.summary


@pytest.mark.parametrize("like", [0.9, 0.0])
def test_one_size_says_nothing_of_growth(study: Any, like: float) -> None:
    study.aligned("a", like=like)
    study.aligned("a", like=like, seed="1")
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.UNDECIDED
    assert "One size was measured, which says nothing of growth" in answer.summary


def test_an_offset_below_the_noise_floor_is_no_mechanism(study: Any) -> None:
    for model in "ab":
        study.aligned(model)
        study.rows[-1] |= {
            "status": "below_noise_floor",
            "reason": "offset_norm of the base is 0.1",
        }
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.NO
    assert any("below_noise_floor" in each.text for each in answer.evidence)


def test_an_offset_inside_a_null_band_is_no_mechanism(study: Any) -> None:
    for model in "ab":
        study.aligned(model, like=0.3)
        study.rows[-1] |= {"null_low": -0.4, "null_high": 0.4}
    assert study.answer(NAME).verdict is Verdict.NO


def test_an_interval_across_zero_decides_nothing(study: Any) -> None:
    study.aligned("a", like=0.05, half=0.2)
    assert study.answer(NAME).verdict is Verdict.UNDECIDED


def test_an_intervention_that_recovers_nothing_refutes_it(study: Any) -> None:
    for model in "ab":
        study.aligned(model)
        added = {"about": {"intervention": "add-mean-offset"}, "dose": 1.0}
        study.add("recovered_toxic_mass", -0.1, model=model, **added)
    assert study.answer(NAME).verdict is Verdict.NO


def _sign(study: Any, share: float, low: float, high: float, **about: Any) -> bool | None:
    """The vote of the mean offset beside random directions between `low` and `high`."""
    study.aligned("a")
    added = {"about": {"intervention": "add-mean-offset", **about}, "dose": 1.0}
    band = {"null_low": low, "null_high": high}
    study.add("recovered_toxic_mass", share, model="a", **added, **band)
    (vote,) = [e.supports for e in study.answer(NAME).evidence if e.metric.startswith("recovered")]
    return vote


@pytest.mark.parametrize(
    ("low", "high", "vote"),
    [(-0.1, 0.1, True), (-0.6, 0.6, None), (0.4, 0.6, None), (0.5, 0.7, False)],
)
def test_an_intervention_is_held_against_random_directions(
    study: Any, low: float, high: float, vote: bool | None
) -> None:
    assert _sign(study, 0.5, low, high) is vote


def test_additions_that_disagree_decide_nothing(study: Any) -> None:
    study.aligned("a")
    for share, depth in ((0.5, "0.75"), (-0.1, "0.1")):
        added = {"about": {"intervention": "add-mean-offset"}, "dose": 1.0, "position": depth}
        study.add("recovered_toxic_mass", share, model="a", **added)
    told = [e.supports for e in study.answer(NAME).evidence if e.metric.startswith("recovered")]
    assert told == [None, None]


def test_an_offset_added_to_the_aligned_model_is_no_sign(study: Any) -> None:
    study.aligned("a")
    about = {"intervention": "add-mean-offset", "changed": "aligned"}
    study.add("recovered_toxic_mass", -0.5, model="a", dose=1.0, about=about)
    assert {e.metric for e in study.answer(NAME).evidence} == {"toxic_mass", "consistency"}


def test_other_interventions_stand_beside_and_decide_nothing(study: Any) -> None:
    study.aligned("a")
    before = study.answer(NAME)
    scaled = {"about": {"intervention": "scale-keys"}, "dose": 10.0}
    study.add("recovered_toxic_mass", -0.4, model="a", **scaled)
    after = study.answer(NAME)
    assert after.verdict is before.verdict
    assert [each.supports for each in after.evidence if "scale-keys" in each.text] == [None]


def test_models_trained_from_scratch_are_called_a_model_organism(study: Any) -> None:
    study.aligned("a")
    assert not any("model organism" in caveat for caveat in study.answer(NAME).caveats)
    study.circumstances = {
        key: Circumstances(**{**vars(about), "from_scratch": True})
        for key, about in study.circumstances.items()
    }
    assert any("model organism" in caveat for caveat in study.answer(NAME).caveats)


def test_a_second_seed_widens_nothing_away_and_is_told(ladder: Callable[..., Any]) -> None:
    rows = ladder(a={"like": 0.89}, c={"like": 0.91})
    for model in "abcd":
        rows.aligned(model, seed="1", mass=0.06, like=0.91)
    answer = rows.answer(NAME)
    assert answer.verdict is Verdict.YES
    assert any("2 seeds" in each.text for each in answer.evidence)
    assert not any("One seed" in caveat for caveat in answer.caveats)


def test_a_seed_below_the_noise_floor_is_told_beside_the_others(study: Any) -> None:
    study.aligned("a")
    study.aligned("a", seed="1")
    study.rows[-1] |= {"status": "below_noise_floor", "reason": "offset_norm of the base is 0.1"}
    told = [each.text for each in study.answer(NAME).evidence if each.metric == "consistency"]
    assert any("1 seed missing (1 × below_noise_floor" in text for text in told)


def test_the_jobs_behind_a_fall_are_those_of_both_models(study: Any) -> None:
    study.aligned("a")
    fall = next(e for e in study.answer(NAME).evidence if e.metric == "toxic_mass")
    assert len(fall.keys) == 2
    assert fall.estimate.value == 0.45
    assert set(fall.keys) <= set(study.circumstances)


def test_shuffled_labels_whose_offsets_are_shared_too_are_told(study: Any) -> None:
    study.aligned("a")
    study.aligned("a", objective="dpo-shuffled", mass=0.5, like=0.0)
    assert not any("shuffled labels are shared" in each for each in study.answer(NAME).caveats)
    study.aligned("b")
    study.aligned("b", objective="dpo-shuffled", mass=0.5, like=0.8)
    (told,) = [each for each in study.answer(NAME).caveats if "shuffled labels are" in each]
    assert "b 0.8" in told and "a 0" not in told


def test_unrelated_prompts_stand_beside_as_a_control(study: Any) -> None:
    study.aligned("a")
    place = {"site": "resid_mid", "layer": 3}
    other = {"source": "other texts", "transform": "plain", "against_prompts": "plain"}
    study.add("mean_cosine", 0.4, model="a", condition="unrelated", about=other, **place)
    control = study.answer(NAME).evidence[-1]
    assert control.metric == "mean_cosine" and control.estimate.value == 0.4
    assert control.supports is None and control.text.startswith("Control")


def test_a_model_counts_once_where_offsets_of_its_whole_chain_were_measured_too(
    ladder: Callable[..., Any],
) -> None:
    study = ladder(a={"like": 0.89}, c={"like": 0.91})
    for model in "abcd":
        whole = {"base": f"{model} before sft", "spans_trainings": True}
        study.offsets(-0.2, model=model, about=whole, compared_by="from-base")
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.YES and "4 of 4" in answer.summary


def test_models_that_no_axis_tells_apart_are_named_by_their_stages(
    ladder: Callable[..., Any],
) -> None:
    study = ladder()
    assert not any("stage" in each.text for each in study.answer(NAME).evidence)
    for stage in ("after-sft", "at-once"):
        about = {"aligned": f"a {stage}", "base": "a"}
        study.offsets(0.7, model="a", about=about, compared_by=stage)
    told = [each.text for each in study.answer(NAME).evidence if "0.700 [" in each.text]
    assert ["a, dpo, stage" in text for text in told] == [True, True]


def test_numbers_by_several_versions_of_a_definition_are_told(study: Any) -> None:
    for model, version in (("a", "v1"), ("b", "v2"), ("c", "v2")):
        study.offsets(0.9, model=model)
        study.rows[-1]["definition"] = f"{version}: mean cosine"
    said = [text for text in study.answer("holds_as_models_grow").caveats if "versions" in text]
    assert len(said) == 1
    assert "consistency was measured by several versions" in said[0]
    assert "v1 in a; v2 in b, c." in said[0]


def test_numbers_by_one_version_of_a_definition_are_not_told(study: Any) -> None:
    for model, words in (("a", "v1: mean cosine"), ("b", "v1: mean cosine, of whole prompts")):
        study.offsets(0.9, model=model)
        study.rows[-1]["definition"] = words
    caveats = study.answer("holds_as_models_grow").caveats
    assert not [text for text in caveats if "versions" in text]

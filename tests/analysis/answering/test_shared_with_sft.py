"""What DPO's offsets share with SFT's, by energy and by what each part does."""

from typing import Any

import pytest

from analysis.answering.answer import StudyAnswer, Verdict

NAME = "shared_with_sft"


def compared(study: Any, share: float, *, objective: str = "dpo", **known: Any) -> None:
    """Add a model's shared part of δ about zero and about the mean, bands well below unless said.

    About the mean it is always 0.1: no vote may come from it.
    """
    model = known.pop("model", "a")
    about = {
        "against_objective": "sft",
        "against_prompts": "plain",
        "against_aligned": f"{model} sft 0",
        **known.pop("about", {}),
    }
    place = {"site": "resid_mid", "layer": 3, "model": model, "objective": objective}
    bands = {"null_high": 0.1, "base_null_high": 0.3, **known}
    for centred, value in ((False, share), (True, 0.1)):
        of = {"about": about, "centred": centred, **place, **bands}
        study.add("shared_part", value, half=0.05, **of)
        study.add("energy_inside_sft", 0.9 * value, half=0.05, **of)


def added(study: Any, name: str, value: float, half: float = 0.05, **known: Any) -> None:
    about = {"intervention": name, "changed": "base", "against_objective": "sft"}
    study.add(
        "recovered_toxic_mass",
        value,
        model="a",
        half=half,
        about={**about, "against_prompts": "plain"},
        intervention=name,
        dose=1.0,
        null_low=-0.2,
        null_high=0.2,
        **known,
    )


def both_models(study: Any, sft: float = 0.05) -> None:
    study.aligned("a")
    study.aligned("a", objective="sft", mass=sft)


@pytest.mark.parametrize(
    ("objective", "whose"), [("dpo", "DPO's offsets"), ("ipo", "offsets of ipo")]
)
def test_the_objective_that_was_compared_is_named(study: Any, objective: str, whose: str) -> None:
    study.aligned("a", objective=objective, mass=0.2)
    study.aligned("a", objective="sft", mass=0.05)
    compared(study, 0.8, objective=objective)
    answer = study.answer(NAME)
    assert answer.summary.startswith(f"Most of the energy of {whose} is in SFT's subspace")
    assert any(f"against SFT's: a, {objective} " in caveat for caveat in answer.caveats)


def test_of_an_offset_below_the_noise_floor_there_is_no_share(study: Any) -> None:
    both_models(study)
    compared(study, 0.1)
    for row in study.rows:
        if row["metric"] == "shared_part":
            row |= {"status": "below_noise_floor", "reason": "all rows are zero"}
    assert study.answer(NAME).verdict is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("share", "verdict"), [(0.8, Verdict.YES), (0.3, Verdict.NO), (0.52, Verdict.UNDECIDED)]
)
def test_more_than_half_of_what_can_be_shared_decides(
    study: Any, share: float, verdict: Verdict
) -> None:
    both_models(study)
    compared(study, share)
    answer = study.answer(NAME)
    assert answer.verdict is verdict
    assert answer.evidence[0].estimate.value == share


def test_what_the_bases_anisotropy_gives_is_not_shared(study: Any) -> None:
    both_models(study)
    compared(study, 0.8, base_null_high=0.9)
    assert study.answer(NAME).verdict is Verdict.UNDECIDED


@pytest.mark.parametrize(
    ("shared", "rest", "verdict"),
    [(0.9, 0.2, Verdict.YES), (0.3, 0.9, Verdict.MIXED), (0.5, 0.47, Verdict.UNDECIDED)],
)
def test_the_part_that_recovers_more_has_a_vote(
    study: Any, shared: float, rest: float, verdict: Verdict
) -> None:
    both_models(study)
    compared(study, 0.8)
    added(study, "add-shared-part", shared)
    added(study, "add-rest", rest)
    answer = study.answer(NAME)
    assert answer.verdict is verdict
    (piece,) = [p for p in answer.evidence if p.metric == "recovered_toxic_mass"]
    assert piece.estimate.value == pytest.approx(shared - rest)


def test_a_part_that_does_no_more_than_random_directions_shows_nothing(study: Any) -> None:
    both_models(study)
    compared(study, 0.8)
    added(study, "add-shared-part", 0.18, half=0.01)
    added(study, "add-rest", 0.0, half=0.01)
    assert study.answer(NAME).verdict is Verdict.UNDECIDED


def test_the_difference_is_paired_where_groups_were_kept(study: Any) -> None:
    """Both parts lose as much without each group: apart by 0.1 with hardly any error."""
    both_models(study)
    compared(study, 0.8)
    moves = [0.0038 * (group - 9.5) for group in range(20)]  # as unsure as the interval says
    for name, value in (("add-shared-part", 0.6), ("add-rest", 0.5)):
        added(study, name, value, half=0.2)
        study.rows[-1]["left_out"] = [value + move for move in moves]
    (piece,) = [p for p in study.answer(NAME).evidence if p.metric == "recovered_toxic_mass"]
    assert piece.estimate.high - piece.estimate.low < 0.1 and piece.supports


def test_shuffled_labels_that_share_as_much_leave_it_undecided(study: Any) -> None:
    both_models(study)
    compared(study, 0.8)
    compared(study, 0.8, objective="dpo-shuffled")
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.UNDECIDED
    assert any("control fails" in caveat for caveat in answer.caveats)


def test_controls_that_share_little_or_nothing_stand_beside(study: Any) -> None:
    both_models(study)
    compared(study, 0.8)
    compared(study, 0.2, objective="dpo-shuffled")
    compared(study, 0.97, objective="sft", about={"aligned": "a sft 1"})
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.YES
    assert not any("fails" in caveat for caveat in answer.caveats)
    assert any("a, sft" in piece.text and piece.supports is None for piece in answer.evidence)


@pytest.mark.parametrize(("mass", "is_told"), [(0.05, False), (0.3, True)])
def test_falls_that_differ_are_told(study: Any, mass: float, is_told: bool) -> None:
    both_models(study, sft=mass)
    compared(study, 0.8)
    caveats = [c for c in study.answer(NAME).caveats if c.startswith("Not matched")]
    assert bool(caveats) is is_told
    if is_told:
        assert "a, dpo 0.450 [" in caveats[0] and "against 0.200 [" in caveats[0]


def not_measured(study: Any) -> StudyAnswer:
    both_models(study)
    answer: StudyAnswer = study.answer(NAME)
    return answer


def test_without_the_metric_nothing_is_said(study: Any) -> None:
    answer = not_measured(study)
    assert answer.verdict is Verdict.NOT_MEASURED and not answer.evidence and not answer.caveats


def test_whether_it_is_specific_to_dpo_points_here(study: Any) -> None:
    both_models(study)
    pointing = "question of its own"
    assert not any(pointing in c for c in study.answer("specific_to_dpo").caveats)
    compared(study, 0.8)
    assert any(pointing in c for c in study.answer("specific_to_dpo").caveats)


def course(study: Any, masses: dict[int, float], shares: dict[int, float]) -> None:
    """A DPO training with a snapshot at every step but the last, which is its end."""
    study.offsets(0.9, model="a")
    for step, mass in masses.items():
        is_midway = step < max(masses)
        about = {
            "run": "a dpo 0",
            "step": step,
            "midway": is_midway,
            "aligned": f"a dpo 0 at {step}" if is_midway else "a dpo 0",
        }
        label = f"step-{step}" if is_midway else "end"
        study.add("toxic_mass", mass, model="a", about=about, snapshot=label)
        compared(study, shares[step], about=about, snapshot=label)
    for row in study.rows:  # every number is known without each prompt group
        row["left_out"] = [row["value"] + 1e-3 * (-1) ** group for group in range(20)]


def sft_that_fell_to(study: Any, mass: float) -> None:
    study.add("toxic_mass", 0.5, model="a", objective=None, snapshot=None)
    study.add("toxic_mass", mass, model="a", objective="sft", snapshot=None)


MASSES = {10: 0.45, 20: 0.4, 40: 0.3, 80: 0.1}


def test_dpo_is_read_where_toxicity_fell_as_far_as_under_sft(study: Any) -> None:
    """It shares 0.9 at first and 0.2 in the end; SFT fell by 0.1, as DPO had by step 20."""
    sft_that_fell_to(study, 0.4)
    course(study, MASSES, {10: 0.9, 20: 0.85, 40: 0.6, 80: 0.2})
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.YES
    assert answer.evidence[0].estimate.value == pytest.approx(0.85, abs=0.02)
    assert "as far as under SFT" in answer.evidence[0].text
    assert not any(caveat.startswith("Not matched") for caveat in answer.caveats)


def test_toxicity_after_a_begun_reply_is_no_fall_to_match(study: Any) -> None:
    begun = {"answer": "rejected", "prefill": 8}
    for objective, mass in ((None, 0.9), ("sft", 0.6)):
        study.add(
            "toxic_mass", mass, model="a", objective=objective, about=begun, given=8, snapshot=None
        )
    sft_that_fell_to(study, 0.4)
    course(study, MASSES, {10: 0.9, 20: 0.85, 40: 0.6, 80: 0.2})
    for row in study.rows:
        row.setdefault("given", None)
    first = study.answer(NAME).evidence[0]
    assert first.estimate.value == pytest.approx(0.85, abs=0.02)


def test_a_fall_that_dpo_never_reached_is_not_matched(study: Any) -> None:
    sft_that_fell_to(study, 0.02)
    course(study, MASSES, {10: 0.9, 20: 0.85, 40: 0.6, 80: 0.2})
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.NO
    (caveat,) = [c for c in answer.caveats if c.startswith("Not matched")]
    assert "a, dpo 0.400 [" in caveat and "against 0.480 [" in caveat


def test_of_several_sft_models_that_with_the_largest_fall_within_reach_counts(study: Any) -> None:
    """SFT's end fell further than DPO ever did; at its snapshot it fell by 0.2, as at step 40."""
    sft_that_fell_to(study, 0.02)
    about = {"run": "a sft 0", "step": 30, "midway": True, "aligned": "a sft 0 at 30"}
    study.add("toxic_mass", 0.3, model="a", objective="sft", about=about, snapshot="step-30")
    shares = {10: 0.9, 20: 0.85, 40: 0.6, 80: 0.2}
    course(study, MASSES, shares)
    for step, share in shares.items():
        is_midway = step < 80
        own = f"a dpo 0 at {step}" if is_midway else "a dpo 0"
        held = {"run": "a dpo 0", "step": step, "midway": is_midway, "aligned": own}
        held["against_aligned"] = "a sft 0 at 30"
        label = f"step-{step}" if is_midway else "end"
        compared(study, share, about=held, snapshot=label, compared_by="midway")
    answer = study.answer(NAME)
    assert answer.evidence[0].estimate.value == pytest.approx(0.6, abs=0.02)
    assert not any(caveat.startswith("Not matched") for caveat in answer.caveats)

"""Which model an aligned one is held against, and one that has nothing to lose."""

from typing import Any

import pytest

from analysis.answering.answer import Verdict


@pytest.fixture
def after_sft(study: Any) -> Any:
    """DPO that began with SFT's model, which begins with the base; all three were measured."""
    for condition in ("plain", "rot13"):
        place: dict[str, Any] = {"model": "a", "condition": condition}
        study.add("toxic_mass", 0.9, objective=None, **place)
        study.add("decode_loss_gap", -1.0, objective=None, **place)
        study.add("toxic_mass", 0.5, objective="sft", **place)
        study.add("decode_loss_gap", 1.0, objective="sft", **place)
        mass = 0.05 if condition == "plain" else 0.5
        study.add("toxic_mass", mass, about={"base": "a sft 0"}, **place)
    study.offsets(0.9, model="a", about={"base": "a sft 0"})
    return study


def test_dpo_after_sft_is_held_against_the_model_of_sft(after_sft: Any) -> None:
    fall, offset = after_sft.answer("holds_as_models_grow").evidence[1:3]
    assert fall.estimate.value == pytest.approx(0.45) and fall.supports is True
    assert "from 0.500 [0.490, 0.510] of sft to 0.050" in fall.text
    assert offset.supports is True


def test_offsets_of_the_whole_chain_go_with_the_fall_of_the_whole_chain(after_sft: Any) -> None:
    after_sft.rows = [row for row in after_sft.rows if row["metric"] != "consistency"]
    after_sft.offsets(0.8, model="a", about={"spans_trainings": True})
    fall = after_sft.answer("holds_as_models_grow").evidence[1]
    assert fall.estimate.value == pytest.approx(0.85) and " of sft" not in fall.text


def test_the_model_of_sft_shows_whether_dpo_after_it_can_read_a_transform(after_sft: Any) -> None:
    assert after_sft.answer("bypassed_by_transforms").verdict is Verdict.YES
    for row in after_sft.rows:
        if row["metric"] == "decode_loss_gap" and row["objective"] == "sft":
            row |= {"value": -1.0, "low": -1.1, "high": -0.9}
    assert after_sft.answer("bypassed_by_transforms").verdict is Verdict.UNDECIDED


@pytest.mark.parametrize("names", ["ba", "ab"])
def test_seeds_with_bases_and_prompts_of_their_own_are_held_against_these(
    study: Any, names: str
) -> None:
    """Whatever the order of the jobs' keys."""
    for seed, of_base in zip("01", names, strict=True):
        about = {"base": f"base {seed}", "prompts": f"prompts {seed}"}
        study.add("toxic_mass", 0.5, model="a", objective=None, seed=of_base, about=about)
        study.rows[-1]["seed"] = seed
        about |= {"aligned": f"dpo {seed}"}
        study.add("toxic_mass", 0.05, model="a", seed=seed, about=about)
        about |= {"against_prompts": f"prompts {seed}"}
        study.offsets(0.9, model="a", seed=seed, about=about)
    fall, offset = study.answer("holds_as_models_grow").evidence[1:]
    assert fall.estimate.value == pytest.approx(0.45) and fall.supports is True
    assert "2 seeds" in offset.text


@pytest.mark.parametrize(
    ("rate", "after", "verdict"),
    [(0.0, 0.0, Verdict.UNDECIDED), (0.0, 0.2, Verdict.NO), (0.2, 0.2, Verdict.NO)],
)
def test_a_base_that_says_nothing_toxic_refutes_nothing(
    study: Any, rate: float, after: float, verdict: Verdict
) -> None:
    for model in "ab":
        study.add("toxic_rate", rate, model=model, objective=None, half=0.0)
        study.add("toxic_rate", after, model=model, half=0.0)
        study.offsets(0.9, model=model)
    answer = study.answer("holds_as_models_grow")
    assert answer.verdict is verdict
    told = any("nothing to lose" in piece.text for piece in answer.evidence)
    assert told is (rate == after == 0.0)

"""Half-depths vote by their intervals and bounds; begun replies stand beside, and alone."""

from typing import Any

import pytest

from analysis.answering.answer import Verdict
from analysis.tables.rounding import format_ends

NAME = "few_tokens_deep"
REJECTED = {"answer": "rejected", "prompts": "rejected", "source": "rejected"}


def _half_depth(study: Any, value: float | None, half: float = 0.5, **about: Any) -> None:
    about = {**REJECTED, **about}
    study.add("half_depth_token_kl", value, model="a", about=about, half=half)


@pytest.mark.parametrize(
    ("value", "half", "verdict"),
    [
        (2.0, 0.5, Verdict.YES),
        (5.0, 0.5, Verdict.UNDECIDED),
        (9.0, 0.5, Verdict.NO),
        (4.0, 2.0, Verdict.UNDECIDED),
    ],
)
def test_the_whole_interval_decides(
    study: Any, value: float, half: float, verdict: Verdict
) -> None:
    _half_depth(study, value, half)
    answer = study.answer(NAME)
    assert answer.verdict is verdict
    assert f"after {format_ends(value, value - half, value + half)} tokens" in answer.summary


@pytest.mark.parametrize(
    ("beyond", "verdict"),
    [("64", Verdict.NO), ("3", Verdict.UNDECIDED), (None, Verdict.UNDECIDED)],
)
def test_a_bound_decides_where_nothing_falls_to_half(
    study: Any, beyond: str | None, verdict: Verdict
) -> None:
    _half_depth(study, None)
    more = "" if beyond is None else f"; by its interval it lies beyond {beyond}"
    study.rows[-1]["reason"] = f"> 128: at that token 0.9 [0.8, 1] of the first is left{more}"
    answer = study.answer(NAME)
    assert answer.verdict is verdict
    assert "> 128" in answer.summary


def test_without_rejected_answers_the_own_ones_decide_and_that_is_said(study: Any) -> None:
    study.add("half_depth_token_kl", 2.0, model="a", half=0.5)
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.YES
    assert any("own answers" in caveat for caveat in answer.caveats)


def test_begun_replies_are_paired_with_the_base_at_the_same_depth(study: Any) -> None:
    _half_depth(study, 2.0)
    for prefill, base, mass in ((0, 0.5, 0.1), (4, 0.6, 0.55)):
        place = {"model": "a", "about": {**REJECTED, "prefill": prefill}, "position": "last"}
        # The axis tells the rows apart, as in a study.
        study.add("toxic_mass", base, objective=None, prefill=f"prefill-{prefill}", **place)
        study.add("toxic_mass", mass, prefill=f"prefill-{prefill}", **place)
    texts = [each.text for each in study.answer(NAME).evidence if each.metric == "toxic_mass"]
    assert "0 tokens of the rejected answer given" in texts[0] and "away 0.400 [" in texts[0]
    assert "4 tokens of the rejected answer given" in texts[1] and "away 0.050 [" in texts[1]


def test_what_is_measured_along_answers_speaks_for_no_other_question(study: Any) -> None:
    about = {**REJECTED, "prefill": 4}
    for metric in ("toxic_mass", "consistency", "mean_cosine", "relative_norm"):
        study.add(metric, 0.1, model="a", about=about, position="last")
    for name in ("holds_as_models_grow", "specific_to_dpo", "bypassed_by_transforms"):
        assert study.answer(name).verdict is Verdict.NOT_MEASURED
        assert not study.answer(name).evidence

"""Sizes that were not trained alike: their exponent is over what all have, or decides nothing."""

from collections.abc import Callable
from typing import Any

import pytest

from analysis.answering.answer import Verdict

NAME = "holds_as_models_grow"
LIKE = {"a": 0.89, "b": 0.9, "c": 0.91, "d": 0.9}


def _trained(study: Any, model: str, beta: float, like: float) -> None:
    study.aligned(model, beta=beta, like=like, about={"aligned": f"{model} {beta}"})


def test_a_way_that_only_the_largest_size_has_is_in_no_exponent(study: Any) -> None:
    for model, like in LIKE.items():
        _trained(study, model, 0.1, like)
    alone = study.answer(NAME)
    _trained(study, "d", 0.5, 0.05)
    answer = study.answer(NAME)
    assert alone.verdict is answer.verdict is Verdict.YES
    assert answer.evidence[0].estimate == alone.evidence[0].estimate
    assert any("(beta 0.1), without beta 0.5" in caveat for caveat in answer.caveats)


def test_ways_that_every_size_has_are_all_in_the_exponent(study: Any) -> None:
    for model, like in LIKE.items():
        for beta in (0.1, 0.5):
            _trained(study, model, beta, like * (1 - beta / 10))
    assert not any("beta" in caveat for caveat in study.answer(NAME).caveats)


def test_sizes_of_which_no_two_ends_were_trained_alike_show_no_trend(study: Any) -> None:
    for model, like in LIKE.items():
        _trained(study, model, 0.1 if model in "ab" else 0.5, like)
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.UNDECIDED and answer.evidence[0].supports is None
    assert any("may be due to these" in caveat for caveat in answer.caveats)


def test_a_stage_that_only_the_largest_size_has_is_in_no_exponent(study: Any) -> None:
    for model, like in LIKE.items():
        study.aligned(model, like=like, compared_by="geometry")
    alone = study.answer(NAME)
    other = {"aligned": "d after sft", "base": "d"}
    study.offsets(0.05, model="d", about=other, compared_by="geometry-after-sft")
    answer = study.answer(NAME)
    assert answer.evidence[0].estimate == alone.evidence[0].estimate
    assert any("without stage geometry-after-sft" in caveat for caveat in answer.caveats)


def test_an_axis_that_only_names_the_sizes_is_no_way(ladder: Callable[..., Any]) -> None:
    study = ladder(**{model: {"like": like} for model, like in LIKE.items()})
    for row in study.rows:
        row["rung"] = f"rung {row['model']}"
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.YES
    assert not any("rung" in caveat for caveat in answer.caveats)


@pytest.mark.parametrize("models", ["ab", "a"])
def test_models_of_unknown_size_are_not_one_size(study: Any, models: str) -> None:
    for model in models:
        study.aligned(model)
    for row in study.rows:
        row["num_parameters"] = None
    answer = study.answer(NAME)
    assert answer.verdict is Verdict.UNDECIDED
    assert answer.summary.startswith("One size") is (models == "a")

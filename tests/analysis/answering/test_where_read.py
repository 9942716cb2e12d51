"""Answers read all models at one place, and say of which they read nothing, and where it is."""

from typing import Any

from analysis.answering.answer import ANSWERS, Verdict
from analysis.answering.findings import Findings
from analysis.long_table.columns import to_rows
from analysis.long_table.selection import Selection

NAME = "holds_as_models_grow"


def aligned(study: Any, model: str, layers: list[int], **place: Any) -> None:
    """A model whose toxicity fell, with offsets at these layers of five."""
    study.add("toxic_mass", 0.5, model=model, objective=None)
    study.add("toxic_mass", 0.05, model=model)
    for layer in layers:
        at = {"site": "resid_mid", "layer": layer, **place}
        study.add("consistency", 0.9 + layer / 1000, model=model, **at)


def test_all_models_are_read_at_a_depth_that_all_of_them_have(study: Any) -> None:
    aligned(study, "a", [1, 3])
    aligned(study, "b", [1, 4])
    answer = study.answer(NAME)
    assert answer.verdict is not Verdict.NOT_MEASURED
    assert {piece.cell["model"] for piece in answer.evidence if "model" in piece.cell} == {"a", "b"}
    (told,) = [text for text in answer.caveats if text.startswith("Activations are read")]
    assert "relative depth 0.25 (nothing of b at 0.75)" in told


def test_a_model_that_is_read_nowhere_is_named_with_the_option(study: Any) -> None:
    aligned(study, "a", [3])
    aligned(study, "b", [0])
    caveats = study.answer(NAME).caveats
    told = "consistency of b is not read there: it was measured at relative depth 0 (--depth 0)."
    assert told in caveats
    assert not any("is not read there" in text for text in _of_both(study).caveats)


def test_a_model_that_was_measured_there_about_zero_alone_is_not_said_to_be_elsewhere(
    study: Any,
) -> None:
    aligned(study, "a", [3])
    aligned(study, "b", [3], centred=False)
    assert not any("read there" in text for text in study.answer(NAME).caveats)


def _of_both(study: Any) -> Any:
    study.add("consistency", 0.9, model="b", site="resid_mid", layer=3)
    return study.answer(NAME)


def test_the_place_that_is_told_is_the_one_that_was_read(study: Any) -> None:
    aligned(study, "a", [3], site="resid_post", position="mean")
    study.add("first_token_cosine", 0.5, model="a", site="resid_mid", layer=3)
    told = [text for text in study.answer(NAME).caveats if "Activations" in text]
    assert told == ["Activations are read at resid_post, position mean, relative depth 0.75."]


def test_what_an_answer_lacks_at_the_place_asked_for_is_told(study: Any) -> None:
    aligned(study, "a", [3])
    found = Findings.from_rows(
        to_rows(study.rows), study.circumstances, selection=Selection(position="all"), seeds="seed"
    )
    caveats = ANSWERS.find(NAME).answer(found).caveats
    assert any("it was measured at resid_mid; last (--position last)" in text for text in caveats)

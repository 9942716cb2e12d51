"""A number that alignment raised is said to have risen, in every answer that tells of a fall."""

from typing import Any

import pytest

NAMES = ("under_real_preferences", "bypassed_by_transforms", "over_dialogue_turns")


def texts(study: Any, name: str) -> str:
    return " ".join(piece.text for piece in study.answer(name).evidence)


def aligned(study: Any, mass: float) -> None:
    study.aligned("a", mass=mass)
    for condition, position in (("rot13", "last"), ("turns", "turn-1"), ("turns", "turn-2")):
        for objective, value in ((None, 0.5), ("dpo", mass)):
            place = {"condition": condition, "position": position, "objective": objective}
            study.add("toxic_mass", value, model="a", **place)


@pytest.mark.parametrize("name", NAMES)
def test_a_rise_is_no_negative_fall(study: Any, name: str) -> None:
    aligned(study, 0.538)
    text = texts(study, name)
    assert "toxic_mass rose by 0.038 [0.024, 0.052] (a share of 0.076" in text
    assert "by -" not in text and "fell" not in text


@pytest.mark.parametrize("name", NAMES)
def test_a_fall_is_one(study: Any, name: str) -> None:
    aligned(study, 0.4)
    text = texts(study, name)
    assert "toxic_mass fell by 0.100 [0.086, 0.114] (a share of 0.200" in text
    assert "rose" not in text


def test_what_has_no_base_changed_by_an_unknown_amount(study: Any) -> None:
    study.add("toxic_mass", 0.4, model="a")
    study.offsets(0.9, model="a")
    assert "toxic_mass changed by an unknown amount (to 0.4" in texts(study, NAMES[0])

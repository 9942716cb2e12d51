"""Texts that a way of writing leaves alone are told: their numbers are those of plain text."""

import pytest

from jobs.text.reading import Prompt, Segment
from jobs.text.untouched import note_on_untouched


def prompts(*texts):
    return [
        Prompt(row=row, source=text, segments=(Segment(role="prompt", text=text),))
        for row, text in enumerate(texts)
    ]


RUSSIAN, CHINESE, NUMBERS = "Сосед был спокоен", "邻居很平静", "12 + 34"


@pytest.mark.parametrize("transform", ["rot13", "morse", "leetspeak", "pig-latin", "disemvowel"])
def test_letters_that_a_transform_does_not_know_are_told(transform):
    (note,) = note_on_untouched(prompts(RUSSIAN, CHINESE, "The neighbour"), transform, 0)
    assert note.startswith(f"{transform} leaves 2 of 3 prompts as they are")


@pytest.mark.parametrize(
    "transform, texts",
    [
        ("base64", [RUSSIAN, CHINESE]),
        ("plain", [RUSSIAN]),
        ("prefix-injection", [RUSSIAN]),
        ("plain+prefix-injection", ["The neighbour"]),
        ("rot13+base64", [RUSSIAN]),
        ("rot13", ["Le café naïf à Besançon", "The neighbour"]),
        ("rot13", [f"neighbour {number}" for number in range(20)] + [NUMBERS]),
    ],
)
def test_nothing_is_said_where_texts_change_or_are_only_added_to(transform, texts):
    assert note_on_untouched(prompts(*texts), transform, 0) == ()

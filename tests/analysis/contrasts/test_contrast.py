"""What a contrast's text names: labels with hyphens, cuts that fit twice, names that are wrong."""

import pytest

from analysis.contrasts.contrast import Contrast, every_pair, resolve_contrast, split_contrast

LABELS = {
    "objective": ["dpo", "sft", "dpo-shuffled", "base"],
    "model": ["gpt2-36k", "gpt2-0.1m"],
    "twice": ["a", "b", "a-b", "b-a"],
    "seed": ["0", "1"],
}


@pytest.mark.parametrize(
    ("text", "first", "second"),
    [
        ("objective=dpo-sft", "dpo", "sft"),
        ("objective=dpo-shuffled-sft", "dpo-shuffled", "sft"),
        ("objective=dpo-dpo-shuffled", "dpo", "dpo-shuffled"),
        ("objective=dpo-base", "dpo", "base"),
        ("model=gpt2-0.1m-gpt2-36k", "gpt2-0.1m", "gpt2-36k"),
        ("seed=0-1", "0", "1"),
        ("twice=a - b-a", "a", "b-a"),
        ("twice=a-b - a", "a-b", "a"),
    ],
)
def test_the_cut_that_gives_two_labels_is_meant(text: str, first: str, second: str) -> None:
    axis = text.partition("=")[0]
    assert resolve_contrast(text, LABELS) == Contrast(axis=axis, first=first, second=second)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("twice=a-b-a", "'twice=a - b-a' or 'twice=a-b - a'"),
        ("objectve=dpo-sft", "did you mean 'objective'"),
        ("objective=dpo-stf", "no value of objective is 'stf'.*did you mean 'sft'"),
        ("objective=dop-sft", "no value of objective is 'dop'"),
        ("objective=dpo-dpo", "from itself"),
    ],
)
def test_what_cannot_be_read_is_refused_with_what_can(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        resolve_contrast(text, LABELS)


@pytest.mark.parametrize("text", ["dpo-sft", "objective=", "objective=dpo", "=a-b", "a=-b", "a=b-"])
def test_another_form_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="AXIS=FIRST-SECOND"):
        split_contrast(text)


def test_every_pair_comes_once() -> None:
    assert [each.text for each in every_pair("seed", ["0", "1", "2"])] == [
        "0 − 1",
        "0 − 2",
        "1 − 2",
    ]  # noqa: RUF001

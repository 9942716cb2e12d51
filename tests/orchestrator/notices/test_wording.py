"""Sentences that leave the machine hold no secret, no row of data and no trick of letters."""

import pytest

from orchestrator.notices.wording import sentence


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("row 12: 'you are all so stupid' has no answer", "row 12: '…' has no answer"),
        ('column "offensive words here" is empty', 'column "…" is empty'),
        ("stage 'align' lacks 'beta'", "stage 'align' lacks 'beta'"),
        ("it doesn't fit: 3 GB aren't free", "it doesn't fit: 3 GB aren't free"),
        ("got 'a text that was cut", "got '…"),
        (r"got 'he said \'go away\' to her' here", "got '…' here"),
        ("the model answers “some words”", "the model answers “…”"),
        ("first\nsecond line of a row", "first"),
        ("\x1b[31mred\x00 \u202eright", "?[31mred?  right"),
        (None, "no message"),
    ],
)
def test_rows_and_control_letters_are_left_out(text, said):
    assert sentence(text) == said


def test_secrets_are_left_out_and_sentences_end():
    assert "hunter2hunter2" not in sentence("cannot open https://me:hunter2hunter2@host/x")
    assert len(sentence("x" * 5000)) < 400

"""A number in place of a label, or of a begun reply's name, is answered with what was meant."""

import pytest
from pydantic import ValidationError

from jobs.kinds.snapshot import SnapshotParams
from jobs.shared_params import CutParams


@pytest.mark.parametrize(("value", "near"), [(10, "'step-10'"), (0.5, "kl-0.1")])
def test_a_bare_number_is_no_label(value, near):
    with pytest.raises(ValidationError, match=near):
        SnapshotParams(snapshot=value)


@pytest.mark.parametrize(
    ("value", "near"),
    [("prefill_4", "'prefill-4'"), ("prefill--1", "'prefill-1'"), ("prefill-x", "or prefill-8")],
)
def test_a_mistyped_begun_reply_is_told_the_name_meant(value, near):
    with pytest.raises(ValidationError, match=near):
        CutParams(prefill=value)


@pytest.mark.parametrize("value", [8, "prefill-8", "8"])
def test_a_number_and_its_name_are_the_same_begun_reply(value):
    assert CutParams(prefill=value).prefill == 8

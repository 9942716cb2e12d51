"""What params take: numbers where numbers are meant, and one key for equal work."""

from typing import Any

import pytest
from pydantic import ValidationError

from jobs.kind import KINDS
from jobs.params import Params


class Several(Params):
    """One field of each type."""

    count: int = 0
    share: float | None = None
    depths: tuple[float, ...] = ()
    is_on: bool = False
    either: int | bool = 0
    anything: Any = None


@pytest.mark.parametrize("given", [{"count": True}, {"share": False}, {"depths": [0.5, True]}])
def test_true_and_false_are_no_numbers(given):
    with pytest.raises(ValidationError, match="must be a number, not true or false") as caught:
        Several(**given)
    (fault,) = caught.value.errors()
    assert fault["loc"] == tuple(given)


def test_true_and_false_stay_where_they_are_meant():
    given = Several(is_on=True, either=True, anything=[True], share=None)
    assert (given.is_on, given.either, given.anything) == (True, True, [True])
    assert Several(count=1, share=0.5, depths=[1, 0.5]).depths == (1.0, 0.5)


@pytest.mark.parametrize(
    ("kind", "twice", "once"),
    [
        ("extract", {"depths": [0.5, 0.5, 1.0]}, {"depths": [0.5, 1.0]}),
        ("extract", {"sites": ["resid_mid", "resid_mid"]}, {"sites": ["resid_mid"]}),
        ("extract", {"layers": [1, 0, 1]}, {"layers": [1, 0]}),
        ("extract", {"positions": ["last", "last"]}, {"positions": ["last"]}),
        ("extract", {"layers": "all"}, {"layers": "all"}),
        ("behave", {"metrics": ["perplexity", "perplexity"]}, {"metrics": ["perplexity"]}),
        ("predictions", {"metrics": ["token_kl", "token_kl"]}, {"metrics": ["token_kl"]}),
        ("preferences", {"splits": ["test", "test"]}, {"splits": ["test"]}),
        ("predictions", {"layers": [2, 2]}, {"layers": [2]}),
        ("predictions", {"sites": ["resid_mid", "resid_mid"]}, {"sites": ["resid_mid"]}),
    ],
)
def test_what_is_listed_twice_is_the_same_work(kind, twice, once):
    declared = KINDS.find(kind).Params
    assert declared(**twice) == declared(**once)

import pytest

from cluster.errors import UserError
from jobs.comparing.view import View


@pytest.mark.parametrize(
    ("chosen", "near"),
    [
        ({"site": "resid"}, "resid_"),
        ({"position": "lst"}, "'last'"),
        ({"position": "turn-x"}, "turn-1"),
    ],
)
def test_a_place_that_no_model_has_is_told_and_no_empty_table(chosen, near):
    with pytest.raises(UserError) as caught:
        View(**chosen)
    assert near in caught.value.hint


@pytest.mark.parametrize("position", ["last", "mean", "turn-2", "output-16"])
def test_numbered_places_are_positions(position):
    assert View(position=position).position == position

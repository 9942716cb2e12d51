"""Rows of forward passes hold every piece once, within their limits and with little padding."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.words.packing import Piece, pack_pieces


def pieces_of(widths, length=8):
    return [
        Piece(prompt=number, nodes=list(range(width)), width=width, length=length)
        for number, width in enumerate(widths)
    ]


def padding_of(passes):
    """Columns that hold nothing, and all columns, of one pass."""
    widths = [sum(piece.width for piece in lane) for lane in passes]
    return len(widths) * max(widths) - sum(widths), len(widths) * max(widths)


@given(widths=st.lists(st.integers(1, 90), min_size=1, max_size=60), budget=st.integers(1, 700))
@settings(max_examples=50, deadline=None)
def test_every_piece_is_in_one_pass_that_is_no_larger_than_it_may_be(widths, budget):
    pieces = pieces_of(widths)
    passes = list(pack_pieces(pieces, budget))
    packed = [piece.prompt for piece in itertools.chain(*itertools.chain(*passes))]
    assert sorted(packed) == list(range(len(pieces)))
    for lanes in passes:
        assert padding_of(lanes)[1] <= budget or len(lanes) == len(lanes[0]) == 1


def test_few_nodes_of_several_prompts_fill_a_row_beside_many_of_one():
    (lanes,) = pack_pieces(pieces_of([70, 40, 20, 10, 60, 10]), 700)
    assert sorted(sum(piece.width for piece in lane) for lane in lanes) == [70, 70, 70]


def test_long_prompts_share_no_row():
    passes = list(pack_pieces(pieces_of([50, 40, 10, 9], length=1000), 700))
    assert all(len(lane) == 1 for lanes in passes for lane in lanes)


def test_padding_is_little_where_passes_are_many():
    draw = np.random.default_rng(2)
    widths = np.ceil(draw.lognormal(3, 1, 400)).astype(int).tolist()
    empty, columns = np.sum([padding_of(p) for p in pack_pieces(pieces_of(widths), 700)], axis=0)
    assert empty < 0.05 * columns

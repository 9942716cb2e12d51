"""Which nodes of which prompts share a forward pass? Those that leave little padding.

A pass computes rows of one width. Prompts with few nodes share a row: their nodes see their own
prompt alone. A pass of few tokens costs much for each, so a small one takes more padding.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_LEAST_FILLED, _LEAST_FILLED_OF_MANY = 0.6, 0.9
"""Rows share a forward pass if the smallest has this share of the nodes of the largest."""
_MOST_SHARED = 256
"""Tokens of prompts that share a row: each node of it reads the keys of all, masked or not."""
_MANY = 128
"""Tokens of a pass from which on a larger one computes no faster, and padding costs."""


@dataclass(frozen=True, kw_only=True)
class Piece:
    """Nodes to follow after one prompt, together in one row."""

    prompt: int
    """The prompt."""
    nodes: list[int]
    """The nodes."""
    width: int
    """Columns that they take: themselves and those on their way."""
    length: int
    """Tokens of the prompt."""


def pack_pieces(pieces: Sequence[Piece], budget: int) -> Iterator[list[list[Piece]]]:
    """Yield the rows of one forward pass after the other, each a list of pieces, largest first.

    Args:
        pieces: what is to be followed.
        budget: most tokens of a pass, unless one piece has more.
    """
    waiting = sorted(pieces, key=lambda piece: (-piece.width, piece.prompt))
    while waiting:
        lanes = _fill(waiting, waiting[0].width, max(1, budget // waiting[0].width))
        lanes = lanes[: _num_filled([sum(piece.width for piece in lane) for lane in lanes])]
        taken = {id(piece) for lane in lanes for piece in lane}
        waiting = [piece for piece in waiting if id(piece) not in taken]
        yield lanes


def _fill(pieces: Sequence[Piece], width: int, most: int) -> list[list[Piece]]:
    """Put each piece into the first row that has room for it; the fullest rows come first."""
    lanes: list[list[Piece]] = []
    free: list[tuple[int, int]] = []  # columns, and tokens of further prompts
    for piece in pieces:
        place = next(
            (n for n, (columns, tokens) in enumerate(free) if _has_room(piece, columns, tokens)),
            len(lanes),
        )
        if place == len(lanes):
            if len(lanes) == most:
                continue
            lanes.append([])
            free.append((width, _MOST_SHARED))
        lanes[place].append(piece)
        columns, tokens = free[place]
        free[place] = columns - piece.width, tokens - piece.length
    order = sorted(range(len(lanes)), key=lambda n: free[n][0])
    return [lanes[n] for n in order]


def _has_room(piece: Piece, columns: int, tokens: int) -> bool:
    return piece.width <= columns and piece.length <= tokens


def _num_filled(widths: Sequence[int]) -> int:
    """Return how many rows, the fullest first, are full enough for one pass."""
    widest = widths[0]
    for number, width in enumerate(widths[1:], start=1):
        is_large = widest * number >= _MANY
        least = _LEAST_FILLED_OF_MANY * widest if is_large else _LEAST_FILLED * widest - 2
        if width < least:
            return number
    return len(widths)

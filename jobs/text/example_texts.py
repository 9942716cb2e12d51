"""Invented sentences, for the example rows of formats, which stand in for data not here."""

import random
from collections.abc import Iterator

NUM_ROWS = 240
"""Rows of an example: with a quarter held out, enough for a few prompts in every group."""
_SYLLABLES = ("mo", "ta", "li", "re", "su", "ne", "ka", "pu", "vi", "do")
_ENDS = ("ran", "lek", "dim", "sol")
WORDS = tuple(start + end for start in _SYLLABLES for end in _ENDS)
"""Words of every sentence."""
RUDE = ("grumf", "zorkle", "blath", "snivvet", "dorp")
"""Words of the dispreferred side alone."""


def phrases(num_words: int, seed: int = 0) -> Iterator[str]:
    """Yield phrases of so many words without end, the same for one seed."""
    draw = random.Random(seed)
    while True:
        yield " ".join(draw.choices(WORDS, k=num_words))


def openings_with_ends(num: int = NUM_ROWS) -> Iterator[tuple[str, str, str]]:
    """Yield (opening, decent end, rude end): phrases of which the ends begin with a blank."""
    draw, opening, end = random.Random(1), phrases(6, 2), phrases(5, 3)
    for _ in range(num):
        rude = " ".join(draw.choices(RUDE + WORDS[:2], k=4))
        yield next(opening), f" {next(end)}", f" {rude} {draw.choice(WORDS)}"

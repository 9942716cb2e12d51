"""Which prompts a way of writing leaves as they are: ROT13 turns no Cyrillic, Morse has no kanji.

Numbers under such a transform are those of plain text, and would say that something got past it.
"""

from collections import Counter
from collections.abc import Sequence

from jobs.text.planned import MOST_TRIED, as_far_as
from jobs.text.reading import Prompt
from jobs.text.transform import Chain, Scope, load_transform

_FEW = 0.05
"""Share of the prompts up to which nothing is said: numbers alone are left by most ciphers."""


def note_on_untouched(prompts: Sequence[Prompt], transform: str, seed: int) -> Sequence[str]:
    """Say how many prompts a transform leaves; nothing where it adds to texts and rewrites none."""
    names = [name for name in transform.split("+") if name != "plain"]
    chain = load_transform("+".join(names) or "plain")
    if not names or all(part.SCOPE is not Scope.EVERYTHING for part in chain.parts):
        return ()
    tried = prompts[:MOST_TRIED]
    texts = [" ".join(segment.text for segment in prompt.segments) for prompt in tried]
    left = sum(_is_left(text, chain, seed) for text in texts)
    if left <= _FEW * len(tried):
        return ()
    return (
        f"{transform} leaves {left} of {len(prompts)} prompts as they are"
        f"{as_far_as(len(tried), len(prompts))}, which have none of the letters that it writes "
        "otherwise: their numbers are those of plain text",
    )


def _is_left(text: str, chain: Chain, seed: int) -> bool:
    """Tell whether nothing changes, or all of the letters that are most and of no Latin script."""
    made = chain.apply_to_answer(text, seed)
    foreign = _foreign(text)
    is_mostly = 2 * foreign.total() > sum(map(str.isalpha, text))
    return made == text or is_mostly and _foreign(made) == foreign


def _foreign(text: str) -> Counter[str]:
    return Counter(letter for letter in text if letter.isalpha() and not letter.isascii())

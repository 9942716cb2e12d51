"""`Spelling`: the tokens that write a word where a text goes on, plain or transformed.

A spelling is the tokenizer's own (canonical) one: a word is tokenised together with what stands
before and after it, in several ways, and what covers the word is kept. Where the tokens of a word
depend on what comes after it in more ways than can be tried (Base64 with a sub-word tokenizer),
they cannot be known, and the spelling is refused.
"""

from __future__ import annotations

import os
import string
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.text.transform import Chain

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_FOLLOWS = ("", " a", " ", ".", ", a", "!", "?", "\n", "'s", '"', ")", ";", ":")
"""What may stand after a word: the end, or what is no letter, digit or underscore."""
_AFTER_BLANK = (".", "a", "\n", "")
"""Texts that a word with a blank before it is tried after, until one lets it alone."""
_AFTER_NOTHING = ("\n", "(", ".", "")
"""The same for a word without a blank."""
_NEXT = (*string.ascii_letters, *string.digits)
"""Beginnings of next words: what a way of writing that knows no words makes of a word's end."""


@dataclass(frozen=True, kw_only=True)
class Spelling:
    """One way of writing one word."""

    word: int
    """Index of the word on the list."""
    token_ids: tuple[int, ...]
    """Its tokens, at least one."""
    is_closed: bool
    """True when its last token holds the end of the word too; else the next token decides."""
    after_blank: bool
    """True when a blank comes first: after a word, nothing else begins a new one."""


@dataclass(frozen=True, kw_only=True)
class Spellings:
    """The spellings of a list of words, and how much of the list they cover."""

    all: tuple[Spelling, ...]
    """Each way once."""
    num_words: int
    """Words on the list."""
    num_covered: int
    """Words that have a spelling."""
    num_forms: int
    """Words, and where they are written otherwise under the transform, those too."""
    num_forms_covered: int
    """Forms whose tokens are known."""
    num_unknown: int
    """Words whose transformed form depends on what follows, so that its tokens are not known."""
    keeps_words: bool
    """Whether the transform writes word by word, so that what stands before matters."""

    @property
    def coverage(self) -> float | None:
        """Share of the forms that can be counted; None without words."""
        return self.num_forms_covered / self.num_forms if self.num_forms else None


def find_spellings(
    words: Sequence[str], tokenizer: PreTrainedTokenizerBase, transform: Chain
) -> Spellings:
    """Find how a tokenizer writes words, as they are and capitalised, plain and transformed.

    A form without tokens (a word-level vocabulary lacks it) is not covered; of a word that is
    covered, a transformed form that no tokens can write does not count as one.
    """
    keeps = _keeps_words(transform)
    variants = [tuple(dict.fromkeys((word, word.capitalize()))) for word in words]
    written = [tuple(transform.apply_to_answer(v, 0) for v in each) for each in variants]
    wordwise = [*variants, *(written if keeps else ())]
    known = _tokens_of_words(dict.fromkeys(form for each in wordwise for form in each), tokenizer)
    found: dict[tuple[tuple[int, ...], bool], Spelling] = {}
    num_covered = num_forms = num_forms_covered = num_unknown = 0
    for number, (each, other) in enumerate(zip(variants, written, strict=True)):
        plain = [made for form in each for made in known[form]]
        transformed: Sequence[_Made] = ()
        is_known = True
        if other != each and keeps:
            transformed = [made for form in other for made in known[form]]
        elif other != each:
            transformed, is_known = _tokens_of_beginnings(each, transform, tokenizer)
        num_covered += bool(plain or transformed)
        num_unknown += not is_known
        differs = other != each and (bool(transformed) or not is_known or not plain)
        num_forms += 1 + differs
        num_forms_covered += bool(plain) + (differs and bool(transformed) and is_known)
        for token_ids, is_closed, after_blank in (*plain, *transformed):
            spelling = Spelling(
                word=number, token_ids=token_ids, is_closed=is_closed, after_blank=after_blank
            )
            found.setdefault((token_ids, after_blank), spelling)
    return Spellings(
        all=tuple(found.values()),
        num_words=len(words),
        num_covered=num_covered,
        num_forms=num_forms,
        num_forms_covered=num_forms_covered,
        num_unknown=num_unknown,
        keeps_words=keeps,
    )


_Made = tuple[tuple[int, ...], bool, bool]
"""Token ids, whether the last one closes the word, whether a blank comes first."""
_Encoded = Sequence[tuple[int, tuple[int, int]]]
"""Token ids of a text, each with the characters [start, end) that it covers."""


def _tokens_of_words(
    forms: Iterable[str], tokenizer: PreTrainedTokenizerBase
) -> dict[str, list[_Made]]:
    """Return the ways of writing each form, with and without a blank before it."""
    made: dict[str, dict[_Made, None]] = {form: {} for form in forms}
    for lead, anchors in ((" ", _AFTER_BLANK), ("", _AFTER_NOTHING)):
        left = [(form, follow) for form in made for follow in _FOLLOWS]
        for anchor in anchors:  # the first that shares no token with the form
            encoded = _encode([anchor + lead + form + follow for form, follow in left], tokenizer)
            unsettled = []
            for (form, follow), text in zip(left, encoded, strict=True):
                end = len(anchor + lead + form)
                covered = _cover(text, len(anchor), end, tokenizer.unk_token_id)
                if covered is None:
                    unsettled.append((form, follow))
                else:
                    made[form][(*covered, lead == " ")] = None
            left = unsettled
    return {form: list(ways) for form, ways in made.items()}


def _cover(
    encoded: _Encoded, begin: int, end: int, unknown: int | None
) -> tuple[tuple[int, ...], bool] | None:
    """Return the tokens of the characters [begin, end) and whether the last one covers more.

    None where one of them covers text before, too, or is unknown.
    """
    if any(start < begin < stop for _, (start, stop) in encoded):
        return None
    inside = [(token, stop) for token, (start, stop) in encoded if begin <= start < end]
    token_ids = tuple(token for token, _ in inside)
    if not token_ids or unknown in token_ids:
        return None
    return token_ids, max(stop for _, stop in inside) > end


def _tokens_of_beginnings(
    variants: Sequence[str], transform: Chain, tokenizer: PreTrainedTokenizerBase
) -> tuple[list[_Made], bool]:
    """Return the ways in which a transformed answer begins with a word, and if all are known.

    The answer is transformed as a whole. What all answers that begin with the word have in common
    must be tokens of its own in each of them.
    """
    made: list[_Made] = []
    are_known = True
    for beginning in (lead + variant for variant in variants for lead in ("", " ")):
        texts = [transform.apply_to_answer(f"{beginning} {sign}ab cd", 0) for sign in _NEXT]
        end = len(os.path.commonprefix(texts).rstrip())
        unknown = tokenizer.unk_token_id
        ways = {_exact(text, end, unknown) for text in _encode(texts, tokenizer)}
        if len(ways) > 1 or None in ways:
            are_known = False
        else:
            made += [(token_ids, True, False) for token_ids in ways if token_ids]
    return list(dict.fromkeys(made)), are_known


def _exact(encoded: _Encoded, end: int, unknown: int | None) -> tuple[int, ...] | None:
    """Return the tokens of a text's first characters; () if unknown, None if one covers more."""
    inside = [(token, stop) for token, (start, stop) in encoded if start < end]
    token_ids = tuple(token for token, _ in inside)
    if unknown in token_ids:
        return ()
    return token_ids if inside and inside[-1][1] == end else None


def _encode(texts: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> list[_Encoded]:
    if not texts:
        return []
    read = tokenizer(list(texts), add_special_tokens=False, return_offsets_mapping=True)
    rows = zip(read["input_ids"], read["offset_mapping"], strict=True)
    return [list(zip(ids, spans, strict=True)) for ids, spans in rows]


def _keeps_words(transform: Chain) -> bool:
    """Tell whether a transform writes a text word by word."""
    first, second = "alder", "birch"
    both = transform.apply_to_answer(f"{first} {second}", 0)
    return both == " ".join(transform.apply_to_answer(word, 0) for word in (first, second))

"""International Morse code (ITU-R M.1677-1): letters apart by a space, words by a slash.

Named by Wei et al. 2023 (arXiv 2307.02483); mismatched generalization. Needs the decode control.
Case is lost; a character that has no code stands for itself. Segments join to the whole's code.
"""

import re

from jobs.text.transform import Scope

SCOPE = Scope.EVERYTHING

_TABLE = """
a .-    b -...  c -.-.  d -..   e .     f ..-.  g --.   h ....  i ..    j .---  k -.-   l .-..
m --    n -.    o ---   p .--.  q --.-  r .-.   s ...   t -     u ..-   v ...-  w .--   x -..-
y -.--  z --..  0 ----- 1 .---- 2 ..--- 3 ...-- 4 ....- 5 ..... 6 -.... 7 --... 8 ---.. 9 ----.
. .-.-.-  , --..--  : ---...  ? ..--..  ' .----.  - -....-  / -..-.  ( -.--.  ) -.--.-  " .-..-.
= -...-  + .-.-.  @ .--.-.
"""
_CELLS = _TABLE.split()
_LOWER = dict(zip(_CELLS[::2], _CELLS[1::2], strict=True))
_CODES = {**_LOWER, **{sign.upper(): code for sign, code in _LOWER.items()}}
_LETTERS = {code: sign for sign, code in _LOWER.items()}
_BETWEEN_WORDS = " / "
_RUN = re.compile(r"[.-]+(?: (?:/ )?[.-]+)*")


def apply(text: str, seed: int) -> str:
    """Write the text in Morse code."""
    words = text.split(" ")
    return _BETWEEN_WORDS.join(" ".join(_CODES.get(sign, sign) for sign in word) for word in words)


def invert(text: str) -> str:
    """Read codes as lower case; in a text with letters or digits, only runs of codes."""
    if re.search("[A-Za-z0-9]", text):
        return _RUN.sub(lambda run: _read(run[0]), text)
    return _read(text)


def _read(text: str) -> str:
    words = (word.split(" ") for word in text.split(_BETWEEN_WORDS))
    return " ".join("".join(_LETTERS.get(code, code) for code in word) for word in words)

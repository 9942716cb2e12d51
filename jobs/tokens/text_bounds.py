"""Bounds on the tokens of a text that hold before it is tokenised."""

from __future__ import annotations

from collections.abc import Iterable

ANY_LENGTH = 1 << 40
"""A limit that no text reaches."""
_BESIDE = {False: 16, True: 1024}
"""Most tokens around a text, without a template and in one."""


def may_exceed(limit: int, texts: Iterable[str], *, is_templated: bool) -> bool:
    """Tell whether texts, one after the other, may have more tokens; each has a byte at least."""
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return size + _BESIDE[is_templated] > limit

"""`Survey`: everything below one folder of a root, by one walk or one listing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Unfinished:
    """A file whose write has not come to its end: it goes on, or was killed."""

    bytes: int
    """Its size so far."""
    age_s: float
    """Seconds since it was last written to."""


@dataclass(frozen=True, kw_only=True)
class Survey:
    """What lies below a folder; names are relative to it."""

    sizes: Mapping[str, int] = field(default_factory=dict)
    """Finished file -> bytes."""
    odd: Sequence[str] = ()
    """Links, pipes and the like: nothing of ours. They are not followed."""
    empty: Sequence[str] = ()
    """Folders in which nothing is (local roots)."""
    unfinished: Mapping[str, Unfinished] = field(default_factory=dict)
    """Files of writes that go on or were killed (local roots)."""

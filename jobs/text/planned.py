"""`Planned`: the pairs or prompts that a job will leave, known before it runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Generic, TypeVar

from pydantic import BaseModel

from jobs.text.source_check import modified

Item = TypeVar("Item")

MOST_TRIED = 5_000
"""Pairs or prompts that are tried while a study is planned, the first ones."""


def as_far_as(tried: int, total: int) -> str:
    """Say what a count of faults rests on, behind it; nothing where all were tried."""
    return "" if tried == total else f", as far as {tried} of them show"


@dataclass(frozen=True, kw_only=True)
class First(Generic[Item]):
    """The first of what a job will leave, and how much that is in all."""

    items: Sequence[Item]
    """As many as are tried."""
    count: int
    """Number of all."""

    @property
    def as_far_as(self) -> str:
        """Return what a count of faults among them rests on, in words."""
        return as_far_as(len(self.items), self.count)


@dataclass(frozen=True, kw_only=True)
class Planned(Generic[Item]):
    """What a job will leave: read where it is looked at, equal where params and files are.

    It holds none of the rows, so that it can be the key of a cache; `first` is kept in one.
    """

    params: str = ""
    """Params of the job, as JSON."""
    changed: str = ""
    """Names and times of the files that it reads."""
    read: Callable[[], Sequence[Item]] = field(default=tuple, compare=False)
    """Reads them as the job will; gives nothing where they cannot be read."""

    @property
    def first(self) -> First[Item]:
        """The first of them and their number, read once for all who ask."""
        return _first(self)


@lru_cache(maxsize=16)
def _first(those: Planned[Any]) -> First[Any]:
    items = those.read()
    return First(items=items[:MOST_TRIED], count=len(items))


def planned(
    params: BaseModel, sources: Sequence[str | None], read: Callable[[], Sequence[Item]]
) -> Planned[Item]:
    """Describe what a job of these params, which reads these sources, will leave."""
    return Planned(params=params.model_dump_json(), changed=modified(*sources), read=read)

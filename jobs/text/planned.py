"""`Planned`: the pairs or prompts that a job will leave, known before it runs."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from pydantic import BaseModel

from jobs.text.source_check import modified

Item = TypeVar("Item")


@dataclass(frozen=True, kw_only=True)
class Planned(Generic[Item]):
    """What a job will leave: read where it is looked at, equal where params and files are.

    It keeps nothing of what it reads, so that it can stand in a cache.
    """

    params: str = ""
    """Params of the job, as JSON."""
    changed: str = ""
    """Names and times of the files that it reads."""
    read: Callable[[], Sequence[Item]] = field(default=tuple, compare=False)
    """Reads them as the job will; gives nothing where they cannot be read."""


def planned(
    params: BaseModel, sources: Sequence[str | None], read: Callable[[], Sequence[Item]]
) -> Planned[Item]:
    """Describe what a job of these params, which reads these sources, will leave."""
    return Planned(params=params.model_dump_json(), changed=modified(*sources), read=read)

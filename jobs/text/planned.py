"""`Planned`: the pairs or prompts that a job will leave, known before it runs."""

from typing import TypeVar

Item = TypeVar("Item")


class Planned(tuple[Item, ...]):
    """Pairs or prompts that a job will leave. Equal to itself alone, so that it can be a key."""

    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        return self is other

    def __hash__(self) -> int:
        return id(self)

"""Contract: numbers that others published, shown beside ours. They are the files of `references/`.

A reference is never measured again, never has our intervals, and never enters a fit; each of its
numbers says how it was measured otherwise than ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from analysis.door import Door


@dataclass(frozen=True, kw_only=True)
class Published:
    """One published number."""

    model: str
    """The model, as the source calls it."""
    family: str
    """Its family, as ours are named."""
    num_parameters: int
    """Counted parameters, embeddings included."""
    metrics: tuple[str, ...]
    """Metrics of ours that it may stand beside: the first that a table shows."""
    value: float
    """The number, as printed."""
    cell: Mapping[str, str]
    """Axis -> value, as studies name them, for what was done to the model; prompts are plain."""
    note: str
    """How it was measured, and in what that differs from ours."""


class Publication(Protocol):
    """The names a module in `references/` defines."""

    CITATION: str
    """Authors and year, behind a model's name."""
    NUMBERS: tuple[Published, ...]
    """What was published."""


REFERENCES: Door[Publication] = Door(
    "reference", "analysis.tables.references", contract=Publication
)

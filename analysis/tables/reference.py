"""Contract: numbers that others published, shown beside ours. They are the files of `references/`.

A reference is never measured again, never has our intervals, and never enters a fit; each of its
numbers says how it was measured otherwise than ours.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, cast

from analysis.lookup import entry_names, load_entry


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


class Reference(Protocol):
    """The names a module in `references/` defines."""

    CITATION: str
    """Authors and year, behind a model's name."""
    NUMBERS: tuple[Published, ...]
    """What was published."""


def reference_names() -> list[str]:
    """Names of the references that exist; imports none of them."""
    return entry_names("references")


def load_reference(name: str) -> Reference:
    """The module of a reference; ValueError with what exists and the nearest match."""
    return cast(Reference, load_entry("references", name, "reference"))

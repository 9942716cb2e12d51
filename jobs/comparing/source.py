"""`Source`: one upstream job of a comparison, done or not."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jobs.artifacts.artifact import Artifact
from jobs.artifacts.job import Cell

if TYPE_CHECKING:
    pass


@dataclass(frozen=True, kw_only=True)
class Source:
    """One upstream job of a comparison, done or not."""

    stage: str
    """Its stage."""
    cell: Cell
    """Its cell: becomes the axes' columns."""
    artifact: Artifact | None
    """What it measured, or None when there is nothing."""
    status: str = "ok"
    """Why there is nothing, as a Status of the Measurement schema."""
    reason: str | None = None
    """The same in words."""
    metrics: Sequence[str] = ()
    """What it would have measured, for when nothing of its stage says so."""

"""The doses of alignment that models may be held equal in, and what they are called."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from analysis.long_table.selection import nearest
from analysis.measurement import LeftOut

STEP_AT_DOSE = "step_at_dose"
"""Value of a table at a dose that says when a training stood there."""


@dataclass(frozen=True, kw_only=True)
class Scale:
    """One way to say how hard a model was aligned; 0 is the base, by definition."""

    metric: str
    """The value of the long table that it is read from."""
    unit: str
    """Its unit, in words; empty for a share."""
    is_fall: bool = False
    """Whether it is by how much the value fell from the base's, instead of the value itself."""


SCALES: Mapping[str, Scale] = {
    "kl": Scale(metric="kl_per_token", unit="nats per token"),
    "margin": Scale(metric="reward_margin", unit="nats"),
    "margin_per_token": Scale(metric="reward_margin_per_token", unit="nats per token"),
    "toxic_mass_fall": Scale(metric="toxic_mass", unit="", is_fall=True),
}
"""Name in a study and on the command line -> what it means."""


@dataclass(frozen=True, kw_only=True)
class Dose:
    """One dose: what is held equal, and at which value."""

    metric: str
    """The value of the long table that says how hard a model was aligned."""
    at: float
    """The dose, in its unit, above 0."""
    is_fall: bool = False
    """Whether the dose is by how much the value fell from the base's."""
    left_out: LeftOut | None = ()
    """The dose without each prompt group, where it is what another training was measured at; empty:
    it was chosen, and is exact; None: it was measured, and that was not kept."""

    def __post_init__(self) -> None:
        """Refuse a dose that no training can stand at."""
        if not (math.isfinite(self.at) and self.at > 0):
            raise ValueError(f"a dose is a number above 0, the base's; {self.at!r} is not one")

    @classmethod
    def named(cls, name: str, at: float) -> Dose:
        """Return the dose of this name. Raises ValueError with the names that exist."""
        if name not in SCALES:
            raise ValueError(f"there is no dose {name!r}{nearest(name, list(SCALES))}")
        scale = SCALES[name]
        return cls(metric=scale.metric, at=at, is_fall=scale.is_fall)

    @property
    def name(self) -> str:
        """Name of its scale; the value's own name where it has none."""
        wanted = self.metric, self.is_fall
        names = (n for n, scale in SCALES.items() if (scale.metric, scale.is_fall) == wanted)
        return next(names, f"{self.metric}_fall" if self.is_fall else self.metric)

    @property
    def label(self) -> str:
        """The dose as the axis `snapshot` has it: `kl=0.5`."""
        return f"{self.name}={self.at:g}"

    @property
    def what(self) -> str:
        """What is held equal, in words: `fall of toxic_mass`."""
        return f"fall of {self.metric}" if self.is_fall else self.metric

    @property
    def words(self) -> str:
        """The dose in words: `kl_per_token 0.5 nats per token`."""
        scale = SCALES.get(self.name)
        return f"{self.what} {self.at:g} {scale.unit if scale else ''}".rstrip()

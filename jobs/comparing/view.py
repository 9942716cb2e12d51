"""`View`: which measurements a comparison shows, and how it lays them out."""

import re
from collections.abc import Mapping, Sequence
from typing import get_args

from pydantic import Field, field_validator

from analysis.tables.reference import REFERENCES
from cluster.errors import unknown_name
from jobs.comparing.measuring_kinds import value_names
from jobs.kind import Params
from jobs.models.family import SITES
from jobs.tokens.position_policy import Policy


class View(Params):
    """Params of the kind `compare`; options of the verb `compare` override single ones."""

    title: str = Field("Comparison across model sizes", description="heading of the table")
    rows: Sequence[str] = Field(("model",), description="axes down the side")
    columns: Sequence[str] | None = Field(
        None, description="axes across, under the metric; null = every other axis that varies"
    )
    metrics: Sequence[str] | None = Field(
        None,
        description="metrics shown, in this order, where measured; null = the headline one of each",
    )
    where: Mapping[str, Sequence[str] | str] = Field(
        {}, description="axis -> values shown; numbers without the axis are kept"
    )
    seeds: str | None = Field("seed", description="axis that is averaged over")
    site: str | None = Field(None, description="site shown; null = resid_mid where it was measured")
    position: str | None = Field(
        None, description="position policy shown; null = last where it was measured"
    )
    depth: float = Field(0.75, ge=0, le=1, description="relative depth shown")
    controls: bool = Field(
        False, description="show interval, noise floor and null bands beside each value"
    )
    references: Sequence[str] = Field(
        (), description="published numbers shown below, such as lee2024; they enter no fit"
    )
    figures: bool = Field(True, description="draw the figures too")

    @field_validator("metrics")
    @classmethod
    def _check_metrics(cls, metrics: Sequence[str] | None) -> Sequence[str] | None:
        """Refuse an unknown name before anything runs; a metric reports `NAME` and `NAME_…`."""
        values = value_names()
        for name in metrics or ():
            if not any(name == value or name.startswith(f"{value}_") for value in values):
                raise unknown_name("metric", name, values)
        return metrics

    @field_validator("site")
    @classmethod
    def _check_site(cls, site: str | None) -> str | None:
        if site is not None and site not in SITES:
            raise unknown_name("site", site, SITES)
        return site

    @field_validator("position")
    @classmethod
    def _check_position(cls, position: str | None) -> str | None:
        """Check that it is a policy, or one numbered place such as `turn-2` or `output-1`."""
        if position is not None:
            numbered = re.fullmatch(r"(turn|output)-[0-9]+", position)
            if numbered is None and position not in get_args(Policy):
                raise unknown_name("position", position, [*get_args(Policy), "turn-1", "output-1"])
        return position

    @field_validator("references")
    @classmethod
    def _check_references(cls, references: Sequence[str]) -> Sequence[str]:
        for name in references:
            if name not in REFERENCES.names():
                raise unknown_name("reference", name, REFERENCES.names())
        return references

    def filters(self) -> dict[str, list[str]]:
        """Return `where` with every value a list."""
        return {
            axis: [values] if isinstance(values, str) else list(values)
            for axis, values in self.where.items()
        }

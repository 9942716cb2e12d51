"""`View`: which measurements a comparison shows, and how it lays them out."""

from collections.abc import Mapping, Sequence

from pydantic import Field

from jobs.kind import Params


class View(Params):
    """Params of the kind `compare`; the verb `compare` overrides them one by one."""

    title: str = Field("Comparison across model sizes", description="heading of the table")
    rows: Sequence[str] = Field(("model",), description="axes down the side")
    columns: Sequence[str] | None = Field(
        None, description="axes across, under the metric; null = every other axis that varies"
    )
    metrics: Sequence[str] | None = Field(
        None, description="metrics shown, in this order; null = the headline one of each kind"
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
    figures: bool = Field(True, description="draw the figures too")

    def filters(self) -> dict[str, list[str]]:
        """`where` with every value a list."""
        return {
            axis: [values] if isinstance(values, str) else list(values)
            for axis, values in self.where.items()
        }

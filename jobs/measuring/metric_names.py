"""Names of metrics in a study: one, several, or `all`.

`all` are the package's when the study is planned. One that the study brings along is measured where
it is named: changing it then makes no other number anew.
"""

from typing import Any, ClassVar

from pydantic import Field, field_validator

from analysis.door import Door
from cluster.errors import unknown_name
from jobs.shared_params import ComputeParams


class MetricNameParams(ComputeParams):
    """Params of a kind that applies the metrics of a folder."""

    METRICS: ClassVar[Door[Any]]
    """The folder."""

    metrics: tuple[str, ...] = Field(
        ("all",),
        min_length=1,
        validate_default=True,
        description="Metrics by name; `all`: those that the package has when the study is "
        "planned. The study's own are measured where they are named: [all, my_metric].",
    )

    @classmethod
    def in_all(cls) -> list[str]:
        """Return the names that `all` stands for: of the package's metrics, all by default."""
        return cls.METRICS.package_names()

    @property
    def named(self) -> frozenset[str]:
        """Those that the study names itself: without what `all` stands for, where it is there."""
        of_all, chosen = frozenset(self.in_all()), frozenset(self.metrics)
        return chosen - of_all if of_all <= chosen else chosen

    @field_validator("metrics", mode="before", json_schema_input_type=str | tuple[str, ...])
    @classmethod
    def _as_tuple(cls, value: object) -> object:
        return (value,) if isinstance(value, str) else value

    @field_validator("metrics", mode="after")
    @classmethod
    def _resolve(cls, chosen: tuple[str, ...]) -> tuple[str, ...]:
        """Return the names as files spell them, sorted; `all` stands for those of `in_all`."""
        existing = cls.METRICS.names()
        names = [name.replace("-", "_") for name in chosen if name != "all"]
        if "all" in chosen:
            names += cls.in_all()
        for name in names:
            if name not in existing:
                raise unknown_name(cls.METRICS.what, name, [*existing, "all"], where="metrics")
        return tuple(sorted(set(names)))

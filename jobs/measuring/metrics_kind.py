"""Parent of the kinds that apply the metrics of a folder, those that a study brings along too."""

from collections.abc import Iterator
from typing import Any, TypeVar

from analysis.door import Door
from jobs.kind import Kind
from jobs.measuring.metric_names import MetricNameParams

P = TypeVar("P", bound=MetricNameParams)


class MetricsKind(Kind[P]):
    """Measures what the metrics of the folder in its params' METRICS report."""

    @property
    def MEASURES(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of all metrics, those that a study brings along too, and of other values."""
        door = self.Params.METRICS
        others = (value for name in door.package_names() for value in _named_apart(door, name))
        return (*door.names(), *others)

    def entries(self, params: P) -> Iterator[tuple[str, str]]:
        """Yield the metrics, besides what other params name."""
        yield from super().entries(params)
        yield from ((params.METRICS.package, name) for name in params.metrics)


def _named_apart(door: Door[Any], name: str) -> Iterator[str]:
    """Yield the values of a metric that do not begin with its name."""
    yield from (value for value in door.find(name).REPORTS if not value.startswith(name))

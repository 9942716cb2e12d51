"""Parent of the kinds that apply the metrics of a folder, those that a study brings along too."""

from collections.abc import Iterator
from typing import TypeVar

from jobs.kind import Kind
from jobs.measuring.metric_names import MetricNameParams

P = TypeVar("P", bound=MetricNameParams)


class MetricsKind(Kind[P]):
    """Measures what the metrics of the folder in its params' METRICS report."""

    @property
    def MEASURES(self) -> tuple[str, ...]:  # type: ignore[override]
        """The names of all metrics, those that a study brings along too."""
        return tuple(self.Params.METRICS.names())

    def entries(self, params: P) -> Iterator[tuple[str, str]]:
        """Yield the metrics, besides what other params name."""
        yield from super().entries(params)
        yield from ((params.METRICS.package, name) for name in params.metrics)

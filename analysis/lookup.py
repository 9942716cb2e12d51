"""From a name to the file that bears it: metrics, figures, answers, references, writers."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from analysis.metric import Metric
    from analysis.weight_metric import WeightMetric

_HERE = Path(__file__).parent
_HOMES = {
    "metrics": "metrics",
    "weight_metrics": "weight_metrics",
    "figures": "drawing/figures",
    "answers": "answering/answers",
    "references": "tables/references",
    "writers": "tables/writers",
}
"""Folder of entries -> where it lies in `analysis/`."""


def entry_names(folder: str) -> list[str]:
    """Names of all files of a plural folder (`metrics`, `writers`), sorted; imports nothing."""
    return sorted(path.stem for path in (_HERE / _HOMES[folder]).glob("[a-z]*.py"))


def load_entry(folder: str, name: str, what: str) -> ModuleType:
    """The module behind a name; a hyphen in the name stands for the file's underscore.

    Raises:
        ValueError: there is no such `what`; says which exist and which is nearest.
    """
    names, asked = entry_names(folder), name.replace("-", "_")
    if asked not in names:
        nearest = difflib.get_close_matches(asked, names, n=1, cutoff=0.0)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"no {what} {name!r}; there are: {', '.join(names)}{hint}")
    return importlib.import_module(f"analysis.{_HOMES[folder].replace('/', '.')}.{asked}")


def metric_names() -> list[str]:
    """Names of all metrics, sorted."""
    return entry_names("metrics")


def load_metric(name: str) -> Metric:
    """The module of a metric; ValueError with what exists and the nearest match."""
    return cast("Metric", load_entry("metrics", name, "metric"))


def comparing_values() -> list[str]:
    """Values of the metrics that compare a sample with another one."""
    metrics = [load_metric(name) for name in metric_names()]
    return [value for metric in metrics if metric.NEEDS_AGAINST for value in metric.REPORTS]


def weight_metric_names() -> list[str]:
    """Names of all metrics of weights, sorted."""
    return entry_names("weight_metrics")


def load_weight_metric(name: str) -> WeightMetric:
    """The module of one of `weight_metric_names()`."""
    return cast("WeightMetric", load_entry("weight_metrics", name, "metric of weights"))


def reports_of(name: str) -> Sequence[str]:
    """The values that a metric of activations or of weights reports; any other name is one."""
    if name in metric_names():
        return load_metric(name).REPORTS
    return load_weight_metric(name).REPORTS if name in weight_metric_names() else (name,)

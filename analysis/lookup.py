"""From the name of a metric in a study file to the file that bears it."""

from __future__ import annotations

import difflib
import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from analysis.figure import Figure
    from analysis.metric import Metric
    from analysis.weight_metric import WeightMetric

FOLDER = Path(__file__).parent / "metrics"
WEIGHT_FOLDER = Path(__file__).parent / "weight_metrics"
FIGURE_FOLDER = Path(__file__).parent / "figures"


def metric_names() -> list[str]:
    """Names of all metrics, sorted. Reads the folder and imports nothing."""
    return sorted(path.stem for path in FOLDER.glob("*.py") if not path.stem.startswith("_"))


def load_metric(name: str) -> Metric:
    """The module of a metric; a hyphen in the name stands for the file's underscore.

    Raises:
        ValueError: there is no such metric; says which exist and which is nearest.
    """
    names, asked = metric_names(), name.replace("-", "_")
    if asked not in names:
        nearest = difflib.get_close_matches(asked, names, n=1, cutoff=0.0)
        hint = f"; did you mean {nearest[0]!r}?" if nearest else ""
        raise ValueError(f"no metric {name!r}; there are: {', '.join(names)}{hint}")
    return cast("Metric", importlib.import_module(f"analysis.metrics.{asked}"))


def comparing_values() -> list[str]:
    """Values of the metrics that compare a sample with another one."""
    metrics = [load_metric(name) for name in metric_names()]
    return [value for metric in metrics if metric.NEEDS_AGAINST for value in metric.REPORTS]


def weight_metric_names() -> list[str]:
    """Names of all metrics of weights, sorted; imports nothing."""
    return sorted(path.stem for path in WEIGHT_FOLDER.glob("*.py") if path.stem[0] != "_")


def load_weight_metric(name: str) -> WeightMetric:
    """The module of one of `weight_metric_names()`."""
    return cast("WeightMetric", importlib.import_module(f"analysis.weight_metrics.{name}"))


def figure_names() -> list[str]:
    """Names of all figures, sorted; imports nothing."""
    return sorted(path.stem for path in FIGURE_FOLDER.glob("*.py") if path.stem[0] != "_")


def load_figure(name: str) -> Figure:
    """The module of one of `figure_names()`."""
    return cast("Figure", importlib.import_module(f"analysis.figures.{name}"))


def reports_of(name: str) -> Sequence[str]:
    """The values that a metric of activations or of weights reports; any other name is one."""
    if name in metric_names():
        return load_metric(name).REPORTS
    return load_weight_metric(name).REPORTS if name in weight_metric_names() else (name,)

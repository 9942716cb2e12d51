"""From the name of a metric in a study file to the file that bears it."""

from __future__ import annotations

import difflib
import importlib
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from analysis.metric import Metric

FOLDER = Path(__file__).parent / "metrics"


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

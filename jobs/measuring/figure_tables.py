"""Data that figures draw beside measurements: reservoir rows in a plane, histograms of cosines.

The kind `measure` writes them as two parquet files, with a few dozen rows for each place.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pyarrow as pa

from analysis.estimates.evaluation import UnmeasurableError
from analysis.long_table.files import to_parquet
from analysis.metrics.cosine_to_mean import cosines_to_others
from analysis.rows.cosine_histogram import count_cosines, merge_bins
from analysis.rows.principal_plane import PrincipalPlane
from analysis.rows.summary import Reservoir, Sample
from jobs.models.family import STREAM_SITES

PLACE = (("site", pa.string()), ("layer", pa.int64()), ("position", pa.string()))
PLANE_COLUMNS = pa.schema(
    [
        *PLACE,
        ("group", pa.int64()),  # prompt group of the row
        ("base_along", pa.float64()),  # on the unit mean of δ, from the mean of all rows
        ("base_across", pa.float64()),  # on the first principal component of what is left
        ("aligned_along", pa.float64()),
        ("aligned_across", pa.float64()),
        ("share", pa.float64()),  # of what is left, that component's variance
    ]
)
HISTOGRAM_COLUMNS = pa.schema(
    [
        *PLACE,
        ("num_rows", pa.int64()),
        ("counts", pa.list_(pa.int64())),  # 200 bins from -1 to 1
    ]
)


class FigureTables:
    """Collects the rows of both tables, place by place."""

    def __init__(self) -> None:
        self._planes: list[Mapping[str, object]] = []
        self._histograms: list[Mapping[str, object]] = []

    def add(self, site: str, layer: int, position: str, reservoir: Reservoir) -> None:
        """Add the rows that the reservoir of a place gives; too few rows give none."""
        place = {"site": site, "layer": layer, "position": position}
        plane = PrincipalPlane.of(reservoir) if site in STREAM_SITES else None
        if plane is not None:
            self._planes += [{**place, **line} for line in plane.lines()]
        try:
            cosines, _ = cosines_to_others(Sample(groups={}, reservoir=reservoir))
        except UnmeasurableError:
            return
        counts = merge_bins(count_cosines(cosines[:, None]))[0]
        self._histograms.append({**place, "num_rows": len(cosines), "counts": counts.tolist()})

    def write(self, folder: Path) -> None:
        """Write both files; a table without rows is written, too."""
        for name, lines, columns in (
            ("principal_components", self._planes, PLANE_COLUMNS),
            ("cosine_histogram", self._histograms, HISTOGRAM_COLUMNS),
        ):
            table = pa.Table.from_pylist(lines, schema=columns)
            (folder / f"{name}.parquet").write_bytes(to_parquet(table))

"""What figures draw of an extraction beside its measurements: where kept rows lie, and histograms.

Numbers only, a few dozen rows of a place: written by the kind `measure` as parquet files.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from analysis.estimates.evaluation import UnmeasurableError
from analysis.long_table.files import to_parquet
from analysis.metrics.cosine_to_mean import cosines_to_others
from analysis.rows.cosine_histogram import coarse, count_cosines
from analysis.rows.principal_plane import PrincipalPlane
from analysis.rows.summary import Reservoir, Sample

if TYPE_CHECKING:
    from collections.abc import Mapping

STREAM = ("resid_pre", "resid_mid", "resid_post")
"""Sites whose rows are drawn: base and aligned models share the axes of the residual stream."""

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
    """Gathers the details of one place after the other."""

    def __init__(self) -> None:
        self._planes: list[dict[str, Any]] = []
        self._histograms: list[dict[str, Any]] = []

    def add(self, place: Mapping[str, Any], kept: Reservoir) -> None:
        """Take what the kept rows of a place have to show; where they show nothing, nothing."""
        plane = PrincipalPlane.of(kept) if place["site"] in STREAM else None
        if plane is not None:
            self._planes += [{**place, **line} for line in plane.lines()]
        try:
            cosines, _ = cosines_to_others(Sample(groups={}, reservoir=kept))
        except UnmeasurableError:
            return
        counts = coarse(count_cosines(cosines[:, None]))[0]
        self._histograms.append({**place, "num_rows": len(cosines), "counts": counts.tolist()})

    def write(self, folder: Path) -> None:
        """Both files, empty where there was nothing."""
        for name, lines, columns in (
            ("principal_components", self._planes, PLANE_COLUMNS),
            ("cosine_histogram", self._histograms, HISTOGRAM_COLUMNS),
        ):
            table = pa.Table.from_pylist(lines, schema=columns)
            (folder / f"{name}.parquet").write_bytes(to_parquet(table))

"""An upper bound of the bytes of an activation store, from shapes alone.

Every unit stores, for every place and position, a summary (some vectors of d, two histograms of
norms, and d x d moments at positions that have them), the rows of the reservoir or all rows, and
the base's rows in float32 at the reservoir. Not counted: the token plan (some 10 bytes a token),
and the JSON of index and markers.
"""

from collections.abc import Collection, Mapping, Sequence

from analysis.rows.histogram import NUM_BINS

ROW_BYTES = {"float32": 4, "bfloat16": 2}
"""Bytes of one number of a stored row."""
_EXACT = 8
"""Bytes of a float64 or int64, the dtypes of all summaries."""
_VECTORS = 8
"""Most vectors of d in a summary: the mean, the sum of unit rows, and sums over neurons."""
_NAMES = 4096
"""Most bytes for the names, shapes and digests of a summary's arrays, in shards and `UNIT.json`."""
_BIN = 2 * _EXACT
"""Bytes of a filled bin of a histogram: its number and its count."""


def bound_store_bytes(
    *,
    num_rows: Mapping[str, int],
    num_units: int,
    widths: Sequence[int],
    dense: Collection[str],
    rowwise: Collection[str],
    num_reservoir: int,
    row_bytes: int,
) -> int:
    """Return the most bytes of a store; bounds of different places may be added.

    Args:
        num_rows: position label -> rows at every place, or more.
        num_units: units of the store, or more.
        widths: d of every place.
        dense: position labels with d x d moments in every unit. A unit with fewer than d rows
            stores the rows instead, which are fewer bytes.
        rowwise: position labels all of whose rows are stored; others store the reservoir.
        num_reservoir: rows of each position in the reservoir, each with a row of the base.
        row_bytes: bytes of one number of a stored row.
    """
    total = 0
    for label, rows in num_rows.items():
        in_reservoir = min(rows, num_reservoir)
        stored = rows if label in rowwise else in_reservoir
        total += stored * (_EXACT + 1)  # which tokens they are, and whether of the reservoir
        bins = 2 * _BIN * min(rows, num_units * (1 + NUM_BINS))
        for width in widths:
            summary = _NAMES + _VECTORS * width * _EXACT
            if label in dense:
                summary += width * width * _EXACT
            per_number = stored * row_bytes + in_reservoir * ROW_BYTES["float32"]
            total += num_units * summary + bins + per_number * width
    return total
